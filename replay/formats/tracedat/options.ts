/**
 * Options: facts about the recording, each `u16 id, u32 size, data`, the same in both versions.
 *
 * Traps: TRACECLOCK lists all clocks with the selected one in brackets, and in version 6 is empty,
 * its text standing after the table of CPUs; DATE counts microseconds, OFFSET nanoseconds, both as
 * text that may be hexadecimal; TIME_SHIFT is longer than documented and only says how a guest's
 * stamps compare with its host's, so it is passed over.
 *
 * Source: trace-cmd.dat.v7.5.txt, "OPTIONS SECTION"; trace-cmd.dat.v6.5.txt.
 */
import { MemoryBytes } from '../bytes.ts';
import { Reader } from './reader.ts';
import type { CpuRange, TraceOptions } from './trace-file.ts';
import { CPU_RANGES_MAX } from './trace-file.ts';

export const OPTION = {
  DONE: 0,
  DATE: 1,
  BUFFER: 3,
  TRACECLOCK: 4,
  UNAME: 5,
  OFFSET: 7,
  CPUCOUNT: 8,
  GUEST: 13,
  TSC2NSEC: 14,
  HEADER_INFO: 16,
  FTRACE_EVENTS: 17,
  EVENT_FORMATS: 18,
  KALLSYMS: 19,
  PRINTK: 20,
  CMDLINES: 21,
  BUFFER_TEXT: 22,
} as const;

/** An option's data is taken into memory up to this size. */
const OPTION_BYTES_MAX = 4 << 20;
/** Options of one file that are taken for real: some repeat per CPU. */
export const OPTIONS_MAX = 1 << 17;
const GUESTS_MAX = 4096;

/** Reads one option's data where it is of use here; passes over it otherwise. */
export async function readOption(
  reader: Reader,
  id: number,
  size: number,
  options: TraceOptions,
): Promise<void> {
  const end = reader.at + size;
  if (id === OPTION.DATE) options.offsetNs += (await integer(reader, size)) * 1000n;
  else if (id === OPTION.OFFSET) options.offsetNs += await integer(reader, size);
  else if (id === OPTION.TRACECLOCK) options.clock = selectedClock(await label(reader, size));
  else if (id === OPTION.UNAME) options.kernelRelease = release(await label(reader, size));
  else if (id === OPTION.CPUCOUNT) options.cpuCount = await cpuCount(reader);
  else if (id === OPTION.TSC2NSEC) options.tscToNs = true;
  else if (id === OPTION.GUEST) await readGuest(reader, size, options);
  reader.skip(end - reader.at, `option ${id}`);
}

/** The name in brackets; without brackets the text itself says nothing. */
export function selectedClock(text: string): string | undefined {
  return /\[([^[\]\s]{1,64})\]/.exec(text)?.[1];
}

async function cpuCount(reader: Reader): Promise<number> {
  const at = reader.at;
  const count = await reader.u32('the CPUCOUNT option');
  if (count > CPU_RANGES_MAX) {
    throw reader.error(`at most ${CPU_RANGES_MAX} CPUs`, `${count}`, at);
  }
  return count;
}

/** `Linux host 6.1.192 x86_64`: the third word. */
function release(uname: string): string | undefined {
  return uname.split(/\s+/)[2];
}

/** The first characters of a text option, up to a NUL. */
async function label(reader: Reader, size: number): Promise<string> {
  const text = await reader.text(Math.min(size, 4096), 'a text option');
  const end = text.indexOf('\0');
  return end < 0 ? text : text.slice(0, end);
}

/** A number as C's `strtoll(…, 0)` reads it: decimal, `0x…` or `0…`, with a sign; 0 if none. */
async function integer(reader: Reader, size: number): Promise<bigint> {
  const text = await label(reader, Math.min(size, 64));
  const found = /^\s*([+-]?)(?:0x([0-9a-f]+)|0([0-7]+)|(\d+))/i.exec(text);
  if (found === null) return 0n;
  const [, sign, hex, octal, decimal] = found;
  const prefix = hex !== undefined ? '0x' : octal !== undefined ? '0o' : '';
  const value = BigInt(`${prefix}${hex ?? octal ?? decimal}`);
  return sign === '-' ? -value : value;
}

/** GUEST: its name, its trace's id, and the host thread of each vCPU. */
async function readGuest(reader: Reader, size: number, options: TraceOptions): Promise<void> {
  const data = await optionData(reader, size);
  const name = await data.cstring("a guest's name");
  await data.u64("a guest's trace id");
  const count = await data.u32("a guest's number of vCPUs");
  if (count * 8 > data.left || options.guests.length === GUESTS_MAX) {
    throw reader.error(`${count} vCPUs of a guest`, `${data.left} bytes`, reader.at - size);
  }
  const vcpus = [];
  for (let i = 0; i < count; i++) {
    vcpus.push({ vcpu: await data.u32('a vCPU'), tid: (await data.u32('its thread')) | 0 });
  }
  options.guests.push({ name, vcpus });
}

/** A reader of one option's data, which is consumed. */
export async function optionData(reader: Reader, size: number): Promise<Reader> {
  const origin = reader.place();
  const bytes = await reader.take(size, 'an option', OPTION_BYTES_MAX);
  return new Reader(new MemoryBytes(reader.name, bytes), { little: reader.little, origin });
}

/** What a BUFFER option says in both versions: where the buffer is, and its name. */
export interface BufferOption {
  readonly offset: number;
  readonly name: string;
}

/** Version 7's BUFFER option in full. */
export interface BufferOptionV7 extends BufferOption {
  readonly clock: string;
  readonly pageSize: number;
  readonly cpus: readonly CpuRange[];
}

export async function readBufferOption(data: Reader): Promise<BufferOption> {
  const offset = await data.offset("a buffer's offset");
  return { offset, name: await data.cstring("a buffer's name") };
}

export async function readBufferOptionV7(data: Reader): Promise<BufferOptionV7> {
  const { offset, name } = await readBufferOption(data);
  const clock = await data.cstring("a buffer's clock");
  const pageSize = await data.u32("a buffer's page size");
  const count = await data.u32("a buffer's number of CPUs");
  if (count * 20 > data.left) {
    throw data.error(`${count} CPUs of buffer "${name}"`, `${data.left} bytes`);
  }
  const cpus = [];
  for (let i = 0; i < count; i++) {
    const cpu = await data.u32('a CPU');
    cpus.push({
      cpu,
      offset: await data.offset(`the offset of CPU ${cpu}'s data`),
      size: await data.offset(`the size of CPU ${cpu}'s data`),
    });
  }
  return { offset, name, clock, pageSize, cpus };
}
