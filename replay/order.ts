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
  /** The instant before, ticks, low half first. */
  readonly #last = new Uint32Array(2);
  #slept = false;

  /** `input`: what messages call the recording. */
  constructor(input: string) {
    this.#input = input;
  }

  /** Takes the event in `row`. @throws FormatError if it stands far below a later one. */
  take({ codes, timestampHalves }: EventBatch, row: number): void {
    const last = this.#last;
    if (codes[row] === EVENT_CODES.suspend_resume) this.#slept = true;
    const low = timestampHalves[2 * row]!;
    const high = timestampHalves[2 * row + 1]!;
    if (high < last[1]! || (high === last[1] && low < last[0]!)) this.#goBack(low, high);
    last[0] = low;
    last[1] = high;
  }

  #goBack(low: number, high: number): void {
    const before = instantOf(this.#last[0]!, this.#last[1]!);
    const after = instantOf(low, high);
    if (this.#slept || after + MOST_BACK_TICKS >= before) return;
    const found = `one at ${after} ticks below one at ${before} (texts of several CPUs, or several recordings, joined? Merge them by time, or replay each by itself)`;
    throw new FormatError(this.#input, undefined, 'events in order of time', found);
  }
}

const instantOf = (low: number, high: number): bigint => (BigInt(high) << 32n) | BigInt(low);
