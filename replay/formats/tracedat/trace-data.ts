/**
 * An opened trace.dat: what it says about itself, its clock, and its events merged.
 *
 * Traps: each buffer has a clock of its own, and stamps of different clocks can't be merged, so
 * buffers on another clock than the first one with data are left out, which is a gap. A clock that
 * the file does not name is the kernel's default, and trace-cmd takes it for nanoseconds.
 *
 * Source: trace-cmd.dat.v7.5.txt (BUFFER, TRACECLOCK, TSC2NSEC); Documentation/trace/ftrace.rst,
 * "trace_clock".
 */
import type { RandomAccess } from '../bytes.ts';
import { FormatError, printable } from '../error.ts';
import type { TraceClock } from '../recording.ts';
import type { Decompress } from './compression.ts';
import { type CpuData, PackedCpuData, PlainCpuData } from './cpu-data.ts';
import { CpuStream } from './cpu-stream.ts';
import type { EventFormat } from './event-format.ts';
import { PageMemory } from './file-window.ts';
import { readTraceFile } from './header.ts';
import { Merge } from './merge.ts';
import type { CpuRange, TraceBuffer, TraceFile } from './trace-file.ts';

export interface TraceData {
  readonly file: TraceFile;
  readonly clock: TraceClock;
  /** To be added to all timestamps. */
  readonly offset: bigint;
  readonly formats: ReadonlyMap<number, EventFormat>;
  /** Where an event's payload says what it is, and whose. */
  readonly common: CommonFields;
  readonly merge: Merge;
}

/** Places of `common_type` and `common_pid`, the same in all events. */
export interface CommonFields {
  readonly typeOffset: number;
  readonly pidOffset: number;
  /** Bytes that any event has at least. */
  readonly size: number;
}

/** Opens a file up to its first event. */
export async function openTraceData(bytes: RandomAccess): Promise<TraceData> {
  const { file, decompress } = await readTraceFile(bytes);
  checkDisjoint(file);
  const main = file.buffers.find(hasData) ?? file.buffers[0];
  const clock = traceClock(file, main);
  const merge = new Merge();
  await merge.start(streams(bytes, file, decompress, clockName(file, main)));
  const offset = clock.unit === 'ns' ? BigInt.asUintN(64, file.options.offsetNs) : 0n;
  return { file, clock, offset, formats: byId(file), common: commonFields(file), merge };
}

const hasData = (buffer: TraceBuffer): boolean => buffer.cpus.some((c) => c.size > 0);

/** A buffer's own clock; without one, the file's. */
function clockName(file: TraceFile, buffer: TraceBuffer | undefined): string | undefined {
  return buffer?.clock ?? file.options.clock;
}

function traceClock(file: TraceFile, buffer: TraceBuffer | undefined): TraceClock {
  const name = clockName(file, buffer);
  const unit = file.options.tscToNs || name === 'x86-tsc' ? 'tsc' : isNs(name) ? 'ns' : 'order';
  return { unit, name, resolutionNs: 1 };
}

function isNs(clock: string | undefined): boolean {
  const names = [undefined, 'local', 'global', 'perf', 'boot', 'tai', 'tsc2nsec'];
  return names.includes(clock) || clock?.startsWith('mono') === true;
}

/** No two CPUs share bytes: a small file could otherwise claim any amount of data. */
function checkDisjoint({ name, buffers }: TraceFile): void {
  const ranges = buffers.flatMap((b) => b.cpus).filter((c) => c.size > 0);
  ranges.sort((a, b) => a.offset - b.offset);
  let end = 0;
  for (const { cpu, offset, size } of ranges) {
    if (offset < end) {
      const found = `CPU ${cpu}'s within another's`;
      throw new FormatError(name, { byte: offset }, 'data of one CPU behind another', found);
    }
    end = offset + size;
  }
}

function streams(
  bytes: RandomAccess,
  file: TraceFile,
  decompress: Decompress | undefined,
  clock: string | undefined,
): CpuStream[] {
  const cpus = file.buffers.flatMap((b) => b.cpus).filter((c) => c.size > 0);
  const memory = new PageMemory(cpus.length);
  const { little, metadata } = file;
  const found: CpuStream[] = [];
  for (const buffer of file.buffers) {
    const data = (range: CpuRange): CpuData => {
      if (!buffer.compressed) return new PlainCpuData(bytes, range, memory, buffer.pageSize);
      if (decompress === undefined) throw new TypeError('compressed data without compression');
      return new PackedCpuData(bytes, range, memory, { decompress, little });
    };
    const name = clockName(file, buffer);
    for (const range of buffer.cpus) {
      if (range.size === 0) continue;
      const stream = new CpuStream(data(range), {
        buffer: buffer.name,
        index: found.length,
        pageHeader: metadata.pageHeader,
        little,
        pageSize: buffer.pageSize,
      });
      found.push(stream);
      if (name === clock) continue;
      stream.leaveOut(leftOut(buffer.name, name, clock));
      break;
    }
  }
  return found;
}

/** Formats by event id; the first of each, and no more than 16 bits can name. */
function byId({ metadata }: TraceFile): Map<number, EventFormat> {
  const formats = new Map<number, EventFormat>();
  for (const format of metadata.formats) {
    if (format.id <= 0xffff && !formats.has(format.id)) formats.set(format.id, format);
  }
  return formats;
}

function leftOut(buffer: string, own: string | undefined, main: string | undefined): string {
  const [a, b] = [printable(own ?? 'unknown'), printable(main ?? 'unknown')];
  return `buffer "${printable(buffer)}" is left out: its clock is ${a}, not ${b}`;
}

function commonFields(file: TraceFile): CommonFields {
  const format = file.metadata.formats[0];
  if (format === undefined) {
    throw new FormatError(file.name, undefined, 'formats of events', 'none');
  }
  const get = (name: string, size: number) => {
    const field = format.field(name);
    if (field !== undefined && field.size === size) return field;
    const found = field === undefined ? 'none' : `${field.size} bytes`;
    const expected = `a field ${name} of ${size} bytes in event ${format.name}`;
    throw new FormatError(file.name, { byte: format.byte }, expected, found);
  };
  const type = get('common_type', 2);
  const pid = get('common_pid', 4);
  return {
    typeOffset: type.offset,
    pidOffset: pid.offset,
    size: Math.max(type.offset + type.size, pid.offset + pid.size),
  };
}
