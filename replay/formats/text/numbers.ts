/**
 * Numbers as trace text prints them, read into two 32-bit halves.
 *
 * A TSC and most clock fields need all 64 bits, so neither a double nor a bigint will do: the one is
 * not exact, the other costs an allocation for every field. All arithmetic here stays below 2^53 and
 * the result goes to a pair of halves, low half first, as an `EventBatch` stores them.
 *
 * Every function returns the place after the number, or -1 where there is none or it is wider than
 * 64 bits. None needs to know where the line ends: they stop at the first byte that does not belong
 * to a number, and a line ends with such a byte.
 */

export const TWO_32 = 4294967296;
/** A double holds any number of so many digits: 10^15 < 2^53. */
const EXACT_DIGITS = 15;
const POW10 = Float64Array.from({ length: 6 }, (_, k) => 10 ** k);

/** Letters, digits and `_`: hexadecimal digits by their value, the others 16. 255: any other byte. */
const WORD = new Uint8Array(256).fill(255);
for (const c of 'ghijklmnopqrstuvwxyzGHIJKLMNOPQRSTUVWXYZ_') WORD[c.charCodeAt(0)] = 16;
for (const c of '0123456789abcdefABCDEF') WORD[c.charCodeAt(0)] = Number.parseInt(c, 16);

/** Value of a hexadecimal digit; 16 or more for any other byte. */
export const hexDigit = (byte: number): number => WORD[byte]!;

/** `0x` as two bytes at once. */
export const HEX_PREFIX = 0x7830;

/**
 * The value of two hexadecimal digits by their two bytes, as they are read at once; -1 where one is
 * none. Few of the 65536 places are ever looked at.
 */
export const HEX_PAIRS = new Int16Array(65536).fill(-1);
for (let first = 48; first < 128; first++) {
  for (let second = 48; second < 128; second++) {
    if (WORD[first]! >= 16 || WORD[second]! >= 16) continue;
    HEX_PAIRS[first | (second << 8)] = WORD[first]! * 16 + WORD[second]!;
  }
}

/** Whether a byte can't follow a number directly. */
export const isWordByte = (byte: number): boolean => WORD[byte]! !== 255;

/** Whether a byte is a decimal digit. */
export const isDigit = (byte: number): boolean => (byte - 48) >>> 0 <= 9;

/** Decimal digits. */
export function readDecimal(bytes: Uint8Array, at: number, out: Uint32Array): number {
  let p = at;
  let value = 0;
  for (let byte = bytes[p]!; isDigit(byte); byte = bytes[++p]!) value = value * 10 + byte - 48;
  if (p - at > EXACT_DIGITS) return readLongDecimal(bytes, at, p, out);
  const high = Math.floor(value / TWO_32);
  out[0] = value - high * TWO_32;
  out[1] = high;
  return p === at ? -1 : p;
}

/** More digits than a double holds: the first ones as above, up to five more in a second step. */
function readLongDecimal(bytes: Uint8Array, at: number, end: number, out: Uint32Array): number {
  const tailStart = at + EXACT_DIGITS;
  if (end - tailStart > 5) return -1;
  let value = 0;
  for (let p = at; p < tailStart; p++) value = value * 10 + bytes[p]! - 48;
  let tail = 0;
  for (let p = tailStart; p < end; p++) tail = tail * 10 + bytes[p]! - 48;
  out[1] = Math.floor(value / TWO_32);
  out[0] = value - out[1] * TWO_32;
  return multiplyAdd(out, POW10[end - tailStart]!, tail) ? end : -1;
}

/** `out = out * factor + add`, `factor` up to 10^5. False where 64 bits do not hold it. */
function multiplyAdd(out: Uint32Array, factor: number, add: number): boolean {
  const low = out[0]! * factor + add;
  const carry = Math.floor(low / TWO_32);
  const high = out[1]! * factor + carry;
  out[0] = low - carry * TWO_32;
  out[1] = high;
  return high < TWO_32;
}

/** Hexadecimal digits, without `0x`. */
function readHex(bytes: Uint8Array, at: number, out: Uint32Array): number {
  let p = at;
  while (bytes[p] === 48) p++;
  let head = 0;
  let digit = hexDigit(bytes[p]!);
  for (const stop = p + 8; p < stop && digit < 16; digit = hexDigit(bytes[++p]!)) {
    head = (head << 4) | digit;
  }
  const tailStart = p;
  let tail = 0;
  for (const stop = p + 8; p < stop && digit < 16; digit = hexDigit(bytes[++p]!)) {
    tail = (tail << 4) | digit;
  }
  // Shifts are modulo 32, so that none at all and one by a whole word are cases of their own.
  const shift = (p - tailStart) * 4;
  out[0] = shift === 32 ? tail : (head << shift) | tail;
  out[1] = shift === 0 ? 0 : head >>> (32 - shift);
  return p === at || digit < 16 ? -1 : p;
}

/** Decimal with an optional minus sign, or hexadecimal with `0x`. */
export function readNumber(bytes: Uint8Array, at: number, out: Uint32Array): number {
  if (bytes[at] === 48 && bytes[at + 1] === 0x78) return readHex(bytes, at + 2, out);
  if (bytes[at] !== 0x2d) return readDecimal(bytes, at, out);
  const next = readDecimal(bytes, at + 1, out);
  if (next < 0 || out[1]! > 0x80000000 || (out[1] === 0x80000000 && out[0] !== 0)) return -1;
  out[1] = out[0] === 0 ? -out[1]! : ~out[1]!;
  out[0] = -out[0]!;
  return next;
}

/** Hexadecimal with or without `0x`: `%x` and `%#x`. */
export function readBareHex(bytes: Uint8Array, at: number, out: Uint32Array): number {
  const prefixed = bytes[at] === 48 && bytes[at + 1] === 0x78;
  return readHex(bytes, prefixed ? at + 2 : at, out);
}

/**
 * Adds a fraction to whole seconds: `out = out * 10^9 + fraction`, nanoseconds. `digits` is 6 or 9.
 * Returns the place after the fraction.
 */
export function addFraction(
  bytes: Uint8Array,
  at: number,
  digits: number,
  out: Uint32Array,
): number {
  let fraction = 0;
  for (let p = at; p < at + digits; p++) fraction = fraction * 10 + bytes[p]! - 48;
  if (digits === 6) fraction *= 1000;
  // 10^9 in two steps that stay below 2^53.
  const high = Math.floor(fraction / 10000);
  return multiplyAdd(out, 100000, high) && multiplyAdd(out, 10000, fraction - high * 10000)
    ? at + digits
    : -1;
}

/** How many decimal digits stand at a place, counting up to `limit`. */
export function countDigits(bytes: Uint8Array, at: number, limit: number): number {
  let p = at;
  while (p - at < limit && isDigit(bytes[p]!)) p++;
  return p - at;
}
