/**
 * trace.dat version 6: one sequence, each part behind the one before, nothing compressed.
 *
 *     17 08 44 "tracing" "6\0", u8 endian, u8 long size, u32 page size, header_page, header_event,
 *     ftrace formats, event formats, kallsyms, printk, cmdlines, u32 number of CPUs,
 *     "options  \0" and options (optional), "flyrecord\0", per CPU u64 offset, u64 size,
 *     u64 size and text of trace_clock (where the option TRACECLOCK is there)
 *
 * Traps: an instance's BUFFER option points to a "flyrecord\0" and a table of its own; CPUCOUNT
 * changes the length of these tables; a file without TRACECLOCK was written by a trace-cmd that
 * could not choose a clock, and trace-cmd reads its stamps as nanoseconds.
 *
 * Source: trace-cmd.dat.v6.5.txt.
 */
import type { RandomAccess } from '../bytes.ts';
import type { EventFormat } from './event-format.ts';
import type { FileHead } from './header.ts';
import {
  readComms,
  readEventFormats,
  readFtraceFormats,
  readPageHeader,
  readStrings,
} from './metadata.ts';
import {
  type BufferOption,
  OPTION,
  OPTIONS_MAX,
  optionData,
  readBufferOption,
  readOption,
  selectedClock,
} from './options.ts';
import { Reader } from './reader.ts';
import {
  CPU_RANGES_MAX,
  type CpuRange,
  noOptions,
  type TraceBuffer,
  type TraceFile,
  type TraceOptions,
} from './trace-file.ts';

const TAG_BYTES = 10;

/** Options, and the instances and the mark of a clock among them. */
interface OptionsV6 {
  readonly options: TraceOptions;
  readonly instances: BufferOption[];
  clockFollows: boolean;
}

/** Reads all of a version 6 file but its events. @param reader stands behind the page size. */
export async function readV6(
  bytes: RandomAccess,
  reader: Reader,
  head: FileHead,
): Promise<TraceFile> {
  const pageHeader = await readPageHeader(reader, head.longSize);
  const formats: EventFormat[] = [];
  await readFtraceFormats(reader, formats);
  await readEventFormats(reader, formats);
  const kallsyms = await reader.u32('the size of kallsyms');
  reader.skip(kallsyms, 'kallsyms');
  const strings = await readStrings(reader);
  const comms = await readComms(reader);
  const countAt = reader.at;
  const cpus = checkedCount(reader, await reader.u32('the number of CPUs'), countAt);
  const found: OptionsV6 = { options: noOptions(), instances: [], clockFollows: false };
  let tag = await reader.text(TAG_BYTES, 'the kind of data');
  if (tag.startsWith('options')) {
    await readOptions(reader, found);
    tag = await reader.text(TAG_BYTES, 'the kind of data');
  }
  const buffers = await readBuffers(bytes, reader, head, found, { tag, cpus });
  return {
    name: head.name,
    version: head.version,
    little: head.little,
    compression: 'none',
    metadata: { pageHeader, formats, strings, comms },
    options: found.options,
    buffers,
  };
}

function checkedCount(reader: Reader, count: number, at: number): number {
  if (count <= CPU_RANGES_MAX) return count;
  throw reader.error(`at most ${CPU_RANGES_MAX} CPUs`, `${count}`, at);
}

async function readOptions(reader: Reader, found: OptionsV6): Promise<void> {
  for (let count = 0; ; count++) {
    const at = reader.at;
    const id = await reader.u16("an option's id");
    if (id === OPTION.DONE) return;
    const size = await reader.u32("an option's size");
    if (size > reader.left || count === OPTIONS_MAX) {
      throw reader.error(`option ${id} of ${size} bytes`, `${reader.left} more`, at);
    }
    if (id === OPTION.TRACECLOCK) found.clockFollows = true;
    if (id === OPTION.BUFFER) {
      found.instances.push(await readBufferOption(await optionData(reader, size)));
    } else await readOption(reader, id, size, found.options);
  }
}

/** The top buffer, which `reader` stands at, and the instances. */
async function readBuffers(
  bytes: RandomAccess,
  reader: Reader,
  head: FileHead,
  { options, instances, clockFollows }: OptionsV6,
  top: { readonly tag: string; readonly cpus: number },
): Promise<TraceBuffer[]> {
  expectFlyrecord(reader, top.tag);
  const count = options.cpuCount ?? top.cpus;
  const buffer = (name: string, cpus: CpuRange[]): TraceBuffer => {
    return { name, clock: undefined, pageSize: head.pageSize, compressed: false, cpus };
  };
  const buffers = [buffer('', await readCpus(reader, count))];
  if (clockFollows) {
    options.clock = (await readClock(reader)) ?? options.clock;
  }
  for (const { offset, name } of instances) {
    const table = new Reader(bytes, { little: reader.little, at: offset });
    expectFlyrecord(table, await table.text(TAG_BYTES, `the data of buffer "${name}"`));
    buffers.push(buffer(name, await readCpus(table, count)));
    if (buffers.length * count > CPU_RANGES_MAX) {
      throw table.error(`at most ${CPU_RANGES_MAX} CPUs`, 'more', offset);
    }
  }
  return buffers;
}

function expectFlyrecord(reader: Reader, tag: string): void {
  if (tag.startsWith('flyrecord')) return;
  const found = tag.startsWith('latency') ? 'a latency trace, which is text' : JSON.stringify(tag);
  throw reader.error('"flyrecord"', found, reader.at - TAG_BYTES);
}

async function readCpus(reader: Reader, count: number): Promise<CpuRange[]> {
  const cpus = [];
  for (let cpu = 0; cpu < count; cpu++) {
    const offset = await reader.offset(`the offset of CPU ${cpu}'s data`);
    cpus.push({ cpu, offset, size: await reader.offset(`the size of CPU ${cpu}'s data`) });
  }
  return cpus;
}

/** The content of trace_clock; trace-cmd once wrote garbage here, which then says nothing. */
async function readClock(reader: Reader): Promise<string | undefined> {
  const size = await reader.offset('the size of trace_clock');
  if (size > reader.left) return undefined;
  return selectedClock(await reader.text(Math.min(size, 4096), 'trace_clock'));
}
