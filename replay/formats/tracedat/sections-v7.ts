/**
 * trace.dat version 7: sections in any order, found through a chain of option sections.
 *
 *     17 08 44 "tracing" "7\0", u8 endian, u8 long size, u32 page size,
 *     compression name "\0" version "\0", u64 offset of the first options
 *     section: u16 id, u16 flags (1: compressed), u32 description, u64 size, data
 *     compressed section: u32 compressed size, u32 size, bytes
 *
 * Traps: each options section ends with DONE, whose data is the offset of the next one or 0; the
 * last of them is written when a recording ends, so a file whose chain is broken off was never
 * finished. Sections may be uncompressed in a file that names a compression.
 *
 * Source: trace-cmd.dat.v7.5.txt.
 */
import { MemoryBytes, type RandomAccess } from '../bytes.ts';
import type { FormatError } from '../error.ts';
import { type Decompress, decompressor } from './compression.ts';
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
  type BufferOptionV7,
  OPTION,
  OPTIONS_MAX,
  optionData,
  readBufferOptionV7,
  readOption,
} from './options.ts';
import { Reader, SECTION_BYTES_MAX } from './reader.ts';
import {
  CPU_RANGES_MAX,
  noOptions,
  type TraceBuffer,
  type TraceFile,
  type TraceMetadata,
  type TraceOptions,
} from './trace-file.ts';

const COMPRESSED = 1;
/** Buffer instances and option sections that are taken for real. */
const BUFFERS_MAX = 1024;
const OPTION_SECTIONS_MAX = 1024;

const UNFINISHED =
  'the file looks unfinished (trace-cmd record still running, or killed before it wrote the end)';

/** The chain of options, read. */
interface Chain {
  readonly options: TraceOptions;
  readonly buffers: BufferOptionV7[];
  /** Offsets of the sections, by id. */
  readonly sections: Map<number, number>;
  count: number;
  cpus: number;
  /** There is a latency trace, which is text. */
  latency: boolean;
}

interface Section {
  readonly id: number;
  readonly compressed: boolean;
  readonly reader: Reader;
}

class SectionReader {
  readonly #bytes: RandomAccess;
  readonly #little: boolean;
  readonly #decompress: Decompress;

  constructor(bytes: RandomAccess, little: boolean, decompress: Decompress) {
    this.#bytes = bytes;
    this.#little = little;
    this.#decompress = decompress;
  }

  /** Reads a section's header and makes its content readable. */
  async open(offset: number): Promise<Section> {
    const reader = new Reader(this.#bytes, { little: this.#little, at: offset });
    const id = await reader.u16("a section's id");
    const compressed = ((await reader.u16("a section's flags")) & COMPRESSED) !== 0;
    reader.skip(4, "a section's description");
    reader.skip(8, "a section's size");
    return { id, compressed, reader };
  }

  /** Like `open`, for a section of a known kind, decompressed where needed. */
  async content(offset: number, id: number): Promise<Reader> {
    const section = await this.open(offset);
    if (section.id !== id) {
      throw section.reader.error(`section ${id}`, `section ${section.id}`, offset);
    }
    return section.compressed ? this.#decompressed(section.reader) : section.reader;
  }

  async #decompressed(reader: Reader): Promise<Reader> {
    const origin = reader.at;
    const packedSize = await reader.u32("a section's compressed size");
    const size = await reader.u32("a section's decompressed size");
    if (size > SECTION_BYTES_MAX) {
      throw reader.error(`a section of at most ${SECTION_BYTES_MAX} bytes`, `${size}`, origin);
    }
    const packed = await reader.take(packedSize, 'a compressed section');
    const bytes = size === 0 ? new Uint8Array(0) : this.#decompress(packed, size);
    if (bytes === undefined) {
      throw reader.error(`a compressed section of ${size} bytes`, 'corrupt data', origin);
    }
    return new Reader(new MemoryBytes(this.#bytes.name, bytes), { little: this.#little, origin });
  }
}

/** Reads all of a version 7 file but its events. @param reader stands behind the page size. */
export async function readV7(
  bytes: RandomAccess,
  reader: Reader,
  head: FileHead,
): Promise<{ file: TraceFile; decompress: Decompress }> {
  const at = reader.at;
  const compression = await reader.cstring('the name of the compression', 64);
  await reader.cstring('the version of the compression', 64);
  const decompress = await decompressor(compression);
  if (decompress === undefined) {
    throw reader.error('compression zstd, zlib or none', JSON.stringify(compression), at);
  }
  const sections = new SectionReader(bytes, head.little, decompress);
  const chain = await readChain(reader, sections, head.end);
  const metadata = await readMetadata(reader, sections, chain, head.longSize);
  const buffers = [];
  for (const buffer of chain.buffers) {
    buffers.push(await locate(sections, buffer, head.pageSize));
  }
  const { name, version, little } = head;
  const file = { name, version, little, compression, metadata, buffers, options: chain.options };
  return { file, decompress };
}

/** Follows the chain of options from the offset that `reader` stands at. */
async function readChain(reader: Reader, sections: SectionReader, end: number): Promise<Chain> {
  const chain: Chain = {
    options: noOptions(),
    buffers: [],
    sections: new Map(),
    count: 0,
    cpus: 0,
    latency: false,
  };
  const seen = new Set<number>();
  let from = reader.at;
  let offset = await reader.offset('the offset of the options');
  if (offset === 0) throw unfinished(reader, 'no options', from);
  while (offset !== 0) {
    if (offset >= end) throw unfinished(reader, `options at ${offset} of ${end} bytes`, from);
    if (seen.has(offset) || seen.size === OPTION_SECTIONS_MAX) {
      throw reader.error('a chain of options that ends', `options at ${offset} again`, from);
    }
    seen.add(offset);
    from = offset;
    offset = await readOptions(await sections.content(offset, OPTION.DONE), chain);
  }
  if (chain.buffers.length === 0 && chain.latency) {
    throw reader.error('a buffer of events', 'a latency trace, which is text', from);
  }
  if (chain.buffers.length === 0) throw unfinished(reader, 'no buffer', from);
  return chain;
}

function unfinished(reader: Reader, found: string, at: number): FormatError {
  return reader.error('the options of a finished recording', `${found}: ${UNFINISHED}`, at);
}

/** Reads one section of options. @returns where the next one is, or 0. */
async function readOptions(reader: Reader, chain: Chain): Promise<number> {
  for (;;) {
    const at = reader.at;
    const id = await reader.u16("an option's id");
    const size = await reader.u32("an option's size");
    if (size > reader.left) {
      throw reader.error(`option ${id} of ${size} bytes`, `${reader.left} more`, at);
    }
    if (++chain.count > OPTIONS_MAX) {
      throw reader.error(`at most ${OPTIONS_MAX} options`, 'more', at);
    }
    if (id === OPTION.DONE) return reader.offset('the offset of more options');
    if (id === OPTION.BUFFER_TEXT) chain.latency = true;
    if (id === OPTION.BUFFER) await addBuffer(reader, size, chain);
    else if (id >= OPTION.HEADER_INFO && id <= OPTION.CMDLINES && size === 8) {
      chain.sections.set(id, await reader.offset("a section's offset"));
    } else await readOption(reader, id, size, chain.options);
  }
}

async function addBuffer(reader: Reader, size: number, chain: Chain): Promise<void> {
  const at = reader.at;
  const buffer = await readBufferOptionV7(await optionData(reader, size));
  chain.buffers.push(buffer);
  chain.cpus += buffer.cpus.length;
  if (chain.cpus > CPU_RANGES_MAX || chain.buffers.length > BUFFERS_MAX) {
    throw reader.error(`at most ${CPU_RANGES_MAX} CPUs in ${BUFFERS_MAX} buffers`, 'more', at);
  }
}

async function readMetadata(
  reader: Reader,
  sections: SectionReader,
  { sections: offsets }: Chain,
  longSize: 4 | 8,
): Promise<TraceMetadata> {
  const content = async (id: number): Promise<Reader | undefined> => {
    const offset = offsets.get(id);
    return offset === undefined ? undefined : sections.content(offset, id);
  };
  const header = await content(OPTION.HEADER_INFO);
  if (header === undefined) throw reader.error('a section that describes pages', 'none');
  const pageHeader = await readPageHeader(header, longSize);
  const formats: EventFormat[] = [];
  const ftrace = await content(OPTION.FTRACE_EVENTS);
  if (ftrace !== undefined) await readFtraceFormats(ftrace, formats);
  const events = await content(OPTION.EVENT_FORMATS);
  if (events !== undefined) await readEventFormats(events, formats);
  const printk = await content(OPTION.PRINTK);
  const cmdlines = await content(OPTION.CMDLINES);
  return {
    pageHeader,
    formats,
    strings: printk === undefined ? new Map() : await readStrings(printk),
    comms: cmdlines === undefined ? new Map() : await readComms(cmdlines),
  };
}

/** Looks up whether a buffer's data is compressed. */
async function locate(
  sections: SectionReader,
  { offset, name, clock, pageSize, cpus }: BufferOptionV7,
  filePageSize: number,
): Promise<TraceBuffer> {
  const { id, compressed, reader } = await sections.open(offset);
  if (id !== OPTION.BUFFER) {
    throw reader.error(`section ${OPTION.BUFFER} (a buffer)`, `section ${id}`, offset);
  }
  return {
    name,
    clock: clock === '' ? undefined : clock,
    pageSize: pageSize === 0 ? filePageSize : pageSize,
    compressed,
    cpus,
  };
}
