/** Reads a trace.dat of version 7 into its parts: what explains the events, and each CPU's pages. */
import { inflateSync } from 'node:zlib';
import { ZSTDDecoder } from 'zstddec';
import { BUFFER, cstringAt, DONE, HEAD_BYTES, SECTION_HEAD_BYTES } from './tracedat-bytes.mjs';

/** Options whose data is the offset of a section: HEADER_INFO to CMDLINES. */
const isSectionOption = (id) => id >= 16 && id <= 21;

/** Reads the source: its head, sections, options and each CPU's pages. */
export async function readSource(bytes) {
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
