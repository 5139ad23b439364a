/**
 * The reader proper: line after line, events to the rows of a batch.
 *
 * A line that says nothing (a comment, a stack trace) is passed over; one that should be an event
 * and can't be understood is counted, with the place of the first, and reading goes on: text has a
 * new beginning at every newline. A last line without a newline may have been cut anywhere, even in
 * the middle of a number, so it is not used and a gap stands in its place.
 *
 * What text can't show: a thread's name or a marker may hold a newline, and what follows it then
 * stands there like a line of its own.
 */
import {
  CLOCK_EVENTS,
  EVENT_CODES,
  EVENT_NAMES,
  type EventBatch,
  slotOf,
  WIDE_COLUMNS,
} from '../../../events/index.ts';
import type { ByteStream } from '../bytes.ts';
import type { ReadOptions, Recording, TraceClock } from '../recording.ts';
import { type GapNotice, PendingGaps, readGap } from './gaps.ts';
import { LineHeader } from './header.ts';
import { isIgnored } from './ignored.ts';
import type { LineBuffer } from './lines.ts';
import { matchPattern } from './match.ts';
import { EventNameTable, type NamedEvent, NO_NAME } from './names.ts';
import { clockOf, UNKNOWN_CLOCK } from './recognise.ts';
import { instantOf, TextStats } from './stats.ts';
import type { Text } from './text.ts';
import { ThreadNames } from './threads.ts';
import { UsualLines } from './usual.ts';

/** The rest of a longer line is skipped: no tracer prints such lines. */
const MAX_LINE_BYTES = 1 << 20;

const GAP_CODE = EVENT_CODES.gap;
/** Without one of these that can't be read what follows of clocks is unknown. */
const CLOCK_CODES: ReadonlySet<number> = new Set(CLOCK_EVENTS.map((name) => EVENT_CODES[name]));
const LOST_SLOT = slotOf('gap', 'lost');
/** Key of the gap at the end, which is no CPU's. */
const END_OF_FILE = -1;
const BLANK = 0x20;
const CARRIAGE_RETURN = 0x0d;

/** ftrace text being read. */
export class TextRecording implements Recording {
  readonly name: string;
  readonly format = 'ftrace text';
  readonly kernelRelease = undefined;
  readonly guests = [];
  readonly stats = new TextStats();
  readonly #stream: ByteStream;
  readonly #lines: LineBuffer;
  readonly #events: EventNameTable;
  readonly #gapsWanted: boolean;
  readonly #names = new ThreadNames();
  readonly #header = new LineHeader(this.#names);
  readonly #pending = new PendingGaps();
  /** Made when it is needed: then the clock is known. */
  #usual: UsualLines | undefined;
  #clock: TraceClock;
  /** Whether timestamps have no fraction; not known before the first event. */
  #inTicks: boolean | undefined;
  /** Number of the next line. */
  #line = 1;
  /** Whether the beginning of an overlong line has been dropped and its end is awaited. */
  #inOverlong = false;
  #atEnd = false;
  #closed = false;

  constructor(stream: ByteStream, lines: LineBuffer, clock: TraceClock, options: ReadOptions) {
    this.name = stream.name;
    this.#stream = stream;
    this.#lines = lines;
    this.#clock = clock;
    this.#inTicks = clock === UNKNOWN_CLOCK ? undefined : clock.unit === 'tsc';
    const only = options.only ?? EVENT_NAMES;
    this.#events = new EventNameTable(only);
    this.#gapsWanted = only.includes('gap');
  }

  /** Known from the first event on; text names no clock, only its unit shows. */
  get clock(): TraceClock {
    return this.#clock;
  }

  async read(batch: EventBatch): Promise<number> {
    batch.length = 0;
    if (this.#names.full) this.#header.forgetThreads();
    batch.comms = this.#names.list;
    while (!this.#atEnd) {
      this.#readLines(batch);
      // What is there is delivered before waiting for more: the stream may be a live pipe.
      if (batch.length > 0) return batch.length;
      if (!(await this.#lines.more())) this.#finish();
    }
    this.#deliverGaps(batch);
    return batch.length;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#stream.close();
  }

  /** Reads lines until the batch is full or no complete line is left. */
  #readLines(batch: EventBatch): void {
    const lines = this.#lines;
    while (!batch.full) {
      if (this.#usuallyReadable) {
        this.#line += this.#usualLines.read(lines, batch, this.stats);
        if (batch.full) return;
      }
      const newline = lines.lineEnd();
      if (newline < 0) {
        this.#dropOverlong();
        return;
      }
      if (!this.#readLine(batch, lines.start, newline)) return;
      lines.start = newline + 1;
      this.#line++;
    }
  }

  get #usualLines(): UsualLines {
    const { prefixes } = this.#header;
    this.#usual ??= new UsualLines(prefixes, this.#events, this.#inTicks === true);
    return this.#usual;
  }

  /** Whether the next lines may be usual ones: nothing waits for its event or for a line's end. */
  get #usuallyReadable(): boolean {
    return (
      this.stats.events > 0 && this.#pending.size === 0 && !this.#inOverlong && !this.#lines.seen
    );
  }

  /** Reads one line. False where the batch has no room for it; it is then to be read again. */
  #readLine(batch: EventBatch, start: number, newline: number): boolean {
    const { text } = this.#lines;
    const end =
      newline > start && text.bytes[newline - 1] === CARRIAGE_RETURN ? newline - 1 : newline;
    if (this.#inOverlong || newline - start > MAX_LINE_BYTES) {
      this.#inOverlong = false;
      this.stats.addMalformed(this.#line);
      return true;
    }
    // An event's line begins with a blank unless a mailer took it; the rare others can be looked at.
    if (text.bytes[start] !== BLANK && this.#readNotice(start, end)) return true;
    const header = this.#header;
    if (!header.parse(text, start, end) || !this.#sameClock(header.fractionDigits)) {
      if (!this.#readNotice(start, end)) this.stats.addMalformed(this.#line);
      return true;
    }
    if (this.#pending.size > 0 && !this.#deliverGaps(batch)) return false;
    this.stats.addEvent(header.timestamp);
    const named = this.#events.find(text, header.nameStart);
    const isRead =
      named === undefined
        ? !NO_NAME.includes(text.bytes[header.nameStart]!)
        : this.#addEvent(batch, named, end);
    if (!isRead) this.#addUnread(named);
    return true;
  }

  /** The line that was read last names an event and can't be understood. */
  #addUnread(named: NamedEvent | undefined): void {
    this.stats.addMalformed(this.#line);
    if (named === undefined || !CLOCK_CODES.has(named.code)) return;
    const text = `line ${this.#line}: a ${EVENT_NAMES[named.code]} that can’t be understood`;
    this.#addGap({ cpu: this.#header.cpu, lost: 1n, text });
  }

  /** Writes the row of the event whose header has been read. False where its text has no known form. */
  #addEvent(batch: EventBatch, named: NamedEvent, end: number): boolean {
    const { text } = this.#lines;
    const header = this.#header;
    const row = batch.length;
    let at = header.nameStart + named.nameLength;
    while (text.bytes[at] === BLANK) at++;
    if (named.addressed) at = skipAddress(text, at, end);
    let k = 0;
    while (matchPattern(named.patterns[k]!, text, at, end, batch, row) < 0) {
      if (++k === named.patterns.length) return false;
    }
    batch.codes[row] = named.code;
    batch.timestampHalves[row * 2] = header.timestamp[0]!;
    batch.timestampHalves[row * 2 + 1] = header.timestamp[1]!;
    batch.cpus[row] = header.cpu;
    batch.tids[row] = header.tid;
    batch.tgids[row] = header.tgid;
    batch.commIds[row] = header.commId;
    batch.length = row + 1;
    return true;
  }

  /** A text has one clock: ticks or seconds. Where the first lines had no event, this one shows it. */
  #sameClock(fractionDigits: number): boolean {
    if (this.#inTicks === undefined) {
      this.#clock = clockOf(fractionDigits);
      this.#inTicks = fractionDigits === 0;
    }
    return this.#inTicks === (fractionDigits === 0);
  }

  /** Reads a line that is no event. False if it is none of the known ones. */
  #readNotice(start: number, end: number): boolean {
    const { text } = this.#lines;
    const notice = readGap(text, start, end);
    if (notice === undefined) return isIgnored(text, start, end);
    this.#addGap(notice);
    return true;
  }

  #addGap(notice: GapNotice, key = notice.cpu): void {
    if (this.#pending.add(notice, key)) this.stats.gaps++;
    this.stats.lostEvents += notice.lost;
  }

  /** Writes the pending gaps. False where the batch has no room left for what follows them. */
  #deliverGaps(batch: EventBatch): boolean {
    while (this.#pending.size > 0) {
      if (!this.#gapsWanted) this.#pending.shift();
      else if (batch.full) return false;
      else this.#addGapRow(batch, this.#pending.shift());
    }
    return !batch.full;
  }

  #addGapRow(batch: EventBatch, gap: GapNotice): void {
    const row = batch.length++;
    // Until the end of the text this is the header of the event that follows the gap.
    const { timestamp } = this.#header;
    batch.codes[row] = GAP_CODE;
    batch.timestamps[row] = this.#atEnd ? (this.stats.lastTimestamp ?? 0n) : instantOf(timestamp);
    batch.cpus[row] = gap.cpu;
    batch.tids[row] = 0;
    batch.tgids[row] = 0;
    batch.commIds[row] = this.#names.add('');
    batch.wides[row * WIDE_COLUMNS + LOST_SLOT] = gap.lost;
    batch.texts[row] = gap.text;
  }

  /** Forgets the beginning of a line that is longer than any line may be. */
  #dropOverlong(): void {
    const lines = this.#lines;
    if (lines.end - lines.start <= MAX_LINE_BYTES) return;
    lines.start = lines.end;
    this.#inOverlong = true;
  }

  #finish(): void {
    this.#atEnd = true;
    if (!this.#inOverlong && this.#lines.start === this.#lines.end) return;
    const text = `the file ends in the middle of line ${this.#line}`;
    this.#addGap({ cpu: 0, lost: 0n, text }, END_OF_FILE);
  }
}

/** `0xffffffff811c36bd: ` or `tracing_mark_write: `, which trace-cmd prints before a marker. */
function skipAddress({ bytes }: Text, at: number, end: number): number {
  let p = at;
  while (bytes[p]! > BLANK && bytes[p] !== 0x3a) p++;
  return p > at && p + 1 < end && bytes[p] === 0x3a && bytes[p + 1] === BLANK ? p + 2 : at;
}
