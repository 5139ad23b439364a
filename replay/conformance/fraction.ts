/**
 * The fraction of a nanosecond at which CLOCK_MONOTONIC_RAW stood, where no probe shows it.
 *
 * The clock is a straight line, and every snapshot of a masterclock is a point on it rounded down.
 * Each point bounds the line; together they leave a narrow span for its fraction.
 */
import type { HostState } from '../../src/clock/index.ts';
import type { FuturePage } from './future.ts';

/** A span of the circle of fractions: from `start` on, `length` long. */
interface Arc {
  readonly start: bigint;
  readonly length: bigint;
}

/** What the pages of one stretch, in which the clock was not set, leave for the fraction. */
function arcOf(pages: readonly FuturePage[], host: Readonly<HostState>): Arc | undefined {
  const one = 1n << BigInt(host.rawShift);
  let least: bigint | undefined;
  let most: bigint | undefined;
  for (const { event, hostTsc } of pages) {
    const line = (hostTsc - host.rawCycleLast) * BigInt(host.rawMult);
    const from = event.systemTime * one - line;
    least = least === undefined || from > least ? from : least;
    most = most === undefined || from < most ? from : most;
  }
  if (least === undefined || most === undefined) return undefined;
  const length = most + one - least;
  return length > 0n ? { start: BigInt.asUintN(64, least) % one, length } : undefined;
}

const isIn = (fraction: bigint, { start, length }: Arc, one: bigint): boolean =>
  (fraction - start + one) % one < length;

/**
 * The fraction that fits most stretches, ns shifted as the clock has it; 0 without any.
 *
 * @param stretches - snapshots' pages, those between two settings of one VM's clock together.
 */
export function rawFraction(
  stretches: readonly (readonly FuturePage[])[],
  host: Readonly<HostState>,
): bigint {
  const one = 1n << BigInt(host.rawShift);
  const arcs = stretches.map((pages) => arcOf(pages, host)).filter((arc) => arc !== undefined);
  const middle = ({ start, length }: Arc): bigint => (start + length / 2n) % one;
  const candidates = arcs.flatMap((arc) => [arc.start, middle(arc)]);
  let best = 0n;
  let fits = 0;
  for (const candidate of candidates) {
    const count = arcs.filter((arc) => isIn(candidate, arc, one)).length;
    if (count > fits) [best, fits] = [candidate, count];
  }
  return best;
}
