/** Numbers of trace text, in WebAssembly: `./scanner.ts` says why. */
import { hexDigit } from '../numbers.ts';
import * as w from './assembler.ts';
import { type Code, Func, Global, i32, i64, type Local } from './assembler.ts';

/** Index of the function `(at, hexadecimal) → the place after the number, or -1`. */
export const NUMBER = 0;
/** What it read, modulo 2^64. */
export const VALUE = new Global(0);
/** Digits of the last instant. */
export const DIGITS = new Global(1);

/** Each byte as a digit: 0 to 15, other bytes of words 16, the rest `NO_WORD`. */
export const CLASSES = Uint8Array.from({ length: 256 }, (_, byte) => hexDigit(byte));
export const NO_WORD = 255;

/** `0x` as two bytes at once. */
const PREFIX = 0x7830;
const MINUS = 0x2d;
const MOST_HEX_DIGITS = 16;
/** So many digits always fit 64 bits; with a sign one less. */
const MOST_DECIMAL_DIGITS = 19;

/** Whether one of eight bytes is no decimal digit. */
export function notDecimal(word: Code): Code {
  const high = w.and64(word, i64(0xf0f0f0f0f0f0f0f0n));
  const carried = w.and64(w.add64(word, i64(0x0606060606060606n)), i64(0xf0f0f0f0f0f0f0f0n));
  return w.unequal64(w.or64(high, w.shr64(carried, i64(4n))), i64(0x3333333333333333n));
}

/** The number that eight decimal digits write: neighbours are joined to pairs, fours, all eight. */
export function decimalOf(word: Local): Code {
  const join = (value: Code, mask: bigint, factor: bigint, shift: bigint): Code =>
    w.shr64(w.mul64(w.and64(value, i64(mask)), i64(factor)), i64(shift));
  const pairs = join(word.get, 0x0f0f0f0f0f0f0f0fn, 10n * 2n ** 8n + 1n, 8n);
  const fours = join(pairs, 0x00ff00ff00ff00ffn, 100n * 2n ** 16n + 1n, 16n);
  return join(fours, 0x0000ffff0000ffffn, 10000n * 2n ** 32n + 1n, 32n);
}

/** Decimal with an optional minus sign, or hexadecimal; it must end where a word ends. */
export function numberFunction(classes: number): Func {
  const f = new Func(2);
  const [at, hexadecimal] = f.params as [Local, Local];
  const first = f.local('i32');
  const q = f.local('i32');
  const digit = f.local('i32');
  const negative = f.local('i32');
  const value = f.local('i64');
  const step = q.set(w.add(q.get, i32(1)));
  const none = w.result(i32(-1));
  const classAt = w.load8(w.load8(q.get), classes);
  const tooMany = (most: Code): Code => w.atLeast(w.sub(w.sub(q.get, first.get), i32(1)), most);

  const readHex = (): Code => [
    f.loop((again) =>
      f.when(w.below(digit.tee(classAt), i32(16)), () => [
        value.set(w.or64(w.shl64(value.get, i64(4n)), w.widen(digit.get))),
        step,
        f.go(again),
      ]),
    ),
    f.when(tooMany(i32(MOST_HEX_DIGITS)), () => none),
  ];
  const readDecimal = (): Code => [
    f.when(w.equal(w.load8(q.get), i32(MINUS)), () => [
      negative.set(i32(1)),
      step,
      first.set(q.get),
    ]),
    f.loop((again) =>
      f.when(w.below(digit.tee(w.sub(w.load8(q.get), i32(48))), i32(10)), () => [
        value.set(w.add64(w.mul64(value.get, i64(10n)), w.widen(digit.get))),
        step,
        f.go(again),
      ]),
    ),
    f.when(tooMany(w.sub(i32(MOST_DECIMAL_DIGITS), negative.get)), () => none),
    f.when(negative.get, () => value.set(w.sub64(i64(0n), value.get))),
  ];
  return f.body([
    q.set(at.get),
    f.when(w.equal(w.load16(at.get), i32(PREFIX)), () => [
      q.set(w.add(at.get, i32(2))),
      hexadecimal.set(i32(1)),
    ]),
    first.set(q.get),
    f.when(hexadecimal.get, readHex),
    f.when(w.isZero(hexadecimal.get), readDecimal),
    f.when(w.unequal(classAt, i32(NO_WORD)), () => none),
    VALUE.set(value.get),
    q.get,
  ]);
}
