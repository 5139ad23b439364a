/** What every trace.dat begins with. */
export const MAGIC = '\x17\x08\x44tracing';

/** True if the first bytes (10 are enough) are trace.dat's magic. */
export function isTraceDat(head: Uint8Array): boolean {
  return head.length >= MAGIC.length && [...MAGIC].every((c, i) => head[i] === c.charCodeAt(0));
}

/** Where a file of version 7 names its compression: behind version, endianness, and sizes. */
const COMPRESSION_AT = 18;
const UNCOMPRESSED = 'none';

/** So much of a file is enough to tell. */
export const HEAD_BYTES = COMPRESSION_AT + UNCOMPRESSED.length + 1;

/** Whether a trace.dat that begins so is compressed; only those of version 7 can be. */
export function isCompressed(head: Uint8Array): boolean {
  const version = String.fromCharCode(head[MAGIC.length] ?? 0);
  const name = String.fromCharCode(...head.subarray(COMPRESSION_AT, HEAD_BYTES));
  return version === '7' && name !== `${UNCOMPRESSED}\0`;
}
