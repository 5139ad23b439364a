/**
 * Makes a long trace.dat out of a short one: every CPU's ring-buffer pages again and again, each
 * time later by the recording's length. The result is a valid file of version 7 that trace-cmd
 * reads too. What explains the events is copied, uncompressed; the events are compressed as asked.
 *
 *     node bench/lib/long-tracedat.mjs SRC.dat OUT.dat --repeat N [--compression none|zlib|zstd]
 *
 * SRC is a little-endian file of version 7 with one buffer. Node 20 can't compress with zstd, so
 * `--compression zstd` needs the `zstd` program. With the source's own compression and N = 1 the
 * events stay the same to the byte, which makes it a converter between compressions.
 */
import { spawnSync } from 'node:child_process';
import {
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { deflateSync, inflateSync } from 'node:zlib';
import { ZSTDDecoder } from 'zstddec';

/** Pages that trace-cmd puts into a chunk. */
const PAGES_IN_CHUNK = 10;
/** Chunks that one run of the zstd program compresses. */
const CHUNKS_IN_RUN = 512;
const HEAD_BYTES = 18;
const SECTION_HEAD_BYTES = 16;
const DONE = 0;
const BUFFER = 3;
/** Options whose data is the offset of a section: HEADER_INFO to CMDLINES. */
const isSectionOption = (id) => id >= 16 && id <= 21;

/**
 * @param {string} source path of the short file
 * @param {string} target path of the file to write
 * @param {{ repeat?: number, compression?: 'none' | 'zlib' | 'zstd' }} [options]
 * @returns {Promise<{ bytes: number, pages: number }>} size of the file, and pages of all CPUs
 */
export async function writeLongTraceDat(source, target, { repeat = 1, compression = 'none' } = {}) {
  const pack = packers[compression];
  if (pack === undefined) throw new Error(`compression ${compression}: none, zlib or zstd`);
  const file = await readSource(readFileSync(source));
  const out = new Output(target);
  try {
    writeHead(out, file, compression);
    const sections = file.sections.map(({ id, data }) => ({ id, at: out.section(id, 0, data) }));
    const buffer = await writeBuffer(out, file, { repeat, pack });
    out.patch64(file.optionsOffsetAt(compression), out.at);
    out.section(DONE, 0, options(file, sections, buffer));
    return { bytes: out.at, pages: buffer.pages };
  } finally {
    out.close();
  }
}

/** A file written front to back, with 64-bit numbers that are filled in later. */
class Output {
  #fd;
  at = 0;

  constructor(path) {
    this.#fd = openSync(path, 'w');
  }

  write(bytes) {
    for (let done = 0; done < bytes.length; ) {
      done += writeSync(this.#fd, bytes, done, bytes.length - done, this.at + done);
    }
    this.at += bytes.length;
  }

  /** Writes a section and returns where it begins. */
  section(id, flags, data) {
    const at = this.at;
    const head = Buffer.alloc(SECTION_HEAD_BYTES);
    head.writeUInt16LE(id, 0);
    head.writeUInt16LE(flags, 2);
    head.writeBigUInt64LE(BigInt(data.length), 8);
    this.write(head);
    this.write(data);
    return at;
  }

  align(bytes) {
    this.write(Buffer.alloc((bytes - (this.at % bytes)) % bytes));
  }

  patch64(at, value) {
    writeSync(this.#fd, u64(value), 0, 8, at);
  }

  close() {
    closeSync(this.#fd);
  }
}

function u64(value) {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

function u32(...values) {
  const bytes = Buffer.alloc(4 * values.length);
  values.forEach((value, i) => {
    bytes.writeUInt32LE(value, 4 * i);
  });
  return bytes;
}

const cstring = (text) => Buffer.from(`${text}\0`, 'latin1');

function cstringAt(bytes, at) {
  const end = bytes.indexOf(0, at);
  return { text: bytes.toString('latin1', at, end), next: end + 1 };
}

/** Reads the source: its head, sections, options and each CPU's pages. */
async function readSource(bytes) {
  if (bytes.toString('latin1', 1, 12) !== '\x08\x44tracing7\0' || bytes[12] !== 0) {
    throw new Error('the source must be a little-endian trace.dat of version 7');
  }
  const name = cstringAt(bytes, HEAD_BYTES);
  const version = cstringAt(bytes, name.next);
  const unpack = await unpacker(name.text);
  const found = { options: [], buffers: [], sections: [] };
  for (let at = Number(bytes.readBigUInt64LE(version.next)); at !== 0; ) {
    at = readOptions(bytes, at, unpack, found);
  }
  if (found.buffers.length !== 1) throw new Error('the source must have one buffer');
  return {
    head: bytes.subarray(0, HEAD_BYTES),
    version: { [name.text]: version.text, none: '', zlib: '1.2.13', zstd: '1.5.4' },
    optionsOffsetAt(compression) {
      return HEAD_BYTES + compression.length + 1 + this.version[compression].length + 1;
    },
    ...found,
    ...readBuffer(bytes, found.buffers[0], unpack),
  };
}

async function unpacker(compression) {
  if (compression === 'zlib') return (data) => inflateSync(data);
  const decoder = new ZSTDDecoder();
  await decoder.init();
  return (data, size) => Buffer.from(decoder.decode(data, size));
}

function readOptions(bytes, sectionAt, unpack, found) {
  const data = sectionData(bytes, sectionAt, unpack);
  for (let at = 0; ; ) {
    const id = data.readUInt16LE(at);
    const size = data.readUInt32LE(at + 2);
    const value = data.subarray(at + 6, at + 6 + size);
    at += 6 + size;
    if (id === DONE) return Number(value.readBigUInt64LE(0));
    if (id === BUFFER) found.buffers.push(value);
    else if (isSectionOption(id)) {
      const from = Number(value.readBigUInt64LE(0));
      found.sections.push({ id, data: sectionData(bytes, from, unpack) });
    } else found.options.push({ id, value });
  }
}

function sectionData(bytes, at, unpack) {
  const size = Number(bytes.readBigUInt64LE(at + 8));
  const data = bytes.subarray(at + SECTION_HEAD_BYTES, at + SECTION_HEAD_BYTES + size);
  if ((bytes.readUInt16LE(at + 2) & 1) === 0) return data;
  return unpack(data.subarray(8, 8 + data.readUInt32LE(0)), data.readUInt32LE(4));
}

function readBuffer(bytes, option, unpack) {
  const clock = cstringAt(option, cstringAt(option, 8).next);
  const pageSize = option.readUInt32LE(clock.next);
  const compressed = (bytes.readUInt16LE(Number(option.readBigUInt64LE(0)) + 2) & 1) !== 0;
  const cpus = [];
  for (let at = clock.next + 8; at < option.length; at += 20) {
    const from = Number(option.readBigUInt64LE(at + 4));
    const size = Number(option.readBigUInt64LE(at + 12));
    const pages = compressed
      ? chunks(bytes, from, size, unpack)
      : bytes.subarray(from, from + size);
    cpus.push({ cpu: option.readUInt32LE(at), pages });
  }
  return { clock: clock.text, pageSize, cpus };
}

function chunks(bytes, from, size, unpack) {
  if (size === 0) return Buffer.alloc(0);
  const found = [];
  let at = from + 4;
  for (let left = bytes.readUInt32LE(from); left > 0; left--) {
    const packedSize = bytes.readUInt32LE(at);
    found.push(unpack(bytes.subarray(at + 8, at + 8 + packedSize), bytes.readUInt32LE(at + 4)));
    at += 8 + packedSize;
  }
  return Buffer.concat(found);
}

function writeHead(out, { head, version }, compression) {
  out.write(head);
  out.write(Buffer.concat([cstring(compression), cstring(version[compression]), u64(0)]));
}

/** Writes all pages of all CPUs; returns what the BUFFER option says of them. */
async function writeBuffer(out, { pageSize, cpus }, { repeat, pack }) {
  const length = recordingLength(cpus, pageSize);
  const at = out.section(BUFFER, pack === packers.none ? 0 : 1, Buffer.alloc(0));
  const ranges = [];
  let pages = 0;
  for (const { cpu, pages: once } of cpus) {
    out.align(pageSize);
    const from = out.at;
    const count = Math.floor(once.length / pageSize) * repeat;
    pages += count;
    if (count > 0) pack(out, pageChunks(once, { pageSize, repeat, length }), count);
    ranges.push({ cpu, from, size: Math.max(0, out.at - from - pack.uncounted) });
  }
  out.patch64(at + 8, out.at - at - SECTION_HEAD_BYTES);
  return { at, ranges, pages };
}

/** Chunks of pages, with their times moved on by `length` at each repetition. */
function* pageChunks(once, { pageSize, repeat, length }) {
  let chunk = [];
  for (let round = 0; round < repeat; round++) {
    for (let at = 0; at + pageSize <= once.length; at += pageSize) {
      const page = Buffer.from(once.subarray(at, at + pageSize));
      const shift = BigInt(round) * length;
      page.writeBigUInt64LE(page.readBigUInt64LE(0) + shift, 0);
      walk(page, (time, stampAt) => {
        if (stampAt > 0) writeStamp(page, stampAt, time + shift);
      });
      chunk.push(page);
      if (chunk.length === PAGES_IN_CHUNK) {
        yield Buffer.concat(chunk);
        chunk = [];
      }
    }
  }
  if (chunk.length > 0) yield Buffer.concat(chunk);
}

/** Writes an absolute time of 59 bits. */
function writeStamp(page, at, time) {
  page.writeUInt32LE(Number(((time & 0x7ffffffn) << 5n) | 31n), at);
  page.writeUInt32LE(Number((time >> 27n) & 0xffffffffn), at + 4);
}

/** Visits the time after each entry of a page, and where it stands if it is absolute. */
function walk(page, visit) {
  const end = 16 + (page.readUInt32LE(8) & 0x7ffffff);
  let time = page.readBigUInt64LE(0);
  for (let at = 16; at + 4 <= end; ) {
    const word = page.readUInt32LE(at);
    const type = word & 31;
    const delta = word >>> 5;
    if (type === 29 && delta === 0) return;
    const second = at + 8 <= end ? page.readUInt32LE(at + 4) : 0;
    const wide = BigInt(delta) + (BigInt(second) << 27n);
    time =
      type === 31 ? wide | (time & (0xf8n << 56n)) : time + (type === 30 ? wide : BigInt(delta));
    visit(time, type === 31 ? at : 0);
    if (type >= 30) at += 8;
    else if (type === 29) at += 4 + second;
    else at += type === 0 ? 4 + ((second + 3) & ~3) : 4 + 4 * type;
  }
}

/** Ticks from the first event to a little after the last. */
function recordingLength(cpus, pageSize) {
  let first;
  let last = 0n;
  for (const { pages } of cpus) {
    for (let at = 0; at + pageSize <= pages.length; at += pageSize) {
      const page = pages.subarray(at, at + pageSize);
      const time = page.readBigUInt64LE(0);
      if (first === undefined || time < first) first = time;
      walk(Buffer.from(page), (t) => {
        if (t > last) last = t;
      });
    }
  }
  return first === undefined || last < first ? 1n : last - first + 1n;
}

/** How the chunks of one CPU are written; `uncounted` bytes of it are left out of its size. */
const packers = {
  none: packer(0, (out, chunks) => {
    for (const chunk of chunks) out.write(chunk);
  }),
  zlib: packer(4, (out, chunks, pages) => {
    out.write(u32(Math.ceil(pages / PAGES_IN_CHUNK)));
    for (const chunk of chunks) writeChunk(out, deflateSync(chunk, { level: 9 }), chunk.length);
  }),
  zstd: packer(4, (out, chunks, pages) => {
    out.write(u32(Math.ceil(pages / PAGES_IN_CHUNK)));
    let run = [];
    for (const chunk of chunks) {
      run.push(chunk);
      if (run.length === CHUNKS_IN_RUN) {
        writeZstd(out, run);
        run = [];
      }
    }
    if (run.length > 0) writeZstd(out, run);
  }),
};

function packer(uncounted, write) {
  return Object.assign(write, { uncounted });
}

function writeChunk(out, packed, size) {
  out.write(u32(packed.length, size));
  out.write(packed);
}

/** Compresses several chunks by one run of the zstd program. */
function writeZstd(out, run) {
  const folder = mkdtempSync(join(tmpdir(), 'long-tracedat-'));
  try {
    const paths = run.map((chunk, i) => {
      const path = join(folder, `${i}`);
      writeFileSync(path, chunk);
      return path;
    });
    const { error, status, stderr } = spawnSync('zstd', ['-q', '--no-check', '-3', ...paths]);
    if (error?.code === 'ENOENT') {
      throw new Error('--compression zstd needs the zstd program, which is not installed');
    }
    if (error !== undefined || status !== 0) throw new Error(`zstd failed: ${error ?? stderr}`);
    run.forEach((chunk, i) => {
      writeChunk(out, readFileSync(`${paths[i]}.zst`), chunk.length);
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The data of the one options section. */
function options({ options: facts, clock, pageSize }, sections, { at, ranges }) {
  const option = (id, ...data) => {
    const value = Buffer.concat(data);
    const head = Buffer.alloc(6);
    head.writeUInt16LE(id, 0);
    head.writeUInt32LE(value.length, 2);
    return Buffer.concat([head, value]);
  };
  const cpus = ranges.map(({ cpu, from, size }) => Buffer.concat([u32(cpu), u64(from), u64(size)]));
  return Buffer.concat([
    ...sections.map((section) => option(section.id, u64(section.at))),
    ...facts.map(({ id, value }) => option(id, value)),
    option(BUFFER, u64(at), cstring(''), cstring(clock), u32(pageSize, ranges.length), ...cpus),
    option(DONE, u64(0)),
  ]);
}

async function main() {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: {
      repeat: { type: 'string', default: '1' },
      compression: { type: 'string', default: 'none' },
    },
  });
  const [source, target] = positionals;
  const repeat = Number(values.repeat);
  if (source === undefined || target === undefined || !(Number.isInteger(repeat) && repeat > 0)) {
    throw new Error('usage: long-tracedat.mjs SRC.dat OUT.dat --repeat N [--compression none]');
  }
  const { compression } = values;
  const { bytes, pages } = await writeLongTraceDat(source, target, { repeat, compression });
  console.log(`${target}: ${pages} pages, ${bytes} bytes`);
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  await main();
}
