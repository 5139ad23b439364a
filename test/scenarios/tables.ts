/** The tables of scenarios, to look numbers up in. */
import { scenarioOf } from '../../src/scenarios/all.ts';
import { type PlayOptions, play } from '../../src/scenarios/play.ts';
import type { Cell } from '../../src/scenarios/scenario.ts';

/** What a scenario came to, its rows by their first cells and then by columns. */
export async function rowsOf(name: string, options: PlayOptions = {}) {
  const played = await play(scenarioOf(name), options);
  const { columns, rows } = played.table;
  const cells = (row: readonly Cell[]): Record<string, Cell> =>
    Object.fromEntries(row.map((cell, i) => [columns[i]!, cell]));
  return { ...played, rows: rows.map(cells) };
}

/** A patch of the clock mess: what is seen without it and with it. */
export async function patchSeen(patch: number, options: PlayOptions = {}) {
  const params = { ...options.params, patch: String(patch) };
  const { table, ...played } = await play(scenarioOf('clock-mess'), { ...options, params });
  const column = (i: 1 | 2): Record<string, Cell> =>
    Object.fromEntries(table.rows.map((row) => [String(row[0]), row[i]!]));
  return { ...played, before: column(1), after: column(2) };
}
