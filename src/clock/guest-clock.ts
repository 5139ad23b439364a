/**
 * How a Linux guest reads its clock from a page that the host may be writing.
 *
 * A read takes the version without its low bit, computes the time, and looks at the version again:
 * an odd one (being written) never equals what was taken, a changed one means that the numbers may
 * be of two writes. Unless the page is stable and CPUID says that this flag counts, no vCPU is ever
 * given an earlier time than any vCPU was before.
 *
 * Source: `pvclock_clocksource_read()`, `pvclock_read_wallclock()`, `pvclock_resume()`,
 * arch/x86/kernel/pvclock.c; `kvmclock_init()`, `kvm_sched_clock_init()`, `kvm_get_tsc_khz()`,
 * `kvm_check_and_clear_guest_paused()`, arch/x86/kernel/kvmclock.c.
 */
import {
  PVCLOCK_COUNTS_FROM_ZERO,
  PVCLOCK_GUEST_STOPPED,
  PVCLOCK_TSC_STABLE_BIT,
  type PvclockPage,
  pvclockRead,
  pvclockTscKhz,
} from '../num/index.ts';
import type { GuestState } from './guest-state.ts';

/** `struct pvclock_wall_clock`: realtime at which the VM's kvmclock was 0. */
export interface GuestWallClock {
  /** u32; odd while the host writes. */
  readonly version: number;
  readonly sec: number;
  readonly nsec: number;
}

/** What a guest's recipe or guard may read: guest memory as it is now, and the reading vCPU's TSC. */
export interface GuestCtx {
  /** Guest TSC of the vCPU that acts, cycles. */
  readonly tsc: bigint;
  /** Its pvclock page. */
  readonly page: PvclockPage;
  readonly wallClock: GuestWallClock;
  /** The read is the clocksource's, which looks after watchdogs; sched_clock's does not. */
  readonly withWatchdog: boolean;
  /** The vCPU that acts, its steal clock and the time since its last tick: when it accounts. */
  readonly cpu: number;
  readonly stealClockNs: bigint;
  readonly tickNs: bigint;
  /** TSC of the CPU that brings this one up, read before its own, cycles. */
  readonly sourceTsc: bigint;
  /** Called when the guest clears GUEST_STOPPED in the page. */
  clearStopped(): void;
}

type Guest = Readonly<GuestState>;
type GuestGuard = (self: Guest, ctx: GuestCtx) => boolean;
type GuestRecipe = (self: GuestState, ctx: GuestCtx) => void;

/** Ratings of the clocksource; below the TSC's own (300) where that is invariant. */
const RATING = 400;
const RATING_BESIDE_TSC = 299;

/** The read that has just been computed is of one write of the page. */
const isWhole = (self: Guest, ctx: GuestCtx): boolean =>
  self.read === 'computed' && ctx.page.version === self.readVersion;

const isTrusted = (self: Guest): boolean =>
  (self.validFlags & self.readFlags & PVCLOCK_TSC_STABLE_BIT) !== 0;

/** A shift as x86 does it: by its low six bits. KVM writes none beyond them. */
const shiftOf = (shift: number): number => (shift < 0 ? -(-shift & 63) : shift & 63);

const isStopped = (flags: number): boolean => (flags & PVCLOCK_GUEST_STOPPED) !== 0;

const isStable = (ctx: GuestCtx): boolean => (ctx.page.flags & PVCLOCK_TSC_STABLE_BIT) !== 0;

export const guestGuards = {
  pageIsWhole: isWhole,
  wholePageIsTrusted: (self, ctx) => isWhole(self, ctx) && isTrusted(self),
  wholePageIsStopped: (self, ctx) =>
    ctx.withWatchdog && isWhole(self, ctx) && isStopped(self.readFlags),
  pageIsStopped: (_self, ctx) => isStopped(ctx.page.flags),
  /** v4.2 did not ask for the STABLE bit, but for the other one. */
  schedClockIsStable: (self, ctx) =>
    self.trustsCountsFromZero
      ? (ctx.page.flags & self.validFlags & PVCLOCK_COUNTS_FROM_ZERO) !== 0
      : isStable(ctx),
  wallClockIsWhole: (_self, ctx) => (ctx.wallClock.version & 1) === 0,
  pageHasScale: (_self, ctx) => ctx.page.tscToSystemMul !== 0,
} satisfies Record<string, GuestGuard>;

export const guestRecipes = {
  /** Which flags count is asked of CPUID once, and how good the clocksource is. */
  initKvmclock: (self) => {
    const counted = self.trustsCountsFromZero ? PVCLOCK_COUNTS_FROM_ZERO : 0;
    self.validFlags = self.cpuidStableBit ? PVCLOCK_TSC_STABLE_BIT | counted : 0;
    self.rating = self.invariantTsc ? RATING_BESIDE_TSC : RATING;
  },
  beginRead: (self, ctx) => {
    self.readVersion = (ctx.page.version & ~1) >>> 0;
  },
  computeTime: (self, ctx) => {
    self.readNs = pvclockRead({ ...ctx.page, tscShift: shiftOf(ctx.page.tscShift) }, ctx.tsc);
    self.readFlags = ctx.page.flags;
  },
  retryRead: (self) => {
    self.retries += 1;
  },
  takeTime: (self) => {
    self.timeNs = self.readNs;
  },
  /** The later of this time and the latest one given so far, compared unsigned. */
  clampTime: (self) => {
    if (self.readNs > self.lastValue) self.lastValue = self.readNs;
    else self.clamps += 1;
    self.timeNs = self.lastValue;
  },
  touchWatchdogs: (self, ctx) => {
    self.touches += 1;
    ctx.clearStopped();
  },
  /** sched_clock counts from the time of this read, for good; in v4.2 the host does that for it. */
  startSchedClock: (self, ctx) => {
    self.schedClockOffset = self.trustsCountsFromZero ? 0n : self.timeNs;
    self.vdso = isStable(ctx);
  },
  deriveTscKhz: (self, ctx) => {
    self.tscKhz = pvclockTscKhz(ctx.page.tscToSystemMul, shiftOf(ctx.page.tscShift));
  },
  takeWallClock: (self, ctx) => {
    self.wallClockSec = ctx.wallClock.sec;
    self.wallClockNsec = ctx.wallClock.nsec;
  },
  forgetLastValue: (self) => {
    self.lastValue = 0n;
  },
} satisfies Record<string, GuestRecipe>;
