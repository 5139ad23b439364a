/**
 * The host's clocks as KVM reads them from its copy of the kernel's timekeepers.
 *
 * A clock is a reference (`cycleLast`, `xtimeNsec`, `base`) and a rate (`mult`, `shift`):
 * `((xtimeNsec + (T − cycleLast) · mult) >> shift) + base`. CLOCK_MONOTONIC_RAW never changes its
 * rate; NTP changes CLOCK_MONOTONIC's. Ticks move a reference along its own line without loss, so
 * the products are taken in full and a host that never ticks gives the same numbers.
 *
 * Source: kernel/time/timekeeping.c and `do_kvmclock_base()`, `do_monotonic()`, `do_realtime()` in
 * arch/x86/kvm/x86.c.
 */
import { asU64 } from '../num/index.ts';
import type { Switches } from '../profiles/index.ts';
import { type Ctx, type HostGuard, type HostRecipe, inputOf } from './context.ts';
import type { HostState } from './host-state.ts';

/** vDSO clock modes of clocksources that are the TSC: VDSO_CLOCKMODE_TSC and …_HVCLOCK. */
const CLOCKMODE_TSC = 1;
const CLOCKMODE_HVCLOCK = 3;

/** Whether a clocksource with this vDSO clock mode is based on the TSC. */
export const isTscMode = (mode: number): boolean =>
  mode === CLOCKMODE_TSC || mode === CLOCKMODE_HVCLOCK;

/** What decides which clocksources KVM takes for the TSC. */
type ClockModes = Pick<Switches, 'hvclockIsTsc'>;

/** Whether KVM takes a clocksource with this mode for the TSC. */
export const gtodIsBasedOnTsc = (mode: number, { hvclockIsTsc }: ClockModes): boolean =>
  mode === CLOCKMODE_TSC || (hvclockIsTsc && mode === CLOCKMODE_HVCLOCK);

/**
 * `kvm_check_tsc_unstable()`: what Hyper-V's page says of the TSC outdoes what the host found
 * (b0c39dc68e3b).
 */
export const checkTscUnstable = (
  { tsc, vclockMode }: Readonly<HostState>,
  { hvclockIsTsc }: ClockModes,
): boolean => tsc === 'unstable' && !(hvclockIsTsc && vclockMode === CLOCKMODE_HVCLOCK);

/** Cycles since the reference; a TSC read before it counts as it (`pvclock_gtod` clamps). */
const since = (tsc: bigint, cycleLast: bigint): bigint => (tsc > cycleLast ? tsc - cycleLast : 0n);

/** CLOCK_MONOTONIC at a host TSC, shifted left by `monoShift`, without the base; and so RAW's. */
const monoShifted = (host: Readonly<HostState>, tsc: bigint): bigint =>
  host.monoXtimeNsec + since(tsc, host.monoCycleLast) * BigInt(host.monoMult);

const rawShifted = (host: Readonly<HostState>, tsc: bigint): bigint =>
  host.rawXtimeNsec + since(tsc, host.rawCycleLast) * BigInt(host.rawMult);

/** CLOCK_MONOTONIC at a host TSC, ns. */
export const monotonicAt = (host: Readonly<HostState>, tsc: bigint): bigint =>
  asU64((monoShifted(host, tsc) >> BigInt(host.monoShift)) + host.monoBase);

/** CLOCK_MONOTONIC_RAW at a host TSC, ns. */
export const monotonicRawAt = (host: Readonly<HostState>, tsc: bigint): bigint =>
  asU64((rawShifted(host, tsc) >> BigInt(host.rawShift)) + host.rawBase);

/** CLOCK_REALTIME at a host TSC, ns. */
export const realtimeAt = (host: Readonly<HostState>, tsc: bigint): bigint =>
  asU64(monotonicAt(host, tsc) + host.offsReal);

/** Which clock kvmclock is based on; time slept counts in both. */
export type BaseClock = 'raw' | 'boottime';

/** The base clock at a host TSC, ns: CLOCK_BOOTTIME, or CLOCK_MONOTONIC_RAW plus time slept. */
export const baseAt = (host: Readonly<HostState>, tsc: bigint, base: BaseClock): bigint =>
  asU64((base === 'raw' ? monotonicRawAt(host, tsc) : monotonicAt(host, tsc)) + host.offsBoot);

/** Moves both references to `tsc`, as a tick does: whole seconds go to the base. */
function accumulate(self: HostState, tsc: bigint): void {
  const step = (shifted: bigint, shift: number): [xtimeNsec: bigint, seconds: bigint] => {
    const second = 1_000_000_000n << BigInt(shift);
    return [shifted % second, shifted / second];
  };
  const [monoXtime, monoSeconds] = step(monoShifted(self, tsc), self.monoShift);
  const [rawXtime, rawSeconds] = step(rawShifted(self, tsc), self.rawShift);
  if (tsc > self.monoCycleLast) self.monoCycleLast = tsc;
  if (tsc > self.rawCycleLast) self.rawCycleLast = tsc;
  self.monoXtimeNsec = monoXtime;
  self.monoBase += monoSeconds * 1_000_000_000n;
  self.rawXtimeNsec = rawXtime;
  self.rawBase += rawSeconds * 1_000_000_000n;
}

/** The clock mode an input brings. */
const modeOf = (ctx: Ctx): number =>
  inputOf(ctx, 'timekeeping_update', 'change_clocksource').vclockMode;

/** The clocksource has just left the TSC and some VM may rely on it. */
function queueGtodWork(self: HostState, ctx: Ctx): void {
  if (gtodIsBasedOnTsc(self.vclockMode, ctx.switches)) return;
  if (!self.kvmGuestHasMasterClock || self.gtodWorkQueued) return;
  self.gtodWorkQueued = true;
  ctx.out.emit({ type: 'timer_armed', name: 'pvclock_gtod_work', delayNs: 0n, vm: ctx.vmId });
}

export const timekeeperGuards = {
  clockModeIsTsc: (_self, ctx) => gtodIsBasedOnTsc(modeOf(ctx), ctx.switches),
  clockModeIsNotTsc: (_self, ctx) => !gtodIsBasedOnTsc(modeOf(ctx), ctx.switches),
} satisfies Record<string, HostGuard>;

export const timekeeperRecipes = {
  /** pvclock_gtod_notify(): the copy, and the work when the TSC is gone. */
  copyTimekeepers: (self, ctx) => {
    const update = inputOf(ctx, 'timekeeping_update');
    self.vclockMode = update.vclockMode;
    self.monoCycleLast = update.monoCycleLast;
    self.monoMult = update.monoMult;
    self.monoShift = update.monoShift;
    self.monoXtimeNsec = update.monoXtimeNsec;
    self.monoBase = update.monoBase;
    self.rawCycleLast = update.rawCycleLast;
    self.rawMult = update.rawMult;
    self.rawShift = update.rawShift;
    self.rawXtimeNsec = update.rawXtimeNsec;
    self.rawBase = update.rawBase;
    if (update.offsBoot !== undefined) self.offsBoot = update.offsBoot;
    if (update.offsReal !== undefined) self.offsReal = update.offsReal;
    queueGtodWork(self, ctx);
  },
  /** The clocks go on from where they are, whatever counts them from now on. */
  changeClocksource: (self, ctx) => {
    accumulate(self, ctx.input.tsc);
    self.vclockMode = modeOf(ctx);
    queueGtodWork(self, ctx);
  },
  steerMonotonic: (self, ctx) => {
    accumulate(self, ctx.input.tsc);
    self.monoMult = inputOf(ctx, 'adjtimex').monoMult;
  },
  setRealtime: (self, ctx) => {
    self.offsReal = inputOf(ctx, 'clock_settime').offsReal;
  },
  stopClocks: (self, ctx) => {
    accumulate(self, ctx.input.tsc);
  },
  /**
   * The clocks go on from where they stopped; the time slept is added to BOOTTIME and REALTIME alike
   * (`__timekeeping_inject_sleeptime()`), so that the host's boot stays where it was.
   */
  restartClocks: (self, ctx) => {
    const { offsBoot } = inputOf(ctx, 'resume');
    self.monoCycleLast = ctx.input.tsc;
    self.rawCycleLast = ctx.input.tsc;
    self.offsReal += offsBoot - self.offsBoot;
    self.offsBoot = offsBoot;
  },
  noteMasterclock: (self) => {
    self.kvmGuestHasMasterClock = true;
  },
  gtodWorkDone: (self, ctx) => {
    self.gtodWorkQueued = false;
    self.kvmGuestHasMasterClock = false;
    ctx.out.emit({ type: 'timer_fired', name: 'pvclock_gtod_work', vm: ctx.vmId });
  },
} satisfies Record<string, HostRecipe>;
