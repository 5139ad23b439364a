/**
 * What a VMM reads and puts back of a TSC besides writing the MSR: its scale, and of the posting of
 * 2020 its value with the time at which it was read.
 *
 * KVM_SET_TSC_STATE writes the offset and nothing else: the VM's record of TSC writes, and with it
 * what later vCPUs are given, stays as it was.
 *
 * Source: `kvm_arch_tsc_get_attr()`, patch 9 of the KVM clock series v6; KVM_GET_TSC_STATE and
 * KVM_SET_TSC_STATE in `kvm_arch_vcpu_ioctl()`, “RFC: Precise TSC migration”, 2020.
 */
import { asS64, asU64, nsecToCycles } from '../num/index.ts';
import { type Ctx, inputOf, type VcpuRecipe } from './context.ts';
import { l1TscOffset, readL1Tsc, writeTscOffset } from './tsc.ts';
import type { VcpuState } from './vcpu-state.ts';

/** Flags of `struct kvm_tsc_state`; v1 has one, of another value. */
const V1_TSC_ADJUST_VALID = 1;
const V2_TIMESTAMP_VALID = 1;
const V2_TSC_ADJUST_VALID = 2;

const isV1 = ({ switches }: Ctx): boolean => switches.tscStateIoctls === 'v1';
const adjustValid = (ctx: Ctx): number => (isV1(ctx) ? V1_TSC_ADJUST_VALID : V2_TSC_ADJUST_VALID);

/** Nanoseconds as cycles of the guest's TSC; before now as after it. */
const cyclesOf = (vcpu: Readonly<VcpuState>, ns: bigint): bigint => {
  const { virtualTscMult: mul, virtualTscShift: shift } = vcpu;
  return ns < 0n ? -nsecToCycles(-ns, mul, shift) : nsecToCycles(ns, mul, shift);
};

/** Realtime that has passed since the TSC was read, as far as it counts, ns. */
function elapsedNs(ctx: Ctx): bigint {
  const { nsec, flags } = inputOf(ctx, 'KVM_SET_TSC_STATE');
  const passed = asS64(ctx.read('realtime.ns') - nsec);
  if (isV1(ctx)) return passed < 0n || nsec === 0n ? 0n : passed;
  return (flags & V2_TIMESTAMP_VALID) !== 0 ? passed : 0n;
}

export const tscStateRecipes = {
  reportTscScale: (self, ctx) => {
    ctx.out.emit({
      type: 'ioctl_result',
      vcpu: self.vcpuId,
      name: ctx.input.type,
      ret: 0,
      ratio: self.l1TscScalingRatio,
      fracBits: ctx.host.tscScalingRatioFracBits,
      vm: ctx.vmId,
    });
  },
  reportTscState: (self, ctx) => {
    ctx.out.emit({
      type: 'ioctl_result',
      vcpu: self.vcpuId,
      name: ctx.input.type,
      ret: 0,
      flags: isV1(ctx) ? V1_TSC_ADJUST_VALID : V2_TIMESTAMP_VALID | V2_TSC_ADJUST_VALID,
      nsec: ctx.read('realtime.ns'),
      guestTsc: readL1Tsc(self, ctx.host, ctx.read('getClock.tsc')),
      tscAdjust: asU64(self.ia32TscAdjust),
      vm: ctx.vmId,
    });
  },
  setTscState: (self, ctx) => {
    const { flags, guestTsc, tscAdjust } = inputOf(ctx, 'KVM_SET_TSC_STATE');
    const tsc = asU64(guestTsc + cyclesOf(self, elapsedNs(ctx)));
    writeTscOffset(self, l1TscOffset(self, ctx.host, tsc, ctx.read('getClock.tsc')), ctx);
    if ((flags & adjustValid(ctx)) !== 0) self.ia32TscAdjust = tscAdjust;
  },
} satisfies Record<string, VcpuRecipe>;
