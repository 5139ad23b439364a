/** One lane's mixing of a word: multiplication spreads upward, rotation brings it down again. */
const mix = (lane: number, word: number, factor: number): number => {
  const product = Math.imul(lane ^ word, factor);
  return (product << 13) | (product >>> 19);
};

/** Lets every bit of a lane depend on every other. */
const finish = (lane: number): number => {
  let h = Math.imul(lane ^ (lane >>> 16), 0x21f0_aaad);
  h = Math.imul(h ^ (h >>> 15), 0x735a_2d97);
  return (h ^ (h >>> 15)) >>> 0;
};

/**
 * A hash of some bytes: an integer below 2^53, so that a number holds it.
 *
 * Two 32-bit lanes with different factors over the 32-bit words, then the bytes that are left. Not
 * for hostile input.
 *
 * @param words - the whole words of `bytes`.
 */
export function hashBytes(words: Uint32Array, bytes: Uint8Array): number {
  let a = 0x9e37_79b9 ^ bytes.length;
  let b = 0x85eb_ca6b ^ bytes.length;
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    a = mix(a, word, 0x2c1b_3c6d);
    b = mix(b, word, 0x297a_2d39);
  }
  for (let i = words.length * 4; i < bytes.length; i++) {
    const byte = bytes[i]!;
    a = mix(a, byte, 0x2c1b_3c6d);
    b = mix(b, byte, 0x297a_2d39);
  }
  return (finish(a) & 0x1f_ffff) * 0x1_0000_0000 + finish(b ^ a);
}
