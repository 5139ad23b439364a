/**
 * Whether a text's events come in order of time, as every tracer prints them.
 *
 * Texts of several CPUs, or of several recordings, that were joined end to end do not: what follows
 * from the order of events would be wrong. trace_pipe does not sort, so that an event may stand below
 * one of another CPU that came a little later; and a host that slept may wake with a TSC that began anew.
 */
import { EVENT_CODES, type EventBatch } from '../events/index.ts';
import { FormatError } from './formats/error.ts';

/** A quarter of a second by a clock of nanoseconds, less by a TSC. */
const MOST_BACK_TICKS = 1n << 28n;

export class Order {
  readonly #input: string;
  /** The instant before, ticks; and as halves, low half first, which cost no bigint an event. */
  readonly #last = new BigUint64Array(1);
  readonly #lastHalves = new Uint32Array(this.#last.buffer);
  #slept = false;

  /** `input`: what messages call the recording. */
  constructor(input: string) {
    this.#input = input;
  }

  /** Takes the event in `row`. @throws FormatError if it stands far below a later one. */
  take(batch: EventBatch, row: number): void {
    const last = this.#lastHalves;
    if (batch.codes[row] === EVENT_CODES.suspend_resume) this.#slept = true;
    const low = batch.timestampHalves[2 * row]!;
    const high = batch.timestampHalves[2 * row + 1]!;
    if (high < last[1]! || (high === last[1] && low < last[0]!)) this.#goBack(batch, row);
    last[0] = low;
    last[1] = high;
  }

  #goBack({ timestamps }: EventBatch, row: number): void {
    const before = this.#last[0]!;
    const after = timestamps[row]!;
    if (this.#slept || after + MOST_BACK_TICKS >= before) return;
    const found = `one at ${after} ticks below one at ${before} (texts of several CPUs, or several recordings, joined? Merge them by time, or replay each by itself)`;
    throw new FormatError(this.#input, undefined, 'events in order of time', found);
  }
}
