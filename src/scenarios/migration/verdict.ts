/** What migrations come to in a line. */
import { formatSignedNs } from '../../../replay/quantity.ts';
import type { MigrationRow, MigrationVerdict } from './rows.ts';

const size = (ns: bigint): bigint => (ns < 0n ? -ns : ns);

/** The row whose clock is furthest off. */
function furthest(rows: readonly MigrationRow[], of: 'tscNs' | 'kvmclockNs'): MigrationRow {
  const [first, ...rest] = rows;
  if (first === undefined) throw new RangeError('expected a row, found none');
  return rest.reduce((most, row) => (size(row[of]) > size(most[of]) ? row : most), first);
}

const names = (rows: readonly MigrationRow[]): string =>
  [...new Set(rows.map(({ policy }) => policy))].join(', ');

/** The line: how far clocks are off where a VMM does not give up, who loses STABLE, who gives up. */
export function verdictOf(verdicts: readonly MigrationVerdict[]): string {
  const gaveUp = verdicts.filter(({ journey }) => journey.refused.length > 0);
  const went = verdicts.filter((verdict) => !gaveUp.includes(verdict));
  const rowsOf = (some: readonly MigrationVerdict[]) => some.flatMap(({ rows }) => rows);
  const refused = gaveUp.length === 0 ? [] : [`refused: ${names(rowsOf(gaveUp))}`];
  if (went.length === 0) return refused.join();
  const rows = rowsOf(went);
  const [tsc, kvmclock] = [furthest(rows, 'tscNs'), furthest(rows, 'kvmclockNs')];
  const by = ({ policy }: MigrationRow): string => (verdicts.length > 1 ? ` (${policy})` : '');
  const lost = rows.filter(({ stableBit }) => stableBit === 'lost');
  return [
    `TSC off by ${formatSignedNs(tsc.tscNs)}${by(tsc)}`,
    `kvmclock by ${formatSignedNs(kvmclock.kvmclockNs)}${by(kvmclock)}`,
    ...(lost.length > 0 ? [`STABLE lost: ${names(lost)}`] : []),
    ...refused,
  ].join(', ');
}
