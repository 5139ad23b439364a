/** Scenarios’ tables, cell by column. */
import { scenarioOf } from '../../src/scenarios/all.ts';
import { type PlayOptions, play } from '../../src/scenarios/play.ts';
import type { Cell } from '../../src/scenarios/scenario.ts';

/** Plays one; its rows by their columns. */
export async function table(name: string, options: PlayOptions = {}) {
  const played = await play(scenarioOf(name), options);
  const { columns, rows: cells, verdict } = played.table;
  const rows = cells.map((row) => Object.fromEntries(row.map((cell, i) => [columns[i]!, cell])));
  return { ...played, rows, verdict };
}

/** A cell that is a number. */
export const big = (cell: Cell | undefined): bigint => {
  if (typeof cell !== 'bigint') throw new TypeError(`expected ns, found ${String(cell)}`);
  return cell;
};
