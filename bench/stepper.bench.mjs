/**
 * Whole dispatch, tables against actors, on the inputs of a bundled recording as the model replays
 * it; and what the guards and recipes alone take of it.
 *
 *     node bench/stepper.bench.mjs [RECORDING]
 *
 * Run after a build. Budget: at least 200 times the actors, at most 150 ns an event.
 */
import { isMainThread } from 'node:worker_threads';
import { historyOf, logBytesOf } from './lib/history.mjs';
import { answer, mediansInTurn } from './lib/in-turn.mjs';
import { dispatchAll, recipesAlone } from './lib/stepper-ways.mjs';

answer({
  tables: (bytes) => dispatchAll(historyOf(bytes), 'table', 20),
  actors: (bytes) => dispatchAll(historyOf(bytes), 'actor', 1),
  recipes: (bytes) => recipesAlone(historyOf(bytes), 20),
});

if (isMainThread) {
  const name = process.argv[2] ?? 'threads-6.12';
  const bytes = await logBytesOf(name);
  const history = historyOf(bytes);
  const ways = ['tables', 'actors', 'recipes'];
  const { tables, actors, recipes } = await mediansInTurn(new URL(import.meta.url), ways, bytes);
  const mix = new Map();
  for (const { type } of history.inputs) mix.set(type, (mix.get(type) ?? 0) + 1);
  const most = [...mix].sort((a, b) => b[1] - a[1]).slice(0, 6);
  const inputs = `${history.inputs.length} inputs`;
  console.log(`${name}: ${inputs}: ${most.map(([t, n]) => `${n} ${t}`).join(', ')} …`);
  console.log(
    `dispatch: tables ${tables.toFixed(0)} ns/event, actors ${actors.toFixed(0)}, ` +
      `ratio ${(actors / tables).toFixed(0)}×`,
  );
  console.log(`of which guards and recipes alone: ${recipes.toFixed(0)} ns/event`);
}
