/**
 * The comparison of actors and tables sees mistakes: every table with one mistake is told from the
 * right one by some history.
 *
 * Left out by rule are only mistakes that cannot show: at a place that no history comes to (every
 * transition is taken somewhere, `equality.test.ts`, but not in every state and with every answer);
 * the loss of what never had an effect there, such as raising a request that is always up already;
 * and the exchange of two recipes that commute by what they touch (`footprint.ts`).
 */
import { afterAll, expect, test } from 'vitest';
import { commute } from './footprint.ts';
import { differs, references, Visits } from './references.ts';
import { spotText, TABLES, type TableFault, tableFaults } from './table-faults.ts';
import { stepperOf } from './table-runner.ts';

const all = references(60);
const visits = new Visits(all);
const counts = new Map<string, number>();

const nameOf = ({ spot, kind, what }: TableFault): string => `${spotText(spot)}: ${kind} ${what}`;

const count = (what: string): void => {
  counts.set(what, (counts.get(what) ?? 0) + 1);
};

/** Why a mistake cannot show, if it cannot. */
function excuse({ kind, spot, what, swapped }: TableFault): string | undefined {
  if (visits.at(spot).length === 0) return 'at a place no history comes to';
  const isIdle =
    (kind === 'recipe dropped' && !visits.isBusy(spot, what)) ||
    (kind === 'entry dropped' && !visits.isEverBusy(spot));
  if (isIdle) return 'the loss of what never had an effect there';
  if (swapped === undefined) return undefined;
  const [a, b] = swapped.map((recipe) => visits.footprint(spot.machine, recipe));
  return commute(a!, b!) ? 'recipes that commute' : undefined;
}

test('the right tables do not differ', () => {
  expect(all.filter((reference) => differs(reference, stepperOf(TABLES)))).toEqual([]);
});

test('every mistake in a table is seen', () => {
  const missed: string[] = [];
  for (const fault of tableFaults()) {
    const excused = excuse(fault);
    if (excused !== undefined) {
      count(`left out: ${excused}`);
      continue;
    }
    const stepper = stepperOf(fault.tables);
    if (visits.at(fault.spot).some((reference) => differs(reference, stepper))) {
      count(`seen: ${fault.kind}`);
    } else missed.push(nameOf(fault));
  }
  expect(missed).toEqual([]);
  const seen = [...counts].filter(([what]) => what.startsWith('seen'));
  expect(seen.reduce((sum, [, n]) => sum + n, 0)).toBeGreaterThan(300);
  expect(seen.map(([what]) => what)).toHaveLength(5);
});

afterAll(() => {
  process.stdout.write(`${[...counts].map(([what, n]) => `${what}: ${n}`).join('\n')}\n`);
});
