/**
 * A vCPU's TSC: the host's, scaled, plus an offset.
 *
 * Source: `kvm_read_l1_tsc()`, `kvm_vcpu_write_tsc_offset()`, `kvm_set_tsc_khz()`,
 * `adjust_tsc_offset_guest()` and the TSC cases of `kvm_set_msr_common()`, arch/x86/kvm/x86.c.
 */
import { ERRNO } from '../../events/index.ts';
import {
  addU64,
  asS64,
  defaultTscRatio,
  scaleTsc,
  subU64,
  timeScale,
  tscRatio,
} from '../num/index.ts';
import type { Switches } from '../profiles/index.ts';
import { type Ctx, inputOf, type VcpuGuard, type VcpuRecipe } from './context.ts';
import type { HostState } from './host-state.ts';
import { hasTscControl } from './host-tsc.ts';
import { answerVcpu } from './ioctl-result.ts';
import { currentTscOffset, currentTscRatio } from './nested-tsc.ts';
import { raise } from './requests.ts';
import type { VcpuState } from './vcpu-state.ts';

type Vcpu = Readonly<VcpuState>;
type Host = Readonly<HostState>;

/** L1's TSC at a host TSC, cycles. */
export const readL1Tsc = (vcpu: Vcpu, host: Host, hostTsc: bigint): bigint =>
  addU64(vcpu.l1TscOffset, scaleTsc(hostTsc, vcpu.l1TscScalingRatio, host.tscScalingRatioFracBits));

/** The offset with which L1's TSC reads `target` at a host TSC. */
export const l1TscOffset = (vcpu: Vcpu, host: Host, target: bigint, hostTsc: bigint): bigint =>
  subU64(target, scaleTsc(hostTsc, vcpu.l1TscScalingRatio, host.tscScalingRatioFracBits));

/** What the hardware makes of a host TSC with an offset and a ratio; a ratio never set does not scale. */
const rdtsc = (offset: bigint, ratio: bigint, host: Host, hostTsc: bigint): bigint =>
  ratio === 0n
    ? addU64(offset, hostTsc)
    : addU64(offset, scaleTsc(hostTsc, ratio, host.tscScalingRatioFracBits));

/**
 * What RDTSC gives L1 at a host TSC, by which it reads its pages. Where no frequency could be set the
 * ratio is still 0: KVM then reckons with a TSC that stands still, while the hardware counts unscaled.
 */
export const l1Rdtsc = (vcpu: Vcpu, host: Host, hostTsc: bigint): bigint =>
  rdtsc(vcpu.l1TscOffset, vcpu.l1TscScalingRatio, host, hostTsc);

/** What RDTSC gives whoever runs at a host TSC: L1, or its own guest. */
export const guestRdtsc = (vcpu: Vcpu, host: Host, hostTsc: bigint): bigint =>
  vcpu.level === 'l2'
    ? rdtsc(vcpu.tscOffset, vcpu.tscScalingRatio, host, hostTsc)
    : l1Rdtsc(vcpu, host, hostTsc);

/** What KVM answers to a guest's RDMSR of IA32_TSC, which it emulates. */
export const emulatedTsc = (vcpu: Vcpu, host: Host, hostTsc: bigint): bigint =>
  addU64(vcpu.tscOffset, scaleTsc(hostTsc, vcpu.tscScalingRatio, host.tscScalingRatioFracBits));

/** TDX or SecureTSC, as far as the kernel knows of them: KVM leaves the TSC alone. */
export const isTscProtected = (vcpu: Vcpu, switches: Switches): boolean =>
  vcpu.guestTscProtected && switches.tscWriteByGuest === 'offset-unless-protected';

/** Stores an offset and says so, also when it is the one there was. */
export function writeTscOffset(self: VcpuState, offset: bigint, ctx: Ctx): void {
  if (isTscProtected(self, ctx.switches)) return;
  ctx.out.emit({
    type: 'kvm_write_tsc_offset',
    vcpu: self.vcpuId,
    vcpuId: self.vcpuId,
    previousTscOffset: self.l1TscOffset,
    nextTscOffset: offset,
    vm: ctx.vmId,
  });
  self.l1TscOffset = offset;
  self.tscOffset = currentTscOffset(self, ctx);
}

/** Sets the frequency the guest is told, and the ratio that makes its TSC run at it. */
function setTscKhz(self: VcpuState, khz: number, ctx: Ctx): void {
  const { host } = ctx;
  const fracBits = host.tscScalingRatioFracBits;
  if (khz === 0) {
    writeTscRatio(self, defaultTscRatio(fracBits), ctx);
    return;
  }
  if (ctx.switches.syncOnSetTscKhz === 'continuous') {
    self.tscBeforeKhz = readL1Tsc(self, host, ctx.read('khz.tsc'));
  }
  const scale = timeScale(BigInt(khz) * 1000n, 1_000_000_000n);
  self.virtualTscMult = scale.mul;
  self.virtualTscShift = scale.shift;
  self.virtualTscKhz = khz;
  const outcome = ratioFor(khz, ctx);
  if (outcome.ok && outcome.ratio !== null) writeTscRatio(self, outcome.ratio, ctx);
}

/** `kvm_vcpu_write_tsc_multiplier()`. */
function writeTscRatio(self: VcpuState, ratio: bigint, ctx: Ctx): void {
  self.l1TscScalingRatio = ratio;
  self.tscScalingRatio = currentTscRatio(self, ctx);
}

const ratioFor = (khz: number, { host, switches }: Ctx) =>
  tscRatio(khz, host.tscKhz, host.tscScalingRatioFracBits, {
    hasTscControl: hasTscControl(host, switches),
    maxRatio: host.maxTscScalingRatio,
    tolerancePpm: host.tscTolerancePpm,
  });

/** The frequency that an input asks for: its own, the VM's default, or the host's. */
function requestedKhz(ctx: Ctx): number {
  if (ctx.input.type === 'KVM_CREATE_VCPU') return ctx.vm.defaultTscKhz;
  return inputOf(ctx, 'KVM_SET_TSC_KHZ').khz || ctx.host.tscKhz;
}

/** Whether the frequency that is set is one, so that the virtual frequency becomes it. */
export const setsFrequency = (ctx: Ctx): boolean => requestedKhz(ctx) !== 0;

/** Whether the TSC can run at the frequency that is set. */
export const reachesFrequency = (ctx: Ctx): boolean => ratioFor(requestedKhz(ctx), ctx).ok;

/** KVM_X86_QUIRK_TSC_HOST_ACCESS, where it was posted. */
const QUIRK_TSC_HOST_ACCESS = 32;

/** Whether an access of userspace to IA32_TSC or TSC_ADJUST is other than the guest's. */
export const hasTscHostAccess = ({ switches, vm }: Pick<Ctx, 'switches' | 'vm'>): boolean =>
  !switches.tscHostAccessQuirk || (vm.disabledQuirks & QUIRK_TSC_HOST_ACCESS) === 0;

export const tscGuards = {
  /** Faster than the host without hardware to do it: offsets are pushed forward instead. */
  needsSoftwareUpscaling: (_self, ctx) => {
    const khz = requestedKhz(ctx);
    return khz !== 0 && ratioFor(khz, ctx).outcome === 'catchup';
  },
} satisfies Record<string, VcpuGuard>;

export const tscRecipes = {
  setTscKhz: (self, ctx) => {
    setTscKhz(self, requestedKhz(ctx), ctx);
  },
  reportTscKhzSet: (self, ctx) => {
    answerVcpu(self, reachesFrequency(ctx) ? 0 : -ERRNO.EINVAL, ctx);
  },
  /** The guest writes IA32_TSC (v5.8+): only this vCPU's offset moves, and its TSC_ADJUST with it. */
  writeGuestTsc: (self, ctx) => {
    const { data } = inputOf(ctx, 'wrmsr', 'KVM_SET_MSRS');
    // Nor does TSC_ADJUST move where the TSC cannot (`kvm_set_msr_common()`, v6.15+).
    if (isTscProtected(self, ctx.switches)) return;
    const wanted = l1TscOffset(self, ctx.host, data, ctx.read('write.tsc'));
    const adjustment = subU64(wanted, self.l1TscOffset);
    writeTscOffset(self, wanted, ctx);
    self.ia32TscAdjust += adjustment;
  },
  protectTsc: (self) => {
    self.guestTscProtected = true;
  },
  /** The guest writes TSC_ADJUST: its TSC moves by the change. */
  adjustGuestTsc: (self, ctx) => {
    const { data } = inputOf(ctx, 'wrmsr', 'KVM_SET_MSRS');
    const adjustment = asS64(data - self.ia32TscAdjust);
    writeTscOffset(self, addU64(self.l1TscOffset, adjustment), ctx);
    if (ctx.switches.tscAdjustRaisesClockUpdate) raise(self, 'CLOCK_UPDATE', ctx);
    self.ia32TscAdjust = data;
  },
  /** The VMM writes TSC_ADJUST: only the value is kept. */
  storeTscAdjust: (self, ctx) => {
    self.ia32TscAdjust = inputOf(ctx, 'KVM_SET_MSRS').data;
  },
  /** A cold TSC on resume: what it lost is added back when the vCPU is next loaded. */
  noteTscDeficit: (self, ctx) => {
    self.tscOffsetAdjustment += ctx.host.tscDeficit;
    self.lastHostTsc = ctx.read('enable.tsc');
  },
} satisfies Record<string, VcpuRecipe>;
