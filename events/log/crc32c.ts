/** CRC-32C (Castagnoli, reflected, polynomial 0x1EDC6F41): RFC 3720, appendix B.4. */

const POLYNOMIAL_REFLECTED = 0x82f6_3b78;

/** Bytes that are taken at once. */
const SLICE = 8;

/** The CRC of each byte, and of it with 1 … 7 zeros behind it: what it does to a CRC from there. */
const TABLES: readonly Uint32Array[] = (() => {
  const last = Uint32Array.from({ length: 256 }, (_, byte) => {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) {
      crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL_REFLECTED : crc >>> 1;
    }
    return crc;
  });
  const tables = [last];
  while (tables.length < SLICE) {
    tables.push(tables.at(-1)!.map((crc) => (crc >>> 8) ^ last[crc & 0xff]!));
  }
  return tables;
})();

const [T0, T1, T2, T3, T4, T5, T6, T7] = TABLES as [
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
];

/**
 * The CRC of some bytes, a u32.
 *
 * @param before - the CRC of the bytes before them, to go on from.
 */
export function crc32c(bytes: Uint8Array, before = 0): number {
  let crc = ~before;
  let i = 0;
  for (; i + SLICE <= bytes.length; i += SLICE) {
    crc =
      T7[(crc ^ bytes[i]!) & 0xff]! ^
      T6[((crc >>> 8) ^ bytes[i + 1]!) & 0xff]! ^
      T5[((crc >>> 16) ^ bytes[i + 2]!) & 0xff]! ^
      T4[(crc >>> 24) ^ bytes[i + 3]!]! ^
      T3[bytes[i + 4]!]! ^
      T2[bytes[i + 5]!]! ^
      T1[bytes[i + 6]!]! ^
      T0[bytes[i + 7]!]!;
  }
  for (; i < bytes.length; i++) crc = (crc >>> 8) ^ T0[(crc ^ bytes[i]!) & 0xff]!;
  return ~crc >>> 0;
}
