import type { RecordingStats } from '../recording.ts';

/** An instant of two halves, low half first. */
export const instantOf = ([low, high]: Uint32Array): bigint =>
  (BigInt(high!) << 32n) | BigInt(low!);

/**
 * What a text has shown so far. The last instant is kept as halves: it changes with every line, and
 * a bigint for each would cost more than reading the line.
 */
export class TextStats implements RecordingStats {
  events = 0;
  lostEvents = 0n;
  gaps = 0;
  malformed = 0;
  firstMalformed: string | undefined = undefined;
  firstTimestamp: bigint | undefined = undefined;
  readonly #last = new Uint32Array(2);

  get lastTimestamp(): bigint | undefined {
    return this.events === 0 ? undefined : instantOf(this.#last);
  }

  /** One more event, whether or not it is asked for. */
  addEvent(timestamp: Uint32Array): void {
    this.#last[0] = timestamp[0]!;
    this.#last[1] = timestamp[1]!;
    if (this.events++ === 0) this.firstTimestamp = instantOf(timestamp);
  }

  /** More events, after the first, up to one of the given instant. */
  addEvents(count: number, low: number, high: number): void {
    this.#last[0] = low;
    this.#last[1] = high;
    this.events += count;
  }

  addMalformed(line: number): void {
    this.malformed++;
    this.firstMalformed ??= `line ${line}`;
  }
}
