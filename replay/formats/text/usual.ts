/**
 * Usual lines, read at one go.
 *
 * Nearly every line of a long recording is an event of the kernel's own text, from a thread and a
 * CPU seen before. `scan/scanner.ts` makes a function for them from the
 * catalogue's patterns; here a piece of text after the other is handed to it and its rows are taken.
 */
import type { EventBatch } from '../../../events/index.ts';
import { NARROW_COLUMNS, WIDE_COLUMNS } from '../../../events/index.ts';
import type { LineBuffer } from './lines.ts';
import type { EventNameTable } from './names.ts';
import { PIECE_BYTES, RESULT, type Scan, ScannerMemory, SLACK } from './scan/memory.ts';
import { scannerModule } from './scan/scanner.ts';
import type { TextStats } from './stats.ts';
import type { PrefixCache } from './threads.ts';

const NEWLINE = 10;

/** Reads usual lines. */
export class UsualLines {
  readonly #memory = new ScannerMemory();
  readonly #scan: Scan;
  /** Whole lines, a copy of these bytes of the buffer for as long as it has not moved them. */
  #from = 0;
  #to = 0;
  #moves = -1;

  constructor(prefixes: PrefixCache, events: EventNameTable, inTicks: boolean) {
    this.#scan = this.#memory.start(scannerModule(events.all, inTicks, this.#memory));
    prefixes.moveTo(this.#memory.prefixes);
  }

  /**
   * Reads lines to the rows of a batch until it is full or the next line is not a usual or not a
   * complete one. Returns how many lines these were, all of them events.
   */
  read(lines: LineBuffer, batch: EventBatch, stats: TextStats): number {
    const { view, text } = this.#memory;
    let total = 0;
    while (!batch.full && this.#hasPiece(lines)) {
      const shift = text - this.#from;
      const room = Math.min(this.#memory.rows.capacity, batch.capacity - batch.length);
      const next = this.#scan(lines.start + shift, this.#to + shift, room) - shift;
      const count = view.getUint32(RESULT.lines, true);
      if (count === 0) break;
      this.#deliver(batch, view.getUint32(RESULT.rows, true));
      const low = view.getUint32(RESULT.last, true);
      stats.addEvents(count, low, view.getUint32(RESULT.last + 4, true));
      lines.start = next;
      total += count;
    }
    return total;
  }

  /** Whether the next line is in the piece at hand, or in one that is made now. */
  #hasPiece({ text, start, end, moves }: LineBuffer): boolean {
    if (moves === this.#moves && start >= this.#from && start < this.#to) return true;
    const { bytes } = this.#memory;
    const last = text.bytes.lastIndexOf(NEWLINE, Math.min(start + PIECE_BYTES, end) - 1);
    if (last < start) return false;
    const size = last + 1 - start;
    const at = this.#memory.text;
    bytes.set(text.bytes.subarray(start, last + 1), at);
    bytes.fill(NEWLINE, at + size, at + size + SLACK);
    this.#from = start;
    this.#to = last + 1;
    this.#moves = moves;
    return true;
  }

  /** Copies rows to the end of a batch. */
  #deliver(batch: EventBatch, count: number): void {
    const { rows } = this.#memory;
    const at = batch.length;
    batch.codes.set(rows.codes.subarray(0, count), at);
    batch.timestamps.set(rows.timestamps.subarray(0, count), at);
    batch.cpus.set(rows.cpus.subarray(0, count), at);
    batch.tids.set(rows.tids.subarray(0, count), at);
    batch.tgids.set(rows.tgids.subarray(0, count), at);
    batch.commIds.set(rows.commIds.subarray(0, count), at);
    batch.wides.set(rows.wides.subarray(0, count * WIDE_COLUMNS), at * WIDE_COLUMNS);
    batch.narrows.set(rows.narrows.subarray(0, count * NARROW_COLUMNS), at * NARROW_COLUMNS);
    batch.length = at + count;
  }
}
