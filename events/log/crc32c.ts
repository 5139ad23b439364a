/** CRC-32C (Castagnoli, reflected, polynomial 0x1EDC6F41): RFC 3720, appendix B.4. */

const POLYNOMIAL_REFLECTED = 0x82f6_3b78;

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) {
    crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL_REFLECTED : crc >>> 1;
  }
  return crc;
});

/**
 * The CRC of some bytes, a u32.
 *
 * @param before - the CRC of the bytes before them, to go on from.
 */
export function crc32c(bytes: Uint8Array, before = 0): number {
  let crc = ~before;
  for (let i = 0; i < bytes.length; i++) crc = (crc >>> 8) ^ TABLE[(crc ^ bytes[i]!) & 0xff]!;
  return ~crc >>> 0;
}
