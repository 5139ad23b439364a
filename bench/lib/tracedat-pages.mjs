/** Ring-buffer pages repeated, each time later by the recording's length. */

/** Pages that trace-cmd puts into a chunk. */
export const PAGES_IN_CHUNK = 10;

/** Chunks of pages, with their times moved on by `length` at each repetition. */
export function* pageChunks(once, { pageSize, repeat, length }) {
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
export function recordingLength(cpus, pageSize) {
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
