/**
 * All CPUs' events as one sequence: the earliest first, equal times by CPU, then by buffer.
 *
 * A binary heap of streams; each stands at its next event. Most events are followed by one of the
 * same CPU, so the top is moved on in place and only sinks where it no longer is the earliest.
 */
import type { CpuStream } from './cpu-stream.ts';

export class Merge {
  readonly #heap: CpuStream[] = [];

  /** Moves every stream to its first event. */
  async start(streams: readonly CpuStream[]): Promise<void> {
    for (const stream of streams) {
      await stream.refill();
      if (!stream.ended || stream.gap !== undefined) this.#heap.push(stream);
    }
    this.#placeUntimed();
    for (let i = (this.#heap.length >> 1) - 1; i >= 0; i--) this.#sink(i);
  }

  /** The stream whose event (or gap, where it has ended) is next. */
  get top(): CpuStream | undefined {
    return this.#heap[0];
  }

  /** Moves the top stream on; false where it must be refilled first. */
  advance(): boolean {
    const found = this.#heap[0]!.next();
    if (found) this.#sink(0);
    return found;
  }

  /** Refills the top stream after `advance` could not move it on. */
  async refill(): Promise<void> {
    const stream = this.#heap[0]!;
    await stream.refill();
    if (stream.ended && stream.gap === undefined) this.drop();
    else this.#sink(0);
  }

  /** Removes the top stream. */
  drop(): void {
    const last = this.#heap.pop();
    if (last === undefined || this.#heap.length === 0) return;
    this.#heap[0] = last;
    this.#sink(0);
  }

  /** Streams without any event or time have their gap where the recording begins, before it. */
  #placeUntimed(): void {
    const timed = this.#heap.filter((s) => s.timed);
    const first = timed.reduce<CpuStream | undefined>(
      (a, b) => (a === undefined || before(b, a) ? b : a),
      undefined,
    );
    if (first === undefined) return;
    for (const { timed: known, cursor } of this.#heap) {
      if (known) continue;
      cursor.timeHigh = first.cursor.timeHigh;
      cursor.timeLow = first.cursor.timeLow;
    }
  }

  #sink(from: number): void {
    const heap = this.#heap;
    const count = heap.length;
    let i = from;
    const stream = heap[i]!;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= count) break;
      if (child + 1 < count && before(heap[child + 1]!, heap[child]!)) child++;
      if (!before(heap[child]!, stream)) break;
      heap[i] = heap[child]!;
      i = child;
    }
    heap[i] = stream;
  }
}

function before(a: CpuStream, b: CpuStream): boolean {
  const x = a.cursor;
  const y = b.cursor;
  if (x.timeHigh !== y.timeHigh) return x.timeHigh >>> 0 < y.timeHigh >>> 0;
  if (x.timeLow !== y.timeLow) return x.timeLow >>> 0 < y.timeLow >>> 0;
  if (a.timed !== b.timed) return !a.timed;
  return a.cpu !== b.cpu ? a.cpu < b.cpu : a.index < b.index;
}
