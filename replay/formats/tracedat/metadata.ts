/**
 * The parts that explain events, in the form both versions share: the header page's description,
 * event formats, thread names and the kernel's strings.
 *
 *     "header_page\0"  u64 size, text       "header_event\0"  u64 size, text
 *     u32 count, then per ftrace format      u64 size, text
 *     u32 systems, then per system           name "\0", u32 count, per format u64 size, text
 *     cmdlines                               u64 size, lines `pid comm`
 *     printk                                 u32 size, lines `0xaddress : "string"`
 *
 * Traps: the file's own long size is that of trace-cmd, the kernel's is the size of `commit`; an
 * empty header page (kernels before v2.6.31) means the default layout.
 *
 * Source: trace-cmd.dat.v6.5.txt and v7.5.txt.
 */
import { type EventFormat, parseEventFormat, parseFields } from './event-format.ts';
import type { Reader } from './reader.ts';
import type { PageHeader } from './trace-file.ts';

/** Event types are 16 bits, so there are no more formats than this. */
const FORMATS_MAX = 1 << 16;
/** Threads or strings that are taken for real. */
const ENTRIES_MAX = 1 << 20;

/** Reads both header descriptions. @param longSize bytes of a long as the file's head has it. */
export async function readPageHeader(reader: Reader, longSize: 4 | 8): Promise<PageHeader> {
  await expectText(reader, 'header_page\0');
  const at = reader.at;
  const page = await reader.text(await reader.offset('the size of header_page'), 'header_page');
  await expectText(reader, 'header_event\0');
  const eventSize = await reader.offset('the size of header_event');
  reader.skip(eventSize, 'header_event');
  if (page === '') {
    return { timestampOffset: 0, commitOffset: 8, longSize, dataOffset: 8 + longSize };
  }
  return pageHeader(reader, page, at);
}

function pageHeader(reader: Reader, text: string, at: number): PageHeader {
  const fields = parseFields(text);
  const get = (name: string, sizes: readonly number[]) => {
    const field = fields.find((f) => f.name === name);
    if (field === undefined) throw reader.error(`header_page with a field ${name}`, 'none', at);
    if (sizes.length > 0 && !sizes.includes(field.size)) {
      throw reader.error(`${name} of ${sizes.join(' or ')} bytes`, `${field.size}`, at);
    }
    return field;
  };
  const timestamp = get('timestamp', [8]);
  const commit = get('commit', [4, 8]);
  return {
    timestampOffset: timestamp.offset,
    commitOffset: commit.offset,
    longSize: commit.size === 4 ? 4 : 8,
    dataOffset: get('data', []).offset,
  };
}

/** Consumes a fixed text. */
async function expectText(reader: Reader, text: string): Promise<void> {
  const at = reader.at;
  const found = await reader.text(text.length, JSON.stringify(text));
  if (found !== text) throw reader.error(JSON.stringify(text), JSON.stringify(found), at);
}

/** Formats of ftrace's own events. */
export async function readFtraceFormats(reader: Reader, formats: EventFormat[]): Promise<void> {
  await readFormats(reader, 'ftrace', formats);
}

/** Formats of all other events, by system. */
export async function readEventFormats(reader: Reader, formats: EventFormat[]): Promise<void> {
  const at = reader.at;
  const systems = await reader.u32('the number of event systems');
  if (systems > FORMATS_MAX) throw reader.error('a number of event systems', `${systems}`, at);
  for (let i = 0; i < systems; i++) {
    await readFormats(reader, await reader.cstring("an event system's name"), formats);
  }
}

async function readFormats(reader: Reader, system: string, formats: EventFormat[]): Promise<void> {
  const at = reader.at;
  const count = await reader.u32('the number of event formats');
  if (count > FORMATS_MAX - formats.length) {
    throw reader.error(`at most ${FORMATS_MAX} event formats`, `${count} more`, at);
  }
  for (let i = 0; i < count; i++) {
    const size = await reader.offset("an event format's size");
    const byte = reader.place();
    const format = parseEventFormat(system, await reader.text(size, 'an event format'), byte);
    if (format !== undefined) formats.push(format);
  }
}

/** Thread names by thread id. */
export async function readComms(reader: Reader): Promise<Map<number, string>> {
  const size = await reader.offset('the size of the command lines');
  const comms = new Map<number, string>();
  for (const line of lines(reader, await reader.take(size, 'the command lines'))) {
    const space = line.indexOf(' ');
    const pid = Number(line.slice(0, Math.max(0, space)));
    if (space > 0 && Number.isInteger(pid)) comms.set(pid, line.slice(space + 1));
  }
  return comms;
}

/** Strings of the kernel image by address. */
export async function readStrings(reader: Reader): Promise<Map<bigint, string>> {
  const size = await reader.u32('the size of the printk formats');
  const strings = new Map<bigint, string>();
  for (const line of lines(reader, await reader.take(size, 'the printk formats'))) {
    const colon = line.indexOf(':');
    const address = line.slice(0, Math.max(0, colon)).trim();
    if (!/^0x[0-9a-f]{1,16}$/i.test(address)) continue;
    strings.set(BigInt(address), unquote(line.slice(colon + 1).trim()));
  }
  return strings;
}

function unquote(text: string): string {
  const bare = text.replace(/^"/, '').replace(/"$/, '');
  return bare.endsWith('\\n') ? bare.slice(0, -2) : bare;
}

/** Lines of a text in UTF-8, without the empty ones. */
function lines(reader: Reader, bytes: Uint8Array): string[] {
  const found = new TextDecoder().decode(bytes).split('\n', ENTRIES_MAX + 1);
  if (found.length > ENTRIES_MAX) {
    throw reader.error(`at most ${ENTRIES_MAX} lines`, 'more', reader.at - bytes.length);
  }
  return found.filter((line) => line !== '' && line !== '\0');
}
