/** One migration as numbers: what it is made of, and how each is called. */
import type { VmmPolicyId } from '../../engine/index.ts';
import type { Profile } from '../../profiles/index.ts';

/** What is wrong with CLOCK_REALTIME between the hosts. */
export const LEAP_SECONDS = ['none', 'inserted', 'deleted'] as const;

/** By which clock a VMM compares times of two hosts. */
export const TIMESCALES = ['realtime', 'tai'] as const;

/** Times are ns, frequencies kHz, NTP's corrections parts in 10^12. */
export interface MigrationOptions {
  readonly policy: VmmPolicyId;
  /** The kernel at the source, and that at the destination. */
  readonly from: Profile;
  readonly to: Profile;
  readonly vcpus: number;
  /** What each host's kernel takes its TSC's frequency for. */
  readonly sourceKhz: number;
  readonly destinationKhz: number;
  /** Frequency asked for at launch; 0: the source host's own. */
  readonly guestKhz: number;
  /** Whether the destination's hardware scales TSCs. */
  readonly scaling: boolean;
  /** By how much NTP speeds each host's clocks up: its TSC is that much slower than taken for. */
  readonly sourceNtpPpt: bigint;
  readonly destinationNtpPpt: bigint;
  /** From the guest's boot to the stop. */
  readonly uptimeNs: bigint;
  /** From the stop to the first ioctl at the destination. */
  readonly downtimeNs: bigint;
  /** From each ioctl to the next; of a list, the last one goes on. */
  readonly sourceIoctlsNs: readonly bigint[];
  readonly destinationIoctlsNs: readonly bigint[];
  /** What passes beside that: before the TSCs are read, while memory is copied, before the clock is read … */
  readonly saveTscsNs: bigint;
  readonly saveMemoryNs: bigint;
  readonly saveClockNs: bigint;
  /** … before TSCs are written, and before the clock is set. */
  readonly restoreTscsNs: bigint;
  readonly restoreClockNs: bigint;
  /** By how much the destination's CLOCK_REALTIME is ahead of the source's. */
  readonly realtimeErrorNs: bigint;
  readonly leapSecond: (typeof LEAP_SECONDS)[number];
  readonly timescale: (typeof TIMESCALES)[number];
}

/** All but the policy and the kernels. */
export type MigrationNumbers = Omit<MigrationOptions, 'policy' | 'from' | 'to'>;

const MILLISECOND = 1_000_000n;
const SECOND = 1_000_000_000n;

/** Two equal hosts a day after boot; 300 ms of memory, a second away, 20 µs an ioctl. */
export const MIGRATION_DEFAULTS: MigrationNumbers = {
  vcpus: 2,
  sourceKhz: 2_500_000,
  destinationKhz: 2_500_000,
  guestKhz: 0,
  scaling: true,
  sourceNtpPpt: 0n,
  destinationNtpPpt: 0n,
  uptimeNs: 86_400n * SECOND,
  downtimeNs: SECOND,
  sourceIoctlsNs: [20_000n],
  destinationIoctlsNs: [20_000n],
  saveTscsNs: 0n,
  saveMemoryNs: 300n * MILLISECOND,
  saveClockNs: 0n,
  restoreTscsNs: 0n,
  restoreClockNs: 50n * MILLISECOND,
  realtimeErrorNs: 0n,
  leapSecond: 'none',
  timescale: 'realtime',
};
