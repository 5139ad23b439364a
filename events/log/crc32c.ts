/** CRC-32C (Castagnoli, reflected, polynomial 0x1EDC6F41): RFC 3720, appendix B.4. */

const POLYNOMIAL_REFLECTED = 0x82f6_3b78;

/** Bytes that are taken at once. */
const SLICE = 16;

/** The CRC of each byte, then of each with 1 … 15 zeros behind it: what it does to a CRC from there. */
const TABLE: Int32Array = (() => {
  const table = new Int32Array(256 * SLICE);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) {
      crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL_REFLECTED : crc >>> 1;
    }
    table[byte] = crc;
  }
  for (let at = 256; at < table.length; at++) {
    const before = table[at - 256]!;
    table[at] = (before >>> 8) ^ table[before & 0xff]!;
  }
  return table;
})();

/** The CRC of four bytes, the lowest first, with so many zeros behind them. */
const ofWord = (table: Int32Array, word: number, zeros: number): number =>
  table[256 * (zeros + 3) + (word & 0xff)]! ^
  table[256 * (zeros + 2) + ((word >>> 8) & 0xff)]! ^
  table[256 * (zeros + 1) + ((word >>> 16) & 0xff)]! ^
  table[256 * zeros + (word >>> 24)]!;

/** Fewer bytes have their CRC one by one before there is a view of them. */
const VIEW_BYTES = 256;

/**
 * The CRC of some bytes, a u32.
 *
 * @param before - the CRC of the bytes before them, to go on from.
 * @param from - the first of the bytes.
 * @param to - behind the last of them.
 */
export function crc32c(bytes: Uint8Array, before = 0, from = 0, to = bytes.length): number {
  const table = TABLE;
  let crc = ~before;
  let i = from;
  if (to - from >= VIEW_BYTES) {
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    for (; i + SLICE <= to; i += SLICE) {
      crc =
        ofWord(table, crc ^ view.getInt32(i, true), 12) ^
        ofWord(table, view.getInt32(i + 4, true), 8) ^
        ofWord(table, view.getInt32(i + 8, true), 4) ^
        ofWord(table, view.getInt32(i + 12, true), 0);
    }
  }
  for (; i < to; i++) crc = (crc >>> 8) ^ table[(crc ^ bytes[i]!) & 0xff]!;
  return ~crc >>> 0;
}
