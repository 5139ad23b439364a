/** A vCPU: its TSC as offset and scale of the host's, and the pvclock page it tells time by. */
import {
  array,
  bool,
  oneOf,
  type Struct,
  s8,
  s32,
  s64,
  struct,
  u8,
  u32,
  u64,
} from '../num/index.ts';

/** Synthetic timers of a vCPU: HV_SYNIC_STIMER_COUNT. */
export const STIMERS = 4;

/**
 * The struct of a vCPU: `struct kvm_vcpu_arch`, as far as clocks go, and its pages in guest memory.
 *
 * The first fields are the states of the vCPU's machine; only the engine writes them.
 */
export const VcpuState = struct('Vcpu', {
  life: oneOf('absent', 'created', 'online', 'destroyed'),
  run: oneOf('unloaded', 'loaded', 'guest'),
  kvmclock: oneOf('off', 'old', 'new'),
  catchup: oneOf('off', 'catchup', 'always'),
  level: oneOf('l1', 'l2'),
  xenVcpuInfo: oneOf('off', 'on'),
  xenVcpuTimeInfo: oneOf('off', 'on'),
  stopped: oneOf('no', 'requested'),
  deadlineTimer: oneOf('off', 'software', 'preemption'),
  xenTimer: oneOf('off', 'armed'),
  runstate: oneOf('running', 'runnable', 'blocked', 'offline'),
  vcpuId: u32,
  /** Its place in the order of creation. */
  vcpuIdx: u32,
  /** Bits of `REQUEST_BIT`. */
  requests: u32,
  /** Host CPU it was last loaded on; −1 before the first time. */
  cpu: s32,
  l1TscOffset: u64,
  tscOffset: u64,
  l1TscScalingRatio: u64,
  tscScalingRatio: u64,
  virtualTscKhz: u32,
  virtualTscMult: u32,
  virtualTscShift: s8,
  thisTscNsec: u64,
  thisTscWrite: u64,
  thisTscGeneration: u64,
  thisTscFreqGeneration: u64,
  /** What its TSC read just before the frequency being set, cycles. */
  tscBeforeKhz: u64,
  lastGuestTsc: u64,
  lastHostTsc: u64,
  /** Cycles by which its TSC went backwards while the host slept, still to be added. */
  tscOffsetAdjustment: u64,
  ia32TscAdjust: s64,
  /** Frequency the page’s scale was made for, Hz: `hw_tsc_khz` times 1000, or `hw_tsc_hz`. */
  hwTscHz: u64,
  /** Frequency of the host CPU when the scale was made, kHz: v4.4 makes it anew only with that. */
  hwTscKhz: u32,
  pvclockTscMul: u32,
  pvclockTscShift: s8,
  /** The pvclock just computed, which Hyper-V's page is made from. */
  pvTscTimestamp: u64,
  pvSystemTime: u64,
  pvFlags: u8,
  /** MSR_KVM_SYSTEM_TIME(_NEW) as written. */
  systemTimeMsr: u64,
  /** The page in guest memory at `pageGpa`. */
  pageGpa: u64,
  pageVersion: u32,
  pageTscTimestamp: u64,
  pageSystemTime: u64,
  pageMul: u32,
  pageShift: s8,
  pageFlags: u8,
  /** Xen's pages in guest memory: the one in vcpu_info and vcpu_time_info. */
  xenPageGpa: array(u64, 2),
  xenPageVersion: array(u32, 2),
  xenPageTscTimestamp: array(u64, 2),
  xenPageSystemTime: array(u64, 2),
  xenPageMul: array(u32, 2),
  xenPageShift: array(s8, 2),
  xenPageFlags: array(u8, 2),
  stealTimeMsr: u64,
  /** run_delay when steal time was last accounted, ns. */
  lastSteal: u64,
  /** The steal time record in guest memory. */
  stealVersion: u32,
  stealNs: u64,
  stealPreempted: u8,
  tscDeadline: u64,
  /** What L1 asked for L2: offset and ratio from its own TSC; a ratio of 1.0 where it asked none. */
  l2TscOffset: u64,
  l2TscMultiplier: u64,
  /** MSR_AMD64_TSC_RATIO, which on SVM is that ratio. */
  tscRatioMsr: u64,
  /** Xen’s timer: its event channel, and when it fires by the guest’s clock; 0: it does not. */
  xenTimerPort: u32,
  xenTimerExpiresNs: u64,
  /** Xen’s runstate: when it was entered, time in each, and run_delay then; where the guest reads it. */
  runstateEntryNs: u64,
  runstateNs: array(u64, 4),
  xenLastSteal: u64,
  runstateGpa: u64,
  hasRunstateArea: bool,
  /** Xen’s CPUID leaf with the TSC’s frequency, where the VMM gave one. */
  hasXenLeaf: bool,
  xenLeafMul: u32,
  xenLeafShift: s8,
  xenLeafKhz: u32,
  /** Hyper-V’s synthetic timers: MSRs, and when they expire, 100 ns; 0: not started. */
  stimerConfig: array(u64, STIMERS),
  stimerCount: array(u64, STIMERS),
  stimerExpTime: array(u64, STIMERS),
  /** Bits by timer: to be looked at, its hrtimer runs, its message waits, the slot is taken. */
  stimerPending: u8,
  stimerArmed: u8,
  stimerMsgPending: u8,
  stimerSlotBusy: u8,
  /** TDX or SecureTSC: the host cannot change its TSC. */
  guestTscProtected: bool,
});

/** A vCPU. */
export type VcpuState = Struct<typeof VcpuState>;
