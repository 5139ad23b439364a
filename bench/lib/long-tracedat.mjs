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
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { BUFFER, cstring, DONE, SECTION_HEAD_BYTES, u32, u64 } from './tracedat-bytes.mjs';
import { packers } from './tracedat-packers.mjs';
import { pageChunks, recordingLength } from './tracedat-pages.mjs';
import { readSource } from './tracedat-source.mjs';

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
