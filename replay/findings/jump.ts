/**
 * The jump itself: how far a guest's clock moved between two entries.
 *
 * Old and new (page, offset) are read at one host TSC. Where only the reference moved, the instant
 * does not matter, and the new page's own tsc_timestamp is taken: the form in which kernel
 * developers state a jump, exact to the nanosecond. Where a scale or an offset changed alone, or a
 * reading lies before its page's reference and wraps, the instant of the entry is taken.
 */

import { addU64, asS64, scaleDelta } from '../../src/num/index.ts';
import {
  type ClockView,
  isStable,
  kvmclockAt,
  offsetChange,
  type Page,
  sameReference,
  sameScale,
  wrapsAt,
} from '../guest-clock.ts';

/** A change of what a guest reads. */
export interface ClockChange {
  readonly from: Page;
  readonly to: Page;
  /** Change of the TSC offset, signed cycles. */
  readonly offsetCycles: bigint;
  readonly pageChanged: boolean;
  /** New minus old, ns. */
  readonly deltaNs: bigint;
  /** The guest reads before a page's reference now, or did before: its arithmetic wraps. */
  readonly wraps: boolean;
  /** Host cycles from the old reference to the new one. */
  readonly elapsedCycles: bigint;
}

/** Beyond this a difference can only come from a wrap. */
const WRAPPED = 1n << 62n;

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
  const offsetCycles = offsetChange(from, to);
  const pageChanged = !sameReference(from.page, to.page);
  const deltaNs =
    pageChanged || offsetCycles !== 0n
      ? difference(from.page, to.page, offsetCycles, to.tscOffset, hostTsc)
      : 0n;
  return {
    from: from.page,
    to: to.page,
    offsetCycles,
    pageChanged,
    deltaNs,
    wraps: deltaNs >= WRAPPED || deltaNs <= -WRAPPED,
    elapsedCycles: asS64(to.page.tscTimestamp - from.page.tscTimestamp - offsetCycles),
  };
}

function difference(
  from: Page,
  to: Page,
  offsetCycles: bigint,
  tscOffset: bigint | undefined,
  hostTsc: bigint | undefined,
): bigint {
  const at = (guestTsc: bigint): bigint =>
    kvmclockAt(to, guestTsc) - kvmclockAt(from, guestTsc - offsetCycles);
  const reference = to.tscTimestamp;
  const entry =
    hostTsc === undefined || tscOffset === undefined ? undefined : addU64(hostTsc, tscOffset);
  const wrapsAtEntry =
    entry !== undefined && (wrapsAt(to, entry) || wrapsAt(from, entry - offsetCycles));
  const rateKept = sameScale(from, to) && !wrapsAt(from, reference - offsetCycles);
  if (entry !== undefined && (wrapsAtEntry || !rateKept || sameReference(from, to))) {
    return at(entry);
  }
  if (!sameReference(from, to)) return at(reference);
  // No instant is known: the offset alone moved an unchanged page, at its own rate.
  const size = offsetCycles < 0n ? -offsetCycles : offsetCycles;
  const moved = scaleDelta(size, to.tscToSystemMul, to.tscShift);
  return offsetCycles < 0n ? -moved : moved;
}

/** The guest takes one of the two readings as it is, without Linux's clamp. */
export const trusted = ({ from, to }: ClockChange): boolean => isStable(from) || isStable(to);
