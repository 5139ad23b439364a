/**
 * Timestamps in ticks: the one long number of every line.
 *
 * A TSC has 10 to 16 digits, and as many as the line before almost always. Supposing that, its
 * digits can be read as four words of four bytes, with no loop to see where they end: half the time
 * of a digit after the other. The supposition is checked, digits and colon, before it is trusted.
 */
import { readDecimal, TWO_32 } from './numbers.ts';
import type { Text } from './text.ts';

const COLON = 0x3a;
const MIN_DIGITS = 9;
const MAX_DIGITS = 16;
const POW10 = [1, 10, 100, 1000, 10000];

/** Zero if all four bytes are decimal digits. */
const nonDigits = (word: number): number =>
  ((word & 0xf0f0f0f0) | (((word + 0x06060606) & 0xf0f0f0f0) >>> 4)) ^ 0x33333333;

/** The number that four decimal digits write; zero bytes count as the digit 0. */
function digitsValue(word: number): number {
  // 10 * first + second digit of each half, then 100 * first + second half.
  const pairs = (Math.imul(word & 0x0f0f0f0f, 2561) >>> 8) & 0x00ff00ff;
  return (pairs & 0xffff) * 100 + (pairs >>> 16);
}

/** The number that the first `count` (1 to 4) of four decimal digits write. */
const firstDigitsValue = (word: number, count: number): number =>
  digitsValue(word << (32 - count * 8));

/** Reads ticks. Remembers how long they were. */
export class TickReader {
  #digits = MIN_DIGITS;

  /** Like `readDecimal`. */
  read(text: Text, at: number, out: Uint32Array): number {
    const end = at + this.#digits;
    if (text.bytes[end] === COLON && readKnown(text.view, at, this.#digits, out)) return end;
    const next = readDecimal(text.bytes, at, out);
    // A fraction may follow; it is not for this reader to know.
    const digits = next - at;
    if (digits >= MIN_DIGITS && digits <= MAX_DIGITS) this.#digits = digits;
    return next;
  }
}

/** Reads so many digits, if they are digits. */
function readKnown(view: DataView, at: number, digits: number, out: Uint32Array): boolean {
  const tail = at + digits - 8;
  const first = view.getInt32(at, true);
  const third = view.getInt32(tail, true);
  const last = view.getInt32(tail + 4, true);
  let wrong = nonDigits(first) | nonDigits(third) | nonDigits(last);
  let head: number;
  if (digits <= 12) {
    head = firstDigitsValue(first, digits - 8);
  } else {
    const second = view.getInt32(at + 4, true);
    wrong |= nonDigits(second);
    head = digitsValue(first) * POW10[digits - 12]! + firstDigitsValue(second, digits - 12);
  }
  if (wrong !== 0) return false;
  const rest = digitsValue(third) * 10000 + digitsValue(last);
  // The low half is exact modulo 2^32. The rest is a multiple of 2^32, which a double may miss by
  // less than half of that: sixteen digits do not fit its 53 bits.
  const low = (Math.imul(head, 100000000) + rest) >>> 0;
  out[0] = low;
  out[1] = Math.round((head * 100000000 + rest - low) / TWO_32);
  return true;
}
