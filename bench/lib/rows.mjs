/** Inputs in rows, as logs are replayed. */
const dist = new URL('../../dist/', import.meta.url);
const { headerOf, MclogDecoder, MclogEncoder } = await import(new URL('replay/log/index.js', dist));
const { INPUT_TYPES } = await import(new URL('events/index.js', dist));

/** No type ends a row by itself: it ends where something comes of an input (`dispatchRows`). */
const NO_STOPS = new Uint8Array(INPUT_TYPES.length);

/** Lets all inputs of some stretches happen. */
export function dispatchStretches(world, stretches) {
  for (const { inputs, from, to } of stretches) {
    for (let row = from; row < to; ) {
      const before = world.count;
      world.dispatchRows(inputs, row, to, NO_STOPS);
      row += world.count - before;
    }
  }
}

/** Takes inputs through a log: objects in, what is read of them out. */
export class ThroughLog {
  #encoder;
  #decoder = new MclogDecoder('bench.mclog');

  constructor(world, id) {
    this.#encoder = new MclogEncoder(headerOf(world, { id }), []);
    this.#decoder.push(this.#encoder.begin());
  }

  take(inputs) {
    const entries = inputs.map((input) => ({ kind: 'input', input }));
    return this.#decoder.push(this.#encoder.encode(entries));
  }
}
