/**
 * Measures several ways of doing the same in turn, so that a change of the machine's speed meets all
 * of them. Each has a thread of its own: what V8 has learned from one would slow down the others.
 */
import { once } from 'node:events';
import { hrtime } from 'node:process';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { isQuick } from './quick.mjs';

export const median = (numbers) => numbers.toSorted((a, b) => a - b)[numbers.length >> 1];

const ROUNDS = isQuick ? 1 : 9;
/** V8 needs some millions of events until it has compiled what they take for good. */
const WARM_UP_NS = isQuick ? 0n : 3_000_000_000n;

/** A way that is measured by a thread: `measure()` gives its next figure. */
class Way {
  #worker;

  constructor(file, name, data) {
    this.#worker = new Worker(file, { workerData: { name, data } });
  }

  async measure() {
    this.#worker.postMessage('measure');
    const [figure] = await once(this.#worker, 'message');
    return figure;
  }

  async warmUp() {
    const from = hrtime.bigint();
    while (hrtime.bigint() - from < WARM_UP_NS) await this.measure();
  }

  end() {
    return this.#worker.terminate();
  }
}

/**
 * Medians of each way.
 *
 * @param file - module that answers for its ways (`answer`).
 * @param names - of the ways.
 * @param data - what all of them get.
 */
export async function mediansInTurn(file, names, data) {
  const ways = names.map((name) => new Way(file, name, data));
  const figures = names.map(() => []);
  for (const way of ways) await way.warmUp();
  for (let round = 0; round < ROUNDS; round++) {
    for (const [index, way] of ways.entries()) figures[index].push(await way.measure());
  }
  await Promise.all(ways.map((way) => way.end()));
  return Object.fromEntries(names.map((name, index) => [name, median(figures[index])]));
}

/** In a thread: measures its way whenever asked. `ways` makes, by name, what gives one figure. */
export function answer(ways) {
  if (isMainThread) return;
  const { name, data } = workerData;
  const measure = ways[name](data);
  parentPort.on('message', () => parentPort.postMessage(measure()));
}
