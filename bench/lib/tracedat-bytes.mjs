/** Numbers, strings and sizes of a trace.dat of version 7, for those who read and write one. */

export const HEAD_BYTES = 18;
export const SECTION_HEAD_BYTES = 16;
/** Options: the last one, and a buffer. */
export const DONE = 0;
export const BUFFER = 3;

export function u64(value) {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

export function u32(...values) {
  const bytes = Buffer.alloc(4 * values.length);
  values.forEach((value, i) => {
    bytes.writeUInt32LE(value, 4 * i);
  });
  return bytes;
}

export const cstring = (text) => Buffer.from(`${text}\0`, 'latin1');

export function cstringAt(bytes, at) {
  const end = bytes.indexOf(0, at);
  return { text: bytes.toString('latin1', at, end), next: end + 1 };
}
