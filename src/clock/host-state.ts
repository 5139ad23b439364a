/** The host: its clocksource, its timekeepers as KVM has them, and what its hardware can do. */
import { array, bool, oneOf, type Struct, s64, struct, u8, u32, u64 } from '../num/index.ts';

/** How many host CPUs a host has at most. */
export const MAX_HOST_CPUS = 512;

/**
 * The struct of a host. Times are ns, the `…XtimeNsec` ns shifted left by their clock's shift.
 *
 * The first fields are the states of the host's machine; only the engine writes them.
 */
export const HostState = struct('Host', {
  clocksource: oneOf('tsc', 'other'),
  tsc: oneOf('stable', 'unstable'),
  power: oneOf('running', 'suspending', 'suspended'),
  /** vDSO clock mode, as tracepoints print it: 0 none, 1 tsc, 2 pvclock, 3 hvclock. */
  vclockMode: u32,
  tscKhz: u32,
  /** What new vCPUs get where that was taken when KVM was loaded (`newVcpuTscKhz`); 0: `tscKhz`. */
  maxTscKhz: u32,
  /** X86_FEATURE_CONSTANT_TSC. */
  constantTsc: bool,
  /** `kvm_caps.has_tsc_control`: the hardware scales a guest's TSC. */
  hasTscControl: bool,
  tscScalingRatioFracBits: u8,
  maxTscScalingRatio: u64,
  maxGuestTscKhz: u32,
  tscTolerancePpm: u32,
  /** The VMX preemption timer runs deadlines, and counts once in 2^`preemptionTimerRate` cycles. */
  hasPreemptionTimer: bool,
  preemptionTimerRate: u8,
  /** How much earlier than asked for KVM lets a deadline fire, so as to wait out the rest, ns. */
  timerAdvanceNs: u32,
  /** `kvmclock_periodic_sync`, a parameter of the kvm module until v6.18. */
  kvmclockPeriodicSync: bool,
  monoCycleLast: u64,
  monoMult: u32,
  monoShift: u32,
  monoXtimeNsec: u64,
  monoBase: u64,
  rawCycleLast: u64,
  rawMult: u32,
  rawShift: u32,
  rawXtimeNsec: u64,
  rawBase: u64,
  offsBoot: s64,
  offsReal: s64,
  /** Some VM has used its masterclock since the last time all were told to give it up. */
  kvmGuestHasMasterClock: bool,
  /** `pvclock_gtod_work` is queued. */
  gtodWorkQueued: bool,
  /** `backwards_tsc_observed` where that is one flag for all VMs. */
  backwardsTscObserved: bool,
  /** Largest `last_host_tsc` of any vCPU, gathered when a CPU is enabled. */
  largestLastHostTsc: u64,
  /** How far the TSC of the CPU being enabled is behind that, cycles; 0 when it is not. */
  tscDeficit: u64,
  /** Per-CPU copy of the TSC frequency; 0 while the CPU is offline. */
  cpuTscKhz: array(u32, MAX_HOST_CPUS),
});

/** A host. */
export type HostState = Struct<typeof HostState>;
