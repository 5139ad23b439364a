/** A Linux guest's clock: what its kernel keeps beside the pages that KVM writes. */
import { array, bool, oneOf, type Struct, struct, u8, u32, u64 } from '../num/index.ts';

/** How many CPUs a guest accounts steal time for at most. */
export const MAX_GUEST_CPUS = 64;

/**
 * The struct of a guest kernel. Times are ns of its own clocks.
 *
 * The first fields are the states of the guest's machine; only the engine writes them.
 */
export const GuestState = struct('Guest', {
  clock: oneOf('unregistered', 'registered', 'suspended'),
  schedClock: oneOf('unset', 'stable', 'unstable'),
  trust: oneOf('clamped', 'stable'),
  read: oneOf('idle', 'begun', 'computed'),
  watchdog: oneOf('watching', 'touched'),
  steal: oneOf('off', 'on'),
  tscSync: oneOf('untested', 'skipped', 'synchronised', 'adjusted', 'failed'),
  /** CPUID says KVM_FEATURE_CLOCKSOURCE_STABLE_BIT: the flag in the page may be believed. */
  cpuidStableBit: bool,
  /** A kernel of v4.2: sched_clock is the clock itself where the page says that it counts from 0. */
  trustsCountsFromZero: bool,
  /** CPUID says that the TSC is invariant: the guest prefers its own TSC as clocksource. */
  invariantTsc: bool,
  /** X86_FEATURE_TSC_RELIABLE: TSCs are taken to be synchronised. */
  tscReliable: bool,
  /** CPUID says that there is TSC_ADJUST. */
  cpuidTscAdjust: bool,
  /** TSC_ADJUST of each CPU as the guest has written it, cycles. */
  tscAdjust: array(u64, MAX_GUEST_CPUS),
  /** `valid_flags`: flags of the page that count. */
  validFlags: u8,
  /** `last_value`: the latest time any vCPU was given while the page was not trusted. */
  lastValue: u64,
  /** `kvm_sched_clock_offset`: where sched_clock counts from. */
  schedClockOffset: u64,
  /** TSC frequency derived from the boot vCPU's page, kHz; 0 before. */
  tscKhz: u64,
  /** Rating of the clocksource kvm-clock. */
  rating: u32,
  /** The vDSO may read kvm-clock: the page was stable when the boot vCPU looked. */
  vdso: bool,
  /** The read in progress: its version without the low bit, the time it came to, the flags. */
  readVersion: u32,
  readNs: u64,
  readFlags: u8,
  /** What the last complete read returned. */
  timeNs: u64,
  /** Realtime at which kvmclock was 0, as last read from the wall clock. */
  wallClockSec: u32,
  wallClockNsec: u32,
  /** Rounds of read loops that had to be done again. */
  retries: u32,
  /** Reads that got `last_value` because their own time was not later. */
  clamps: u32,
  /** It takes the steal clock as it is where that leapt (RFC PATCH v3 21/21), and does not catch up. */
  stealResync: bool,
  /** `rq->prev_steal_time` of each CPU: how far its steal clock was accounted for, ns. */
  prevStealNs: array(u64, MAX_GUEST_CPUS),
  /** What each CPU reported as stolen, ns. */
  stolenNs: array(u64, MAX_GUEST_CPUS),
  /** How often GUEST_STOPPED was seen and cleared, and the watchdogs touched. */
  touches: u32,
});

/** A guest kernel's clock. */
export type GuestState = Struct<typeof GuestState>;
