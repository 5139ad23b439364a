/**
 * What an event costs in a world of one vCPU, of many, and of many VMs: it must not depend on those
 * to which nothing happens. What shows with 1,000 VMs is that the state of one, when its turn comes, has
 * left the nearer caches: some 4 ns for each of the 130 events of a turn where the machine is quiet.
 *
 *     node bench/flat.bench.mjs
 */
import { hrtime } from 'node:process';
import { isMainThread } from 'node:worker_threads';
import { BusyWorld, PROFILE } from './lib/busy-world.mjs';
import { answer, mediansInTurn } from './lib/in-turn.mjs';
import { dispatchStretches, ThroughLog } from './lib/rows.mjs';

const SIZES = {
  '1 vCPU': { vms: 1, vcpus: 1 },
  '16 vCPUs': { vms: 1, vcpus: 16 },
  '288 vCPUs': { vms: 1, vcpus: 288 },
  '100 VMs': { vms: 100, vcpus: 1 },
  '1000 VMs': { vms: 1000, vcpus: 1 },
};
const INPUTS = 130_000;

/** Nanoseconds an event of the inputs that come next. */
function measured(size) {
  const busy = new BusyWorld(size);
  const log = new ThroughLog(busy.world, PROFILE);
  return () => {
    const inputs = busy.next(INPUTS);
    const stretches = log.take(inputs);
    const from = hrtime.bigint();
    dispatchStretches(busy.world, stretches);
    return Number(hrtime.bigint() - from) / inputs.length;
  };
}

answer(
  Object.fromEntries(Object.entries(SIZES).map(([name, size]) => [name, () => measured(size)])),
);

if (isMainThread) {
  const names = Object.keys(SIZES);
  const figures = await mediansInTurn(new URL(import.meta.url), names, undefined);
  for (const name of names) {
    const ratio = figures[name] / figures['1 vCPU'];
    console.log(
      `${name.padEnd(10)} ${figures[name].toFixed(0).padStart(6)} ns/event ${ratio.toFixed(2)}×`,
    );
  }
}
