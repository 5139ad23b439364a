/**
 * 64-bit integers as bigints.
 *
 * Every function of this module takes its 64-bit arguments modulo 2^64, as a register would: a
 * negative number stands for its two's complement, so s64 and u64 values mix freely. A result is
 * always in the range of the type it is documented with.
 */

/** Largest u64, 2^64 − 1. */
export const U64_MAX = 0xffff_ffff_ffff_ffffn;
/** Smallest s64, −2^63. */
export const S64_MIN = -0x8000_0000_0000_0000n;
/** Largest s64, 2^63 − 1. */
export const S64_MAX = 0x7fff_ffff_ffff_ffffn;

/** The value modulo 2^64, in 0 … 2^64 − 1: a cast to the kernel's `u64`. */
export const asU64 = (value: bigint): bigint => BigInt.asUintN(64, value);

/** The value modulo 2^64, in −2^63 … 2^63 − 1: a cast to the kernel's `s64`. */
export const asS64 = (value: bigint): bigint => BigInt.asIntN(64, value);

/** `a + b` modulo 2^64, as u64. */
export const addU64 = (a: bigint, b: bigint): bigint => BigInt.asUintN(64, a + b);

/** `a − b` modulo 2^64, as u64. */
export const subU64 = (a: bigint, b: bigint): bigint => BigInt.asUintN(64, a - b);

/**
 * Whether instant `a` lies before instant `b` on a counter that wraps at 2^64.
 *
 * Right while the two are less than 2^63 apart, as `time_before64()` in include/linux/jiffies.h is;
 * it is also many times faster than `a < b`, which V8 does not keep in machine words.
 */
export const isBefore = (a: bigint, b: bigint): boolean => BigInt.asIntN(64, a - b) < 0n;

const DECIMAL = /^(?:0|-?[1-9][0-9]{0,19})$/;

const parseWithin = (text: string, least: bigint, most: bigint, type: string): bigint => {
  const value = DECIMAL.test(text) ? BigInt(text) : undefined;
  if (value === undefined || value < least || value > most) {
    throw new RangeError(`expected ${type} in decimal, found ${JSON.stringify(text.slice(0, 40))}`);
  }
  return value;
};

/**
 * Reads a u64 as JSON carries it: decimal digits, no sign, no leading zero.
 *
 * @throws RangeError for any other text.
 */
export const parseU64 = (text: string): bigint => parseWithin(text, 0n, U64_MAX, 'a u64');

/**
 * Reads an s64 as JSON carries it: decimal digits after at most one minus sign, no leading zero.
 *
 * @throws RangeError for any other text.
 */
export const parseS64 = (text: string): bigint => parseWithin(text, S64_MIN, S64_MAX, 'an s64');
