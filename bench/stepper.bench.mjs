/**
 * Whole dispatch, tables against actors, on the inputs of a bundled recording as the model replays
 * it; and what the guards and recipes alone take of it.
 *
 *     node bench/stepper.bench.mjs [RECORDING]
 *
 * Run after a build. Budget: at least 200 times the actors, at most 150 ns an event.
 */
import { hrtime } from 'node:process';
import { fileURLToPath } from 'node:url';

const dist = new URL('../dist/', import.meta.url);
const { actorStepper, TABLES, tableStepper, World } = await import(
  new URL('src/engine/index.js', dist)
);
const { conformanceOf, readRecording } = await import(new URL('replay/conformance/index.js', dist));
const clock = await import(new URL('src/clock/index.js', dist));

const name = process.argv[2] ?? 'threads-6.12';
const folder = fileURLToPath(new URL(`../test/fixtures/recordings/${name}`, import.meta.url));

/** The inputs of a recording, each with the readings that were taken from it. */
async function inputsOf(recording) {
  const { dispatch } = World.prototype;
  const runs = new Map();
  World.prototype.dispatch = function (input, source) {
    if (!runs.has(this)) {
      runs.set(this, { switches: this.switches, host: this.host.clone(), inputs: [] });
    }
    const reads = new Map();
    const noting =
      source &&
      ((reading, place) => {
        const value = source(reading, place);
        if (value !== undefined) {
          reads.set(reading, [...(reads.get(reading) ?? []), [place.vcpu?.vcpuIdx ?? 0, value]]);
        }
        return value;
      });
    const done = dispatch.call(this, input, noting);
    runs.get(this).inputs.push({ ...input, ...readingsOf(input, reads) });
    return done;
  };
  conformanceOf(recording);
  World.prototype.dispatch = dispatch;
  return [...runs.values()][0];
}

/** One value where a clock was read once, else one for each vCPU in its turn. */
function readingsOf({ readings }, reads) {
  if (reads.size === 0) return readings === undefined ? {} : { readings };
  const told = { ...readings };
  for (const [reading, values] of reads) {
    const each = [];
    for (const [index, value] of values) each[index] = value;
    told[reading] = values.length === 1 ? values[0][1] : Array.from(each, (v) => v ?? values[0][1]);
  }
  return { readings: told };
}

const { switches, host, inputs } = await inputsOf(await readRecording(folder));

/** Nanoseconds of one pass over all inputs in a new world, its making left out. */
function pass(stepper) {
  const world = new World({ switches, host, stepper });
  const from = hrtime.bigint();
  for (const input of inputs) world.dispatch(input);
  return Number(hrtime.bigint() - from) / inputs.length;
}

const CODE = {
  host: [clock.hostGuards, clock.hostRecipes],
  vm: [clock.vmGuards, clock.vmRecipes],
  vcpu: [clock.vcpuGuards, clock.vcpuRecipes],
};

/** The guards and recipes that one step calls, each with copies of all that it may look at. */
function callsOf(machine, self, signal, ctx) {
  const [guards, recipes] = CODE[machine];
  const calls = [];
  for (const [region, states] of Object.entries(TABLES[machine].regions)) {
    let node = states[self[region]]?.[signal];
    while (node?.ask !== undefined) {
      calls.push(guards[node.ask]);
      node = guards[node.ask](self, ctx) ? node.yes : node.no;
    }
    for (const name of node?.run ?? []) calls.push(recipes[name]);
  }
  return calls;
}

/** A context that stays as it is now; what is shown goes nowhere. */
function still(ctx) {
  const { input, switches } = ctx;
  const [host, vm, vcpu, bootVcpu] = [ctx.host, ctx.vm, ctx.vcpu, ctx.bootVcpu].map((s) =>
    s.clone(),
  );
  const known = new Map();
  const read = (reading) => {
    if (!known.has(reading)) known.set(reading, ctx.read(reading));
    return known.get(reading);
  };
  const out = { emit() {}, considered() {} };
  return { input, switches, host, vm, vcpu, bootVcpu, read, out };
}

/** All calls of guards and recipes that the inputs lead to. */
function recordCalls() {
  const calls = [];
  const right = tableStepper();
  const noting = (machine, cell) => ({
    state: cell.state,
    step(signal, ctx) {
      const codes = callsOf(machine, cell.state, signal, ctx);
      if (codes.length > 0) {
        const call = { codes, self: cell.state.clone(), ctx: still(ctx) };
        // Reads are made now, in the context's lifetime.
        for (const code of codes) code(cell.state.clone(), call.ctx);
        calls.push(call);
      }
      cell.step(signal, ctx);
    },
  });
  const stepper = {
    host: (state) => noting('host', right.host(state)),
    vm: (state, id) => noting('vm', right.vm(state, id)),
    vcpu: (state, id) => noting('vcpu', right.vcpu(state, id)),
  };
  const world = new World({ switches, host, stepper });
  for (const input of inputs) world.dispatch(input);
  return calls;
}

const calls = recordCalls();

/** Nanoseconds an input that guards and recipes alone take. */
function recipesAlone() {
  const from = hrtime.bigint();
  for (const { codes, self, ctx } of calls) for (const code of codes) code(self, ctx);
  return Number(hrtime.bigint() - from) / inputs.length;
}

const median = (numbers) => numbers.toSorted((a, b) => a - b)[numbers.length >> 1];

const ROUNDS = 9;
const TABLE_PASSES = 20;
const tables = [];
const actors = [];
const recipes = [];
const of = { table: tableStepper(), actor: actorStepper() };
for (let round = -3; round < ROUNDS; round++) {
  const table = median(Array.from({ length: TABLE_PASSES }, () => pass(of.table)));
  const recipe = median(Array.from({ length: TABLE_PASSES }, recipesAlone));
  const actor = pass(of.actor);
  if (round < 0) continue;
  tables.push(table);
  actors.push(actor);
  recipes.push(recipe);
}
const mix = new Map();
for (const { type } of inputs) mix.set(type, (mix.get(type) ?? 0) + 1);
const most = [...mix].sort((a, b) => b[1] - a[1]).slice(0, 6);
console.log(`${name}: ${inputs.length} inputs: ${most.map(([t, n]) => `${n} ${t}`).join(', ')} …`);
console.log(
  `dispatch: tables ${median(tables).toFixed(0)} ns/event, actors ${median(actors).toFixed(0)}, ` +
    `ratio ${(median(actors) / median(tables)).toFixed(0)}×`,
);
console.log(`of which guards and recipes alone: ${median(recipes).toFixed(0)} ns/event`);
