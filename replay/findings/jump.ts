/**
 * The jump itself: how far a guest's clock moved between two entries.
 *
 * Old and new (page, offset) are read at one host TSC. Where only the reference moved, the instant
 * does not matter, and the new page's own tsc_timestamp is taken: the form in which kernel
 * developers state a jump, exact to the nanosecond. Where a scale or an offset changed alone, or a
 * reading lies before its page's reference and wraps, the instant of the entry is taken.
 */

import { asS64, scaleDelta } from '../../src/num/index.ts';
import {
  type ClockView,
  guestTscAt,
  isStable,
  kvmclockAt,
  type Page,
  sameReference,
  sameScale,
  sameTscScale,
  tscChange,
  wrapsAt,
} from '../guest-clock.ts';

/** A change of what a guest reads. */
export interface ClockChange {
  readonly from: Page;
  readonly to: Page;
  /** What offset and scale moved the guest's TSC by, signed cycles. */
  readonly offsetCycles: bigint;
  readonly pageChanged: boolean;
  /** New minus old, ns. */
  readonly deltaNs: bigint;
  /** The guest reads before its page's reference, now or before but not both: a wrap. */
  readonly wraps: boolean;
  /** Host cycles from the old reference to the new one. */
  readonly elapsedCycles: bigint;
}

/**
 * Compares two views that both hold a page. `hostTsc`: host TSC of the entry, or `undefined`.
 * Returns `undefined` where one of them holds none.
 */
export function clockChange(
  from: ClockView,
  to: ClockView,
  hostTsc: bigint | undefined,
): ClockChange | undefined {
  if (typeof from.page !== 'object' || typeof to.page !== 'object') return undefined;
  const offsetCycles = tscChange(from, to, hostTsc);
  const pageChanged = !sameReference(from.page, to.page);
  const step =
    pageChanged || offsetCycles !== 0n
      ? measure(from.page, to.page, offsetCycles, {
          entry: hostTsc === undefined ? undefined : guestTscAt(to, hostTsc),
          tscRateKept: sameTscScale(from, to),
        })
      : { deltaNs: 0n, wraps: false };
  return {
    from: from.page,
    to: to.page,
    offsetCycles,
    pageChanged,
    deltaNs: step.deltaNs,
    wraps: step.wraps,
    elapsedCycles: asS64(to.page.tscTimestamp - from.page.tscTimestamp - offsetCycles),
  };
}

interface Step {
  readonly deltaNs: bigint;
  readonly wraps: boolean;
}

/** Reads both pages at one host TSC: `guestTsc` is what the guest's TSC shows there now. */
function stepAt(from: Page, to: Page, guestTsc: bigint, offsetCycles: bigint): Step {
  const before = guestTsc - offsetCycles;
  return {
    deltaNs: kvmclockAt(to, guestTsc) - kvmclockAt(from, before),
    wraps: wrapsAt(from, before) !== wrapsAt(to, guestTsc),
  };
}

/** `entry`: the guest's TSC at the entry, where known. */
function measure(
  from: Page,
  to: Page,
  offsetCycles: bigint,
  { entry, tscRateKept }: { readonly entry: bigint | undefined; readonly tscRateKept: boolean },
): Step {
  const pageChanged = !sameReference(from, to);
  const reference = to.tscTimestamp;
  // A page just written lies in the past: a TSC before it is not the guest's (it may be scaled).
  if (entry !== undefined && !(pageChanged && wrapsAt(to, entry))) {
    const rateKept = tscRateKept && sameScale(from, to) && !wrapsAt(from, reference - offsetCycles);
    const wrapped = wrapsAt(from, entry - offsetCycles);
    if (!pageChanged || wrapped || !rateKept) return stepAt(from, to, entry, offsetCycles);
  }
  if (pageChanged) return stepAt(from, to, reference, offsetCycles);
  // No instant is known: the offset alone moved an unchanged page, at its own rate.
  const size = offsetCycles < 0n ? -offsetCycles : offsetCycles;
  const moved = scaleDelta(size, to.tscToSystemMul, to.tscShift);
  return { deltaNs: offsetCycles < 0n ? -moved : moved, wraps: false };
}

/** The guest takes one of the two readings as it is, without Linux's clamp. */
export const trusted = ({ from, to }: ClockChange): boolean => isStable(from) || isStable(to);
