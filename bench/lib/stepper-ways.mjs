/** The ways that the stepper's bench compares: dispatch by tables or actors, and recipes alone. */
import { hrtime } from 'node:process';
import { median } from './in-turn.mjs';
import { dispatchStretches } from './rows.mjs';

const dist = new URL('../../dist/', import.meta.url);
const { actorStepper, cellOf, tableStepper } = await import(new URL('src/engine/index.js', dist));
const { deriveTable } = await import(new URL('src/engine/derive/index.js', dist));
const machines = await import(new URL('machines/index.js', dist));
const clock = await import(new URL('src/clock/index.js', dist));

/** Nanoseconds an input that `all` takes for so many. */
function nsEach(inputs, all) {
  const from = hrtime.bigint();
  all();
  return Number(hrtime.bigint() - from) / inputs;
}

const medianOf = (passes, pass) => median(Array.from({ length: passes }, pass));

const STEPPERS = { tables: tableStepper, actors: actorStepper };

/** What lets all inputs happen: rows of them, as replays do, or one by one, as embedders do. */
const DISPATCHES = {
  rows: (world, { stretches }) => dispatchStretches(world, stretches),
  single: (world, { inputs }) => {
    for (const input of inputs) world.dispatch(input);
  },
};

/** Dispatches all inputs to a new world, whose making is left out. */
export function dispatchAll(history, by, how, passes) {
  const stepper = STEPPERS[by]();
  const pass = () => {
    const world = history.newWorld(stepper);
    return nsEach(history.inputs.length, () => DISPATCHES[how](world, history));
  };
  return () => medianOf(passes, pass);
}

const CODE = {
  host: [clock.hostGuards, clock.hostRecipes],
  vm: [clock.vmGuards, clock.vmRecipes],
  vcpu: [clock.vcpuGuards, clock.vcpuRecipes],
};

const TABLES = {
  host: deriveTable(machines.hostMachine),
  vm: deriveTable(machines.vmMachine),
  vcpu: deriveTable(machines.vcpuMachine),
};

/** The guards and recipes that one step calls. */
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

/**
 * A context that can be used later: the world's own structs, which are those of its end by then, and
 * clocks that read as they did; one that was not read then gives the instant.
 */
function kept({ input, switches, host, vmId, vm, vcpu, bootVcpu }, reads) {
  const out = { seesWrites: true, emit() {}, considered() {} };
  const read = (reading) => reads.get(reading) ?? input.tsc;
  return { input, switches, host, vmId, vm, vcpu, bootVcpu, read, out };
}

/** All calls of guards and recipes that the inputs lead to, on the structs of one world. */
function recordCalls({ inputs, newWorld }) {
  const calls = [];
  const right = tableStepper();
  const noting = (machine, signals, cell) =>
    cellOf(signals, {
      state: cell.state,
      step(signal, ctx) {
        const codes = callsOf(machine, cell.state, signal, ctx);
        const reads = new Map();
        const noted = Object.create(ctx, {
          read: {
            value(reading) {
              reads.set(reading, ctx.read(reading));
              return reads.get(reading);
            },
          },
        });
        cell[signal](noted);
        if (codes.length > 0) calls.push({ codes, self: cell.state, ctx: kept(ctx, reads) });
      },
    });
  const { HOST_SIGNALS, VM_SIGNALS, VCPU_SIGNALS } = machines;
  const stepper = {
    host: (state) => noting('host', HOST_SIGNALS, right.host(state)),
    vm: (state, id) => noting('vm', VM_SIGNALS, right.vm(state, id)),
    vcpu: (state, id) => noting('vcpu', VCPU_SIGNALS, right.vcpu(state, id)),
  };
  const world = newWorld(stepper);
  for (const input of inputs) world.dispatch(input);
  return calls;
}

/** Guards and recipes alone, as the inputs lead to them. */
export function recipesAlone(history, passes) {
  const calls = recordCalls(history);
  const pass = () =>
    nsEach(history.inputs.length, () => {
      for (const { codes, self, ctx } of calls) for (const code of codes) code(self, ctx);
    });
  return () => medianOf(passes, pass);
}
