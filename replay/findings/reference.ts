/**
 * What a page's reference was taken from, where a model knows it, and what the clocks did from one to
 * the next.
 *
 * A page says "at this TSC it was that late". Between two of them the guest counted its TSC by the
 * page's scale; the host's base clock counted MONOTONIC_RAW (or CLOCK_MONOTONIC, as NTP steers it)
 * and time slept; userspace may have set the clock. The jump is the sum of these steps.
 */
import type { BaseClock } from '../../src/clock/index.ts';
import type { Cause } from '../causes.ts';
import { type Page, scaledTsc, type TscScale } from '../guest-clock.ts';
import { cyclesToNs } from './rate.ts';

/** Where a page's time comes from. */
export interface Reference {
  readonly hostTsc: bigint;
  /** Which clock of the host's it is read from. */
  readonly base: BaseClock;
  /** The base clock as it was read then, time slept counted, ns. */
  readonly kernelNs: bigint;
  /** The same by the host's timekeepers, as far as they are known, ns. */
  readonly baseNs: bigint;
  /** CLOCK_MONOTONIC_RAW then, ns. */
  readonly rawNs: bigint;
  /** Time slept so far, ns. */
  readonly sleptNs: bigint;
  /** The VM's kvmclock offset, ns. */
  readonly offsetNs: bigint;
  /** Why it was taken. */
  readonly cause: Cause | undefined;
  /** What last set the VM's offset, if anything did since its creation. */
  readonly setBy: Cause | undefined;
}

/** What moved a clock from one reference to the next, ns; + is forward. */
export interface ReferenceSteps {
  /** The clock that the new reference was read from. */
  readonly base: BaseClock;
  /** Time by the old page: how long the old reference was in force. */
  readonly elapsedNs: bigint;
  /** What the host's clock without NTP, MONOTONIC_RAW, counted beyond the page. */
  readonly residueNs: bigint;
  /** What the base clock counted beyond MONOTONIC_RAW: NTP's steering. */
  readonly steeredNs: bigint;
  /** What its readings, as a log tells them, have beyond what is known of the timekeepers. */
  readonly toldNs: bigint;
  readonly sleptNs: bigint;
  /** By how much userspace set the clock. */
  readonly setNs: bigint;
  /** What earlier moves of the TSC, which the old page did not follow, are taken back by. */
  readonly takenBackNs: bigint;
}

/** The steps between two references of a guest whose TSC is scaled so. */
export function stepsBetween(
  from: Reference,
  to: Reference,
  page: Page,
  scale: TscScale | undefined,
  staleCycles: bigint,
): ReferenceSteps {
  const guestCycles = scaledTsc(scale, to.hostTsc) - scaledTsc(scale, from.hostTsc);
  const elapsedNs = cyclesToNs(page, guestCycles);
  const rawNs = to.rawNs - from.rawNs;
  const sleptNs = to.sleptNs - from.sleptNs;
  return {
    base: to.base,
    elapsedNs,
    residueNs: rawNs - elapsedNs,
    steeredNs: to.baseNs - from.baseNs - rawNs - sleptNs,
    toldNs: to.kernelNs - to.baseNs - (from.kernelNs - from.baseNs),
    sleptNs,
    setNs: to.offsetNs - from.offsetNs,
    takenBackNs: -cyclesToNs(page, staleCycles),
  };
}

/** What the steps come to, as far as formulas tell: what was read beyond them is a remainder. */
export const sumOf = (steps: ReferenceSteps): bigint =>
  steps.residueNs + steps.steeredNs + steps.sleptNs + steps.setNs + steps.takenBackNs;
