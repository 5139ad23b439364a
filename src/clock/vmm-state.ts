/** A VMM: what it keeps of a VM's clock while the guest does not run, and of each vCPU. */
import { bool, oneOf, type Struct, s8, s32, struct, u8, u32, u64 } from '../num/index.ts';

/**
 * The struct of a VMM, as far as clocks go; `clockDevice` is QEMU's kvmclock device.
 *
 * The first fields are the states of the VMM's machine; only the engine writes them.
 */
export const VmmState = struct('Vmm', {
  run: oneOf('absent', 'launched', 'running', 'paused', 'saved', 'restored'),
  stoppedBy: oneOf('nobody', 'user', 'vmm'),
  clockDevice: oneOf('invalid', 'valid'),
  /** Frequency for all vCPUs, kHz; 0 for the host's own. */
  tscKhz: u32,
  /** KVM_GET_CLOCK as last read: ns, which of the others are valid, CLOCK_REALTIME and host TSC then. */
  clock: u64,
  clockFlags: u32,
  clockRealtime: u64,
  clockHostTsc: u64,
  /** CLOCK_TAI − CLOCK_REALTIME where it was saved, s; 0: not told. */
  taiOffset: s32,
  /** It was read where KVM says that it agrees with what the guest reads (v4.10+). */
  clockIsReliable: bool,
  /** The boot vCPU's pvclock page, in guest memory, when the clock was read. */
  hasPage: bool,
  pageTscTimestamp: u64,
  pageSystemTime: u64,
  pageMul: u32,
  pageShift: s8,
});

/** A VMM. */
export type VmmState = Struct<typeof VmmState>;

/** The struct of a VMM's vCPU: where it is, and what travels of it with a saved VM. */
export const VmmVcpuState = struct('VmmVcpu', {
  life: oneOf('absent', 'plugged', 'parked'),
  /** Whether `tsc` is what the guest had when it stopped, and need not be read again. */
  tscKept: oneOf('no', 'yes'),
  vcpuId: u32,
  /** Host CPU its thread runs on. */
  cpu: u32,
  tsc: u64,
  tscAdjust: u64,
  systemTimeMsr: u64,
  wallClockMsr: u64,
  stealTimeMsr: u64,
  /** KVM_GET_TSC_KHZ and KVM_VCPU_TSC_OFFSET as last read: kHz (0: never), cycles. */
  tscKhz: u32,
  tscOffset: u64,
  /** KVM_VCPU_TSC_SCALE as last read; no fractional bits: never. */
  tscScalingRatio: u64,
  tscScalingFracBits: u8,
  /** CLOCK_REALTIME of `tsc`, as KVM_GET_TSC_STATE told it, ns; 0: not told. */
  tscNsec: u64,
  /** KVM_GET_CLOCK_GUEST as last read; a multiplier of 0: never. */
  guestTscTimestamp: u64,
  guestSystemTime: u64,
  guestMul: u32,
  guestShift: s8,
});

/** A VMM's vCPU. */
export type VmmVcpuState = Struct<typeof VmmVcpuState>;
