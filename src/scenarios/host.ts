/**
 * A host in a scenario: how its clocks go on while nothing else happens.
 *
 * Time passes in ns by the TSC's nominal frequency. The clocks are the host struct's own timekeepers,
 * which give the same numbers whether they are ticked or not; so no tick is made that changes nothing.
 * NTP does change something: the kernel steers CLOCK_MONOTONIC by a multiplier of few bits, one less
 * or one more from tick to tick, so that the mean is what was asked for. Here the same is done with
 * two stretches, so that the clock is exact at the end of each passage of time.
 *
 * Source: `timekeeping_adjust()`, kernel/time/timekeeping.c.
 */
import type { Input } from '../../events/index.ts';
import { type BaseClock, baseAt, monotonicAt, realtimeAt } from '../clock/index.ts';
import type { Dispatched, World } from '../engine/index.ts';

/** Lets something happen to the world. */
export type Dispatch = (input: Input) => Dispatched;

/** What the TSC does while the host sleeps. */
export type SleepingTsc = 'counts' | 'stops' | 'restarts';

const PPT = 1_000_000_000_000n;
/** A cycle is at most 2 ns long: how far a reading may be off for being cut. */
const MOST_CUT_NS = 4n;
/** A TSC that began anew reads so much when the boot CPU is back, ns. */
const RESTARTED_NS = 1_000_000_000n;

export class SimulatedHost {
  readonly #world: World;
  readonly #dispatch: Dispatch;
  readonly #khz: bigint;
  /** An instant and the TSC then: what later ones are reckoned from. */
  #anchorTsc: bigint;
  #sinceAnchorNs = 0n;
  #timeNs = 0n;
  /** What NTP steers CLOCK_MONOTONIC by, parts in 10^12. */
  #ntpPpt = 0n;

  constructor(world: World, dispatch: Dispatch, tsc: bigint) {
    this.#world = world;
    this.#dispatch = dispatch;
    this.#khz = BigInt(world.host.tscKhz);
    this.#anchorTsc = tsc;
  }

  /** Host TSC now. */
  get tsc(): bigint {
    return this.tscIn(0n);
  }

  /** Host TSC when so many ns have passed from now. */
  tscIn(ns: bigint): bigint {
    return this.#anchorTsc + this.cycles(this.#sinceAnchorNs + ns);
  }

  /** Time passed on this host since the scenario began, as told to `pass` and `sleep`, ns. */
  get timeNs(): bigint {
    return this.#timeNs;
  }

  /** CLOCK_REALTIME now, ns. */
  get realtimeNs(): bigint {
    return realtimeAt(this.#world.host, this.tsc);
  }

  /** CLOCK_MONOTONIC now, ns. */
  get monotonicNs(): bigint {
    return this.#monotonicIn(0n);
  }

  /** CLOCK_MONOTONIC when so many ns have passed from now, by the multiplier that it has. */
  #monotonicIn(ns: bigint): bigint {
    return monotonicAt(this.#world.host, this.tscIn(ns));
  }

  /** In how many ns from now, at the earliest, CLOCK_MONOTONIC reads so much. */
  nsUntilMonotonic(dueNs: bigint): bigint {
    let ns = dueNs - this.#monotonicIn(0n);
    // Its rate is within 10 % of the TSC's, so that each step leaves a tenth of what was missing,
    // until readings, which are cut to ns and to cycles, do not tell any more.
    for (let off = ns; off > MOST_CUT_NS || off < -MOST_CUT_NS; ns += off) {
      off = dueNs - this.#monotonicIn(ns);
    }
    while (this.#monotonicIn(ns) < dueNs) ns++;
    while (ns > 0n && this.#monotonicIn(ns - 1n) >= dueNs) ns--;
    return ns;
  }

  /** A base clock of KVM now, ns. */
  baseNs(base: BaseClock): bigint {
    return baseAt(this.#world.host, this.tsc, base);
  }

  /** TSC cycles in so many ns, rounded down. */
  cycles(ns: bigint): bigint {
    return (ns * this.#khz) / 1_000_000n;
  }

  /** From now on NTP steers CLOCK_MONOTONIC by so much, parts in 10^12 of the TSC's frequency. */
  steer(ppt: bigint): void {
    this.#ntpPpt = ppt;
  }

  /** Time passes. */
  pass(ns: bigint): void {
    const from = this.tsc;
    this.#sinceAnchorNs += ns;
    this.#timeNs += ns;
    this.#steer(from, this.tsc - from);
  }

  /** Time passes until CLOCK_MONOTONIC, which hrtimers go by, has counted so much. */
  passMonotonic(ns: bigint): void {
    const due = this.monotonicNs + ns;
    while (this.monotonicNs < due) this.pass(this.nsUntilMonotonic(due));
  }

  /** So late is it after what was done step by step; CLOCK_MONOTONIC went on as it last did. */
  reach(tsc: bigint): void {
    if (tsc <= this.tsc) return;
    this.#timeNs += ((tsc - this.tsc) * 1_000_000n) / this.#khz;
    this.#anchorTsc = tsc;
    this.#sinceAnchorNs = 0n;
  }

  /**
   * The host sleeps for so long and wakes up; whatever runs must have stopped. Time slept counts in
   * BOOTTIME, by a clock that goes on: the RTC.
   *
   * @param countedNs - what a TSC that goes on counts meanwhile, where the RTC says otherwise.
   */
  sleep(ns: bigint, tsc: SleepingTsc, countedNs = ns): void {
    const at = this.tsc;
    this.#timeNs += ns;
    this.#dispatch({ type: 'suspend', tsc: at });
    this.#dispatch({ type: 'timekeeping_suspend', tsc: at });
    this.#wake(at, countedNs, tsc);
    const offsBoot = this.#world.host.offsBoot + ns;
    this.#dispatch({ type: 'resume', cpu: 0, offsBoot, tsc: this.tsc });
    this.#dispatch({ type: 'suspend_end', tsc: this.tsc });
  }

  #wake(at: bigint, countedNs: bigint, tsc: SleepingTsc): void {
    if (tsc === 'counts') this.#sinceAnchorNs += countedNs;
    if (tsc !== 'restarts') return;
    this.#anchorTsc = this.cycles(RESTARTED_NS) < at ? this.cycles(RESTARTED_NS) : at;
    this.#sinceAnchorNs = 0n;
  }

  /** CLOCK_MONOTONIC's multiplier for the next `cycles`, in two stretches that differ by one. */
  #steer(from: bigint, cycles: bigint): void {
    if (cycles === 0n) return;
    const { rawMult, monoMult, monoShift } = this.#world.host;
    const steered = (cycles * this.#ntpPpt * (1n << BigInt(monoShift)) * 1_000_000n) / this.#khz;
    const total = cycles * BigInt(rawMult) + floorDiv(steered, PPT);
    const mult = total / cycles;
    const longer = total - mult * cycles;
    if (Number(mult) !== monoMult) {
      this.#dispatch({ type: 'adjtimex', monoMult: Number(mult), tsc: from });
    }
    if (longer > 0n) {
      const tsc = from + cycles - longer;
      this.#dispatch({ type: 'adjtimex', monoMult: Number(mult) + 1, tsc });
    }
  }
}

const floorDiv = (a: bigint, b: bigint): bigint => {
  const quotient = a / b;
  return a % b !== 0n && a < 0n !== b < 0n ? quotient - 1n : quotient;
};
