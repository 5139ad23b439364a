/**
 * What MSR reads, ioctls and hypercalls answer without changing anything.
 *
 * Source: `kvm_get_msr_common()`, `kvm_hv_get_msr()`, `kvm_arch_vcpu_ioctl()`,
 * `kvm_pv_clock_pairing()`, arch/x86/kvm.
 */
import { ERRNO, KVM_ENOSYS, MSRS } from '../../events/index.ts';
import { asU64 } from '../num/index.ts';
import { type Ctx, inputOf, type VcpuRecipe } from './context.ts';
import { timeRefCount } from './hyperv-page.ts';
import { answerVcpu } from './ioctl-result.ts';
import { gtodIsBasedOnTsc } from './timekeeper.ts';
import { emulatedTsc, guestRdtsc, hasTscHostAccess, readL1Tsc } from './tsc.ts';
import type { VcpuState } from './vcpu-state.ts';

/** KVM_CLOCK_PAIRING_WALLCLOCK, the only pair of clocks there is. */
const CLOCK_PAIRING_WALLCLOCK = 0n;

type Vcpu = Readonly<VcpuState>;
type Reader = (vcpu: Vcpu, ctx: Ctx) => bigint;

/** The host sees L1's TSC (from v5.9 on), the guest that of the level it runs at. */
const readTsc: Reader = (vcpu, ctx) => {
  const tsc = ctx.read('getClock.tsc');
  const byHost = ctx.input.type === 'KVM_GET_MSRS' && hasTscHostAccess(ctx);
  return byHost && ctx.switches.hostReadsL1Tsc
    ? readL1Tsc(vcpu, ctx.host, tsc)
    : emulatedTsc(vcpu, ctx.host, tsc);
};

/** `HV_X64_MSR_STIMERn_CONFIG` and `…_COUNT`, one after the other. */
const readStimer = (n: number): [number, Reader][] => [
  [MSRS.HV_X64_MSR_STIMER0_CONFIG + 2 * n, (vcpu) => vcpu.stimerConfig.get(n)],
  [MSRS.HV_X64_MSR_STIMER0_COUNT + 2 * n, (vcpu) => vcpu.stimerCount.get(n)],
];

/** What each MSR reads as. */
export const MSR_READERS: ReadonlyMap<number, Reader> = new Map<number, Reader>([
  [MSRS.IA32_TSC, readTsc],
  [MSRS.IA32_TSC_ADJUST, (vcpu) => asU64(vcpu.ia32TscAdjust)],
  [MSRS.IA32_TSC_DEADLINE, (vcpu) => vcpu.tscDeadline],
  [MSRS.MSR_KVM_SYSTEM_TIME, (vcpu) => vcpu.systemTimeMsr],
  [MSRS.MSR_KVM_SYSTEM_TIME_NEW, (vcpu) => vcpu.systemTimeMsr],
  [MSRS.MSR_KVM_WALL_CLOCK, (_vcpu, ctx) => ctx.vm.wallClockGpa],
  [MSRS.MSR_KVM_WALL_CLOCK_NEW, (_vcpu, ctx) => ctx.vm.wallClockGpa],
  [MSRS.MSR_KVM_STEAL_TIME, (vcpu) => vcpu.stealTimeMsr],
  [MSRS.HV_X64_MSR_TIME_REF_COUNT, (_vcpu, ctx) => timeRefCount(ctx.vm, ctx)],
  [MSRS.HV_X64_MSR_REFERENCE_TSC, (_vcpu, ctx) => ctx.vm.hvReferenceTsc],
  [MSRS.HV_X64_MSR_TSC_FREQUENCY, (vcpu) => BigInt(vcpu.virtualTscKhz) * 1000n],
  [MSRS.HV_X64_MSR_REENLIGHTENMENT_CONTROL, (_vcpu, ctx) => ctx.vm.hvReenlightenmentControl],
  [MSRS.HV_X64_MSR_TSC_EMULATION_CONTROL, (_vcpu, ctx) => ctx.vm.hvTscEmulationControl],
  [MSRS.HV_X64_MSR_TSC_EMULATION_STATUS, (_vcpu, ctx) => ctx.vm.hvTscEmulationStatus],
  [MSRS.HV_X64_MSR_TSC_INVARIANT_CONTROL, (_vcpu, ctx) => ctx.vm.hvInvtscControl],
  [MSRS.MSR_AMD64_TSC_RATIO, (vcpu) => vcpu.tscRatioMsr],
  ...[0, 1, 2, 3].flatMap(readStimer),
]);

/** Where the answer of KVM_HC_CLOCK_PAIRING goes: sec, nsec, tsc, flags, pad. */
function pairing(realtimeNs: bigint, tsc: bigint): Uint8Array {
  const view = new DataView(new ArrayBuffer(64));
  view.setBigInt64(0, realtimeNs / 1_000_000_000n, true);
  view.setBigInt64(8, realtimeNs % 1_000_000_000n, true);
  view.setBigUint64(16, tsc, true);
  return new Uint8Array(view.buffer);
}

export const resultRecipes = {
  readMsr: (self, ctx) => {
    const { index } = inputOf(ctx, 'rdmsr', 'KVM_GET_MSRS');
    const data = MSR_READERS.get(index)?.(self, ctx);
    const ok = data !== undefined;
    ctx.out.emit({
      type: 'msr_result',
      vcpu: self.vcpuId,
      index,
      ok,
      ...(ok ? { data } : {}),
      vm: ctx.vmId,
    });
  },
  msrWritten: (self, ctx) => {
    const { index } = inputOf(ctx, 'wrmsr', 'KVM_SET_MSRS');
    ctx.out.emit({ type: 'msr_result', vcpu: self.vcpuId, index, ok: true, vm: ctx.vmId });
  },
  readTsc: (self, ctx) => {
    const tsc = guestRdtsc(self, ctx.host, ctx.input.tsc);
    ctx.out.emit({ type: 'tsc_value', vcpu: self.vcpuId, tsc, vm: ctx.vmId });
  },
  reportTscKhz: (self, ctx) => {
    answerVcpu(self, self.virtualTscKhz, ctx);
  },
  reportTscOffset: (self, ctx) => {
    answerVcpu(self, 0, ctx, { offset: self.l1TscOffset });
  },
  reportVcpuDone: (self, ctx) => {
    answerVcpu(self, 0, ctx);
  },
  /** Realtime and guest TSC of one instant, where the host's clock is the TSC. */
  pairClocks: (self, ctx) => {
    const { gpa, clockType } = inputOf(ctx, 'clock_pairing');
    const { clockPairing } = ctx.switches;
    if (clockPairing === 'none') {
      answerVcpu(self, -KVM_ENOSYS, ctx);
      return;
    }
    const known = clockType === CLOCK_PAIRING_WALLCLOCK;
    const catchesUp = self.catchup === 'always' && clockPairing === 'not-catching-up';
    if (!known || !gtodIsBasedOnTsc(ctx.host.vclockMode, ctx.switches) || catchesUp) {
      answerVcpu(self, -ERRNO.EOPNOTSUPP, ctx);
      return;
    }
    const tsc = readL1Tsc(self, ctx.host, ctx.read('getClock.tsc'));
    const bytes = pairing(ctx.read('realtime.ns'), tsc);
    ctx.out.emit({
      type: 'guest_write',
      vcpu: self.vcpuId,
      gpa,
      bytes,
      what: 'clock_pairing',
      vm: ctx.vmId,
    });
    answerVcpu(self, 0, ctx);
  },
} satisfies Record<string, VcpuRecipe>;
