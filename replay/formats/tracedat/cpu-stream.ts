/**
 * One CPU's events in order, across its pages, with the places where some are missing.
 *
 * Going to the next event needs no waiting while its page is in memory (`next`); otherwise the
 * caller asks for more (`refill`). A page or chunk that can't be understood makes a gap before the
 * next event, and reading goes on behind it; several gaps without an event between them are one.
 */
import type { CpuData } from './cpu-data.ts';
import { PAGE_CORRUPT, PAGE_EVENT, PageCursor } from './ring-buffer.ts';
import type { PageHeader } from './trace-file.ts';

/** Missing events, before the event that a stream stands at. */
export interface Gap {
  /** Events that are known to be missing. */
  readonly lost: bigint;
  /** These are all; otherwise nobody knows how many there are. */
  readonly counted: boolean;
  readonly text: string;
}

export interface StreamOptions {
  /** Name of the buffer; empty for the top one. */
  readonly buffer: string;
  /** Place among all streams, which decides between equal times of one CPU. */
  readonly index: number;
  readonly pageHeader: PageHeader;
  readonly little: boolean;
  readonly pageSize: number;
}

export class CpuStream {
  readonly cpu: number;
  readonly buffer: string;
  readonly index: number;
  /** The current event, or the last one. */
  readonly cursor: PageCursor;
  /** What is missing before the current event, or at the end. */
  gap: Gap | undefined;
  /** There are no more events. */
  ended = false;
  /** The cursor's time means something. */
  timed = false;
  readonly #data: CpuData;
  readonly #pageSize: number;
  /** The current page, and the next one, in the data's memory. */
  #pageAt = 0;
  #nextPageAt = 0;

  constructor(data: CpuData, options: StreamOptions) {
    this.cpu = data.cpu;
    this.buffer = options.buffer;
    this.index = options.index;
    this.cursor = new PageCursor(options.pageHeader, options.little);
    this.#data = data;
    this.#pageSize = options.pageSize;
  }

  /** File offset of the current event's page, or of the chunk that it was decompressed from. */
  get byte(): number {
    return this.#data.place(this.#pageAt);
  }

  /** Delivers nothing of this CPU but a gap that says why. */
  leaveOut(text: string): void {
    this.ended = true;
    this.#addGap(text);
  }

  /** Moves to the next event in memory; false where there is none. */
  next(): boolean {
    for (;;) {
      const found = this.cursor.next();
      if (found === PAGE_EVENT) return true;
      if (found === PAGE_CORRUPT) this.#corruptPage();
      if (!this.#openPage()) return false;
    }
  }

  /** Brings more pages into memory and moves to their first event; or sets `ended`. */
  async refill(): Promise<void> {
    while (!this.ended) {
      const loaded = await this.#data.load();
      this.#pageAt = 0;
      this.#nextPageAt = 0;
      if (loaded === 'pages' && this.next()) return;
      if (loaded === 'corrupt') this.#addGap(this.#data.problem);
      if (loaded === 'end') this.#end();
    }
  }

  /** Whatever else was missing at the end, that the data ends too early says it best. */
  #end(): void {
    this.ended = true;
    const { problem } = this.#data;
    if (problem !== '') this.gap = { lost: this.gap?.lost ?? 0n, counted: false, text: problem };
  }

  #openPage(): boolean {
    const data = this.#data;
    while (this.#nextPageAt < data.length) {
      const start = this.#nextPageAt;
      const available = Math.min(this.#pageSize, data.length - start);
      this.#pageAt = start;
      this.#nextPageAt = start + this.#pageSize;
      if (this.cursor.open(data.view, start, available, this.#pageSize)) {
        this.timed = true;
        if (this.cursor.lostBefore) {
          this.#addGap(`the ring buffer of CPU ${this.cpu} overflowed`, this.cursor.lostCount);
        }
        return true;
      }
      this.#corruptPage();
    }
    return false;
  }

  #corruptPage(): void {
    this.#addGap(`corrupt page of CPU ${this.cpu} at byte ${this.byte}: ${this.cursor.problem}`);
  }

  #addGap(text: string, lost = 0n): void {
    const before = this.gap;
    this.gap = {
      lost: lost + (before?.lost ?? 0n),
      counted: lost > 0n && (before?.counted ?? true),
      text: before?.text ?? text,
    };
  }
}
