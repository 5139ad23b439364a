/** Cycles and time by a page's rate. */
import { scaleDelta } from '../../src/num/index.ts';
import type { Page } from '../guest-clock.ts';
import { groups } from '../quantity.ts';

export const magnitude = (n: bigint): bigint => (n < 0n ? -n : n);

/** A signed number of guest cycles at a page's rate, ns. */
export function cyclesToNs(page: Page, cycles: bigint): bigint {
  const ns = scaleDelta(magnitude(cycles), page.tscToSystemMul, page.tscShift);
  return cycles < 0n ? -ns : ns;
}

export const formatCycles = (cycles: bigint): string =>
  `${cycles < 0n ? '−' : '+'}${groups(magnitude(cycles))} cycles`;
