/**
 * Pages of the kernel's ring buffer, as they were when trace-cmd copied them to the file.
 *
 * A page has a timestamp, a `commit` (how much of the data is in use, and flags), and data: events
 * of a 32-bit word each (5 bits type or length, 27 bits of time since the event before) and a
 * payload.
 *
 *     little endian   type = word & 31,  delta = word >>> 5
 *     big endian      type = word >>> 27, delta = word & 0x7ffffff
 *     1 … 28   event of type × 4 bytes
 *     0        event; the next word counts itself and the payload, which is padded to 4 bytes
 *     29       padding or a discarded event: the next word is its length; delta 0: up to the end
 *     30       more time: delta + (next word << 27)
 *     31       absolute time: 59 bits of it; the top five come from the time before
 *
 * Traps: times of 29, 30 and 31 count for the events that follow; the flag for lost events is about
 * what came before this page, and their number, if stored, stands behind the data in use. Times
 * are kept as two 32-bit halves in signed form, which V8 stores without allocation.
 *
 * Source: include/linux/ring_buffer.h and kernel/trace/ring_buffer.c; libtraceevent's
 * Documentation/libtraceevent-kbuffer-create.txt.
 */
import type { PageHeader } from './trace-file.ts';

const COMMIT_SIZE_MASK = 0x7ffffff;
const EVENTS_LOST = 1 << 31;
const LOST_COUNT_STORED = 1 << 30;

const DATA_MAX = 28;
const PADDING = 29;
const TIME_EXTEND = 30;

/** The top five bits of a time, in its high half. */
const TIME_TOP = 0xf8000000 | 0;

const NO_DATA = new DataView(new ArrayBuffer(0));

/** What `next` found: an event, the end of the page, or something that can't be. */
export const PAGE_EVENT = 1;
const PAGE_END = 0;
export const PAGE_CORRUPT = -1;

/** Goes through the events of one page after the other. */
export class PageCursor {
  /** Memory in which the current page stands. */
  view: DataView = NO_DATA;
  /** The current event's payload. */
  payload = 0;
  /** Bytes of it, padding to 4 included. */
  size = 0;
  /** The current event's time, in halves; as int32. */
  timeHigh = 0;
  timeLow = 0;
  /** Events were lost before this page. */
  lostBefore = false;
  /** How many; 0 where the kernel did not say. */
  lostCount = 0n;
  /** What is wrong, after `PAGE_CORRUPT`. */
  problem = '';

  readonly #header: PageHeader;
  readonly #little: boolean;
  #at = 0;
  #end = 0;
  /** Less of the page is there than it says is in use. */
  #cut = false;

  constructor(header: PageHeader, little: boolean) {
    this.#header = header;
    this.#little = little;
  }

  /**
   * Begins a page at `start` in `view`, of which `available` bytes are there out of `pageSize`.
   * @returns false where it is no page.
   */
  open(view: DataView, start: number, available: number, pageSize: number): boolean {
    const { timestampOffset, commitOffset, longSize, dataOffset } = this.#header;
    const little = this.#little;
    this.view = view;
    this.#at = start;
    this.#end = start;
    this.#cut = false;
    this.lostBefore = false;
    if (available < Math.max(timestampOffset + 8, commitOffset + longSize, dataOffset)) {
      this.#corrupt('it is cut in its header');
      return false;
    }
    const highFirst = longSize === 8 && !little ? 4 : 0;
    const commit = view.getUint32(start + commitOffset + highFirst, little);
    const inUse = commit & COMMIT_SIZE_MASK;
    if (inUse > pageSize - dataOffset) {
      this.#corrupt(`it claims ${inUse} bytes of data`);
      return false;
    }
    this.timeLow = view.getInt32(start + timestampOffset + (little ? 0 : 4), little);
    this.timeHigh = view.getInt32(start + timestampOffset + (little ? 4 : 0), little);
    this.#at = start + dataOffset;
    this.#cut = dataOffset + inUse > available;
    this.#end = start + Math.min(dataOffset + inUse, available);
    this.lostBefore = (commit & EVENTS_LOST) !== 0;
    this.lostCount = 0n;
    const stored = (commit & LOST_COUNT_STORED) !== 0;
    if (this.lostBefore && stored && this.#end + longSize <= start + available) {
      this.lostCount =
        longSize === 8
          ? view.getBigUint64(this.#end, little)
          : BigInt(view.getUint32(this.#end, little));
    }
    return true;
  }

  /** Moves to the next event: `PAGE_EVENT`, `PAGE_END` or `PAGE_CORRUPT`. */
  next(): number {
    const view = this.view;
    const little = this.#little;
    const end = this.#end;
    for (;;) {
      const at = this.#at;
      if (at + 4 > end) return this.#finish(at);
      const word = view.getUint32(at, little);
      const type = little ? word & 31 : word >>> 27;
      const delta = little ? word >>> 5 : word & 0x7ffffff;
      if (type > 0 && type <= DATA_MAX) {
        const size = type << 2;
        const next = at + 4 + size;
        if (next > end) return this.#corrupt('an event exceeds it');
        this.payload = at + 4;
        this.size = size;
        this.#at = next;
        this.#addTime(delta);
        return PAGE_EVENT;
      }
      if (type === PADDING && delta === 0) {
        this.#at = end;
        return this.#finish(end);
      }
      if (at + 8 > end) return this.#corrupt('an event exceeds it');
      const second = view.getUint32(at + 4, little);
      if (type === 0) return this.#longEvent(at, second, delta);
      if (type === PADDING) {
        this.#at = at + 4 + second;
        this.#addTime(delta);
      } else {
        this.#at = at + 8;
        this.#setTime(type === TIME_EXTEND, ((second << 27) | delta) >>> 0, second >>> 5);
      }
    }
  }

  /** An event whose length is a word of its own. */
  #longEvent(at: number, length: number, delta: number): number {
    if (length < 4 || length > this.#end - at - 4) return this.#corrupt('an event exceeds it');
    this.payload = at + 8;
    this.size = (length - 4 + 3) & ~3;
    this.#at = this.payload + this.size;
    if (this.#at > this.#end) return this.#corrupt('an event exceeds it');
    this.#addTime(delta);
    return PAGE_EVENT;
  }

  #setTime(relative: boolean, low: number, high: number): void {
    if (relative) {
      this.timeHigh = (this.timeHigh + high) | 0;
      this.#addTime(low);
    } else {
      this.timeLow = low | 0;
      this.timeHigh = high | (this.timeHigh & TIME_TOP);
    }
  }

  #addTime(delta: number): void {
    const low = (this.timeLow + delta) | 0;
    if (low >>> 0 < this.timeLow >>> 0) this.timeHigh = (this.timeHigh + 1) | 0;
    this.timeLow = low;
  }

  /** The end of the data in use. Padding may reach beyond it; part of a word may not be left. */
  #finish(at: number): number {
    if (this.#cut) return this.#corrupt('it is cut');
    return at < this.#end ? this.#corrupt('a part of an event is left over') : PAGE_END;
  }

  #corrupt(problem: string): number {
    this.problem = this.#cut ? 'it is cut' : problem;
    this.#at = this.#end;
    this.#cut = false;
    return PAGE_CORRUPT;
  }
}
