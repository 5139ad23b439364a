import type { StructViews } from './field.ts';

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
 * A hash of a struct's bytes: an integer below 2^53, so that a number holds it.
 *
 * Two 32-bit lanes with different factors over the 32-bit words, then the bytes that are left. Not
 * for hostile input.
 */
export function hashBytes({ at, u8, u32 }: StructViews, byteLength: number): number {
  let a = 0x9e37_79b9 ^ byteLength;
  let b = 0x85eb_ca6b ^ byteLength;
  const words = byteLength >>> 2;
  for (let i = 0, from = at >>> 2; i < words; i++) {
    const word = u32[from + i]!;
    a = mix(a, word, 0x2c1b_3c6d);
    b = mix(b, word, 0x297a_2d39);
  }
  for (let i = words * 4; i < byteLength; i++) {
    const byte = u8[at + i]!;
    a = mix(a, byte, 0x2c1b_3c6d);
    b = mix(b, byte, 0x297a_2d39);
  }
  return (finish(a) & 0x1f_ffff) * 0x1_0000_0000 + finish(b ^ a);
}
