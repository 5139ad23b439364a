/**
 * A trace.dat as a recording: batches of the catalogue's events, all others counted.
 */
import {
  EVENT_CODES,
  EVENT_NAMES,
  type EventBatch,
  slotOf,
  WIDE_COLUMNS,
} from '../../../events/index.ts';
import type { RandomAccess } from '../bytes.ts';
import {
  emptyStats,
  type ReadOptions,
  type RecordedGuest,
  type Recording,
  type RecordingStats,
  type TraceClock,
} from '../recording.ts';
import type { CpuStream } from './cpu-stream.ts';
import { catalogueName, compile, decodeFields, decodeText, type Program } from './decode.ts';
import { type CommonFields, openTraceData, type TraceData } from './trace-data.ts';

const LOST = slotOf('gap', 'lost');

/** Opens a trace.dat of version 6 or 7. @throws FormatError where it can't be read. */
export async function openTraceDat(bytes: RandomAccess, options: ReadOptions): Promise<Recording> {
  return new TraceDatRecording(bytes, await openTraceData(bytes), options);
}

/** Places in `Comms.names` of what is no thread's name. */
const NO_COMM = 0;
const UNKNOWN = 1;
const IDLE = 2;

/** Threads whose names are at hand: more than a host has CPUs that record at a time, mostly. */
const RECENT = 256;

/** Names of threads, each once; those of threads that nobody named are `<...>`. */
class Comms {
  readonly names: string[] = ['', '<...>', '<idle>'];
  readonly #ids = new Map<number, number>();
  /** The last answers, by the low bits of the thread's id. At first all are of thread 0. */
  readonly #recentTids = new Int32Array(RECENT);
  readonly #recentIds = new Uint32Array(RECENT).fill(IDLE);

  constructor(comms: ReadonlyMap<number, string>) {
    const places = new Map(this.names.map((name, place) => [name, place]));
    for (const [tid, name] of comms) {
      const place = places.get(name) ?? this.names.length;
      if (place === this.names.length) this.names.push(name);
      places.set(name, place);
      this.#ids.set(tid, place);
    }
    this.#ids.set(0, IDLE);
  }

  /** Place of a thread's name. */
  id(tid: number): number {
    const k = tid & (RECENT - 1);
    if (this.#recentTids[k] !== tid) {
      this.#recentTids[k] = tid;
      this.#recentIds[k] = this.#ids.get(tid) ?? UNKNOWN;
    }
    return this.#recentIds[k]!;
  }
}

/** The earliest and the last time that a cursor has shown, in halves. */
class Span {
  firstHigh = -1;
  firstLow = -1;
  lastHigh = 0;
  lastLow = 0;

  add(high: number, low: number): void {
    this.lastHigh = high;
    this.lastLow = low;
    const { firstHigh } = this;
    const earlier =
      high === firstHigh ? low >>> 0 < this.firstLow >>> 0 : high >>> 0 < firstHigh >>> 0;
    if (!earlier) return;
    this.firstHigh = high;
    this.firstLow = low;
  }
}

class TraceDatRecording implements Recording {
  readonly name: string;
  readonly format: 'trace.dat v6' | 'trace.dat v7';
  readonly clock: TraceClock;
  readonly kernelRelease: string | undefined;
  readonly guests: readonly RecordedGuest[];
  readonly stats: RecordingStats = emptyStats();
  readonly #bytes: RandomAccess;
  readonly #data: TraceData;
  readonly #comms: Comms;
  readonly #wanted: ReadonlySet<number>;
  /** By event id: how to decode; `null`: only counted; `undefined`: not seen yet. */
  readonly #programs: (Program | null | undefined)[];
  readonly #common: CommonFields;
  readonly #little: boolean;
  /** Times are as recorded: nothing is to be added to them. */
  readonly #unmoved: boolean;
  #events = 0;
  readonly #span = new Span();
  #closed = false;

  constructor(bytes: RandomAccess, data: TraceData, options: ReadOptions) {
    const { file, formats } = data;
    this.name = bytes.name;
    this.format = `trace.dat v${file.version}`;
    this.clock = data.clock;
    this.kernelRelease = file.options.kernelRelease;
    this.guests = file.options.guests;
    this.#bytes = bytes;
    this.#data = data;
    this.#comms = new Comms(file.metadata.comms);
    this.#wanted = new Set((options.only ?? EVENT_NAMES).map((name) => EVENT_CODES[name]));
    const ids = Math.max(-1, ...formats.keys()) + 1;
    this.#programs = new Array<Program | null | undefined>(ids).fill(undefined);
    this.#common = data.common;
    this.#little = file.little;
    this.#unmoved = data.offset === 0n;
  }

  async read(batch: EventBatch): Promise<number> {
    batch.length = 0;
    batch.comms = this.#comms.names;
    while (this.#fill(batch)) await this.#data.merge.refill();
    this.stats.events = this.#events;
    if (this.#events > 0) {
      const { firstHigh, firstLow, lastHigh, lastLow } = this.#span;
      this.stats.firstTimestamp = this.#ticks(firstHigh, firstLow);
      this.stats.lastTimestamp = this.#ticks(lastHigh, lastLow);
    }
    return batch.length;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#bytes.close();
  }

  /** Fills rows from what is in memory; true where the top stream must be refilled to go on. */
  #fill(batch: EventBatch): boolean {
    const { merge } = this.#data;
    while (batch.length < batch.capacity) {
      const stream = merge.top;
      if (stream === undefined) return false;
      if (stream.gap !== undefined) {
        this.#gap(stream, batch);
        if (stream.ended) merge.drop();
      } else {
        this.#event(stream, batch);
        if (!merge.advance()) return true;
      }
    }
    return false;
  }

  #event(stream: CpuStream, batch: EventBatch): void {
    const { cursor } = stream;
    this.#events++;
    this.#span.add(cursor.timeHigh, cursor.timeLow);
    if (cursor.size < this.#common.size) return;
    const { view, payload } = cursor;
    const little = this.#little;
    const id = view.getUint16(payload + this.#common.typeOffset, little);
    const known = this.#programs[id];
    const program = known === undefined ? this.#program(id) : known;
    if (program === null) return;
    if (cursor.size < program.size) {
      this.stats.malformed++;
      this.stats.firstMalformed ??= `byte ${stream.byte}`;
      return;
    }
    const tid = view.getInt32(payload + this.#common.pidOffset, little);
    const row = this.#row(program.code, stream, tid, batch);
    batch.commIds[row] = this.#comms.id(tid);
    decodeFields(program, view, payload, little, batch, row);
    if (program.text !== undefined) {
      batch.texts[row] = decodeText(this.#data.file, program.text, cursor);
    }
  }

  /** Takes the next row, for something at a stream's time. */
  #row(code: number, { cpu, cursor }: CpuStream, tid: number, batch: EventBatch): number {
    const row = batch.length++;
    batch.codes[row] = code;
    batch.cpus[row] = cpu;
    batch.tids[row] = tid;
    batch.tgids[row] = 0;
    if (this.#unmoved) {
      batch.timestampHalves[2 * row] = cursor.timeLow;
      batch.timestampHalves[2 * row + 1] = cursor.timeHigh;
    } else batch.timestamps[row] = this.#ticks(cursor.timeHigh, cursor.timeLow);
    return row;
  }

  /** A cursor's time in ticks of the recording. */
  #ticks(high: number, low: number): bigint {
    const time = (BigInt(high) << 32n) | BigInt(low >>> 0);
    return BigInt.asUintN(64, time + this.#data.offset);
  }

  /** Finds out what an event id means here, and keeps it. */
  #program(id: number): Program | null {
    const { file, formats } = this.#data;
    const format = formats.get(id);
    if (format === undefined) return null;
    const name = catalogueName(format);
    const wanted = name !== undefined && this.#wanted.has(EVENT_CODES[name]);
    const program = wanted ? compile(file, format, name) : null;
    this.#programs[id] = program;
    return program;
  }

  /** Delivers the gap before a stream's event, or at its end. */
  #gap(stream: CpuStream, batch: EventBatch): void {
    const { lost, counted, text } = stream.gap!;
    stream.gap = undefined;
    this.stats.gaps++;
    this.stats.lostEvents += lost;
    if (!this.#wanted.has(EVENT_CODES.gap)) return;
    const row = this.#row(EVENT_CODES.gap, stream, 0, batch);
    batch.commIds[row] = NO_COMM;
    batch.wides[row * WIDE_COLUMNS + LOST] = counted ? lost : 0n;
    batch.texts[row] = text;
  }
}
