/**
 * Whole dispatch, tables against actors, on the inputs of a bundled recording as the model replays
 * it; and what the guards and recipes alone take of it.
 *
 *     node bench/stepper.bench.mjs
 *
 * Run after a build. Budget: at least 200 times the actors, at most 150 ns an event.
 */
import { isMainThread } from 'node:worker_threads';
import { historyOf, logBytesOf } from './lib/history.mjs';
import { answer, mediansInTurn } from './lib/in-turn.mjs';
import { isQuick } from './lib/quick.mjs';
import { dispatchAll, recipesAlone } from './lib/stepper-ways.mjs';

/** Of the tables for one of the actors, so that both are measured about as long. */
const PASSES = isQuick ? 2 : 400;

const WAYS = {
  tables: (history) => dispatchAll(history, 'tables', 'rows', PASSES),
  actors: (history) => dispatchAll(history, 'actors', 'rows', 1),
  tablesSingle: (history) => dispatchAll(history, 'tables', 'single', PASSES),
  actorsSingle: (history) => dispatchAll(history, 'actors', 'single', 1),
  recipes: (history) => recipesAlone(history, PASSES),
};

answer(
  Object.fromEntries(Object.entries(WAYS).map(([name, way]) => [name, (b) => way(historyOf(b))])),
);

if (isMainThread) {
  const name = 'threads-6.12';
  const bytes = await logBytesOf(name);
  const history = historyOf(bytes);
  const figures = await mediansInTurn(new URL(import.meta.url), Object.keys(WAYS), bytes);
  const mix = new Map();
  for (const { type } of history.inputs) mix.set(type, (mix.get(type) ?? 0) + 1);
  const most = [...mix].sort((a, b) => b[1] - a[1]).slice(0, 6);
  const inputs = `${history.inputs.length} inputs`;
  console.log(`${name}: ${inputs}: ${most.map(([t, n]) => `${n} ${t}`).join(', ')} …`);
  const compare = (what, tables, actors) =>
    console.log(
      `${what}: tables ${tables.toFixed(0)} ns/event, actors ${actors.toFixed(0)}, ` +
        `ratio ${(actors / tables).toFixed(0)}×`,
    );
  compare('dispatch in rows, as replays do', figures.tables, figures.actors);
  compare('dispatch one by one, as embedders do', figures.tablesSingle, figures.actorsSingle);
  console.log(`of which guards and recipes alone: ${figures.recipes.toFixed(0)} ns/event`);
}
