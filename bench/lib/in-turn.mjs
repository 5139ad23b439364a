/**
 * Measures several ways of doing the same in turn, so that a change of the machine's speed meets all
 * of them. Each has a thread of its own: what V8 has learned from one would slow down the others.
 */
import { once } from 'node:events';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

export const median = (numbers) => numbers.toSorted((a, b) => a - b)[numbers.length >> 1];

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
export async function mediansInTurn(file, names, data, { rounds = 9, warmUp = 3 } = {}) {
  const ways = names.map((name) => new Way(file, name, data));
  const figures = names.map(() => []);
  for (let round = -warmUp; round < rounds; round++) {
    for (const [index, way] of ways.entries()) {
      const figure = await way.measure();
      if (round >= 0) figures[index].push(figure);
    }
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
