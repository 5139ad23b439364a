/**
 * Xen's CPUID leaf with the frequency of the TSC and the scale of the pvclock (0x40000x03).
 *
 * The VMM gives it. Some kernels overwrite it: at each clock update that changes the scale (v6.3 to
 * v6.14), or in the answer when the guest reads it (v6.15 to v7.2).
 *
 * Source: `kvm_xen_update_tsc_info()`, arch/x86/kvm/xen.c; `kvm_cpuid()`, arch/x86/kvm/cpuid.c.
 */
import { type Ctx, inputOf, type VcpuRecipe } from './context.ts';
import type { VcpuState } from './vcpu-state.ts';

/** Subleaves: the scale of the pvclock, and the host's frequency as the guest has it. */
const SCALE = 1;
const FREQUENCY = 2;

/** `hw_tsc_khz` as the guest's. */
const khzOf = (vcpu: Readonly<VcpuState>): number => Number(vcpu.hwTscHz / 1000n);

/** At a clock update that made a new scale. */
export function updateXenLeaf(self: VcpuState, ctx: Ctx): void {
  if (ctx.switches.xenCpuidLeaf !== 'at-update' || !self.hasXenLeaf) return;
  self.xenLeafMul = self.pvclockTscMul;
  self.xenLeafShift = self.pvclockTscShift;
  self.xenLeafKhz = khzOf(self);
}

/** Whether the guest's read of the leaf has the clock brought up to date first. */
export const cpuidAsksForClock = ({ switches, vcpu }: Ctx): boolean =>
  switches.xenCpuidLeaf === 'at-read' && vcpu.hasXenLeaf;

export const xenCpuidRecipes = {
  storeXenLeaf: (self, ctx) => {
    const { mul, shift, khz } = inputOf(ctx, 'KVM_SET_CPUID2');
    self.hasXenLeaf = true;
    self.xenLeafMul = mul;
    self.xenLeafShift = shift;
    self.xenLeafKhz = khz;
  },
  readXenLeaf: (self, ctx) => {
    const { subleaf } = inputOf(ctx, 'cpuid');
    const now = cpuidAsksForClock(ctx);
    const mul = now ? self.pvclockTscMul : self.xenLeafMul;
    const shift = now ? self.pvclockTscShift : self.xenLeafShift;
    const khz = now ? khzOf(self) : self.xenLeafKhz;
    ctx.out.emit({
      type: 'cpuid_result',
      vcpu: self.vcpuId,
      subleaf,
      eax: subleaf === FREQUENCY ? khz >>> 0 : 0,
      ecx: subleaf === SCALE ? mul : 0,
      edx: subleaf === SCALE ? shift >>> 0 : 0,
      vm: ctx.vmId,
    });
  },
} satisfies Record<string, VcpuRecipe>;
