/**
 * Walks over a compiled pattern (`./patterns.ts`) and the text of an event.
 *
 * More than half of all lines come here. So the steps that every usual event is made of stand in
 * the one loop, with what they need in local variables: a function for each costs more than what it
 * does. Numbers that are not printed as usual are left to functions, which read them a second time.
 */
import { type EventBatch, NARROW_COLUMNS, WIDE_COLUMNS } from '../../../events/index.ts';
import {
  HEX_PAIRS,
  HEX_PREFIX,
  hexDigit,
  isDigit,
  isWordByte,
  readBareHex,
  readNumber,
} from './numbers.ts';
import type { Text } from './text.ts';

/** Steps of a compiled pattern: what a program's integers mean. */
export const STEP = {
  /** `literal length words (word mask)…`: bytes that must stand here. */
  literal: 0,
  /** `narrow hexadecimal slot min max mask sign`: a number for a narrow column. */
  narrow: 1,
  /** `wide hexadecimal slot`: a number for a wide column. */
  wide: 2,
  /** `absent slot value`: a narrow column that this text does not show. */
  absent: 3,
  /** `mark last slot index`: a step of the table where the line ends with this byte, otherwise 0. */
  mark: 4,
  /** `other index`: a step of the table. */
  other: 5,
} as const;

// V8 knows the value of a module's own constant when it compiles a loop; what is imported or exported
// by name it loads anew each time. That is worth a fifth of the time here.
const { literal: LITERAL, narrow: NARROW, wide: WIDE, absent: ABSENT, mark: MARK } = STEP;
const PAIRS = HEX_PAIRS;
const PREFIX = HEX_PREFIX;
const NARROWS = NARROW_COLUMNS;
const WIDES = WIDE_COLUMNS;

/** A step that is rare or needs strings. Returns the place after what it matched, or -1. */
export type OtherStep = (
  text: Text,
  at: number,
  end: number,
  batch: EventBatch,
  row: number,
) => number;

/** What may stand in a narrow column, the bits of it that are kept, and the sign among them. */
export type Width = readonly [min: number, max: number, mask: number, sign: number];

/** Words that stand for numbers. */
export type Words = readonly (readonly [word: string, value: number])[];

/** A number for a column. */
export interface NumberStep {
  readonly is: 'number';
  readonly wide: boolean;
  /** Hexadecimal also without `0x`. */
  readonly hexadecimal: boolean;
  readonly slot: number;
  readonly width: Width;
}

/** A step of a pattern as data. `other`: only an `OtherStep` can take it. */
export type Step =
  | { readonly is: 'literal'; readonly text: string }
  | NumberStep
  | { readonly is: 'words'; readonly slot: number; readonly words: Words }
  | { readonly is: 'absent'; readonly slot: number; readonly value: number }
  | { readonly is: 'mark'; readonly slot: number; readonly last: number }
  | { readonly is: 'other' };

/** A compiled pattern. */
export interface Pattern {
  readonly steps: readonly Step[];
  /** Of `STEP`s. */
  readonly program: Int32Array;
  readonly others: readonly OtherStep[];
}

const halves = new Uint32Array(2);

/**
 * Matches the text from `at` to `end` and writes the fields to a row of `batch`. Returns the place
 * after what was matched, or -1; the row may then hold anything.
 */
export function matchPattern(
  { program, others }: Pattern,
  text: Text,
  at: number,
  end: number,
  batch: EventBatch,
  row: number,
): number {
  const { bytes, view } = text;
  const { narrows, wideHalves } = batch;
  let p = at;
  for (let pc = 0; pc < program.length; ) {
    switch (program[pc]) {
      case LITERAL: {
        const stop = pc + 3 + program[pc + 2]! * 2;
        let q = p;
        for (let k = pc + 3; k < stop; k += 2) {
          if ((view.getInt32(q, true) & program[k + 1]!) !== program[k]) return -1;
          q += 4;
        }
        p += program[pc + 1]!;
        pc = stop;
        break;
      }
      case NARROW: {
        // Up to nine decimal or eight hexadecimal digits, as nearly all are.
        const prefixed = view.getUint16(p, true) === PREFIX;
        const first = prefixed ? p + 2 : p;
        let q = first;
        let value = 0;
        if (prefixed || program[pc + 1] !== 0) {
          let pair = PAIRS[view.getUint16(q, true)]!;
          for (; pair >= 0 && q < first + 8; pair = PAIRS[view.getUint16(q, true)]!) {
            value = (value << 8) | pair;
            q += 2;
          }
          const digit = hexDigit(bytes[q]!);
          if (digit < 16 && q < first + 8) {
            value = (value << 4) | digit;
            q++;
          }
        } else {
          for (let byte = bytes[q]!; isDigit(byte) && q < p + 9; byte = bytes[++q]!) {
            value = value * 10 + byte - 48;
          }
        }
        const outside = value < program[pc + 3]! || value > program[pc + 4]!;
        if (q === first || outside || isWordByte(bytes[q]!)) {
          q = matchOtherNarrow(program, pc, bytes, p, narrows, row * NARROWS);
          if (q < 0) return -1;
        } else {
          const sign = program[pc + 6]!;
          narrows[row * NARROWS + program[pc + 2]!] = ((value & program[pc + 5]!) ^ sign) - sign;
        }
        p = q;
        pc += 7;
        break;
      }
      case WIDE: {
        const prefixed = view.getUint16(p, true) === PREFIX;
        const first = prefixed ? p + 2 : p;
        let q = first;
        let low = 0;
        let high = 0;
        if (prefixed || program[pc + 1] !== 0) {
          let pair = PAIRS[view.getUint16(q, true)]!;
          for (; pair >= 0 && q < first + 16; pair = PAIRS[view.getUint16(q, true)]!) {
            high = (high << 8) | (low >>> 24);
            low = (low << 8) | pair;
            q += 2;
          }
          const digit = hexDigit(bytes[q]!);
          if (digit < 16 && q < first + 16) {
            high = (high << 4) | (low >>> 28);
            low = (low << 4) | digit;
            q++;
          }
        }
        const place = (row * WIDES + program[pc + 2]!) * 2;
        if (q === first || isWordByte(bytes[q]!)) {
          p = matchNumber(program[pc + 1]!, bytes, p, halves);
          if (p < 0) return -1;
          wideHalves[place] = halves[0]!;
          wideHalves[place + 1] = halves[1]!;
        } else {
          p = q;
          wideHalves[place] = low;
          wideHalves[place + 1] = high;
        }
        pc += 3;
        break;
      }
      case ABSENT:
        narrows[row * NARROWS + program[pc + 1]!] = program[pc + 2]!;
        pc += 3;
        break;
      case MARK:
        if (bytes[end - 1] === program[pc + 1]) {
          p = others[program[pc + 3]!]!(text, p, end, batch, row);
          if (p < 0) return -1;
        } else narrows[row * NARROWS + program[pc + 2]!] = 0;
        pc += 4;
        break;
      default:
        p = others[program[pc + 1]!]!(text, p, end, batch, row);
        if (p < 0) return -1;
        pc += 2;
    }
  }
  return p;
}

/** Reads a number into `out`; it must end where a word ends. */
export function matchNumber(
  hexadecimal: number,
  bytes: Uint8Array,
  at: number,
  out: Uint32Array,
): number {
  const next = hexadecimal === 0 ? readNumber(bytes, at, out) : readBareHex(bytes, at, out);
  return next >= 0 && isWordByte(bytes[next]!) ? -1 : next;
}

/** A number with a sign, with `0x`, or wider than its field. */
function matchOtherNarrow(
  program: Int32Array,
  pc: number,
  bytes: Uint8Array,
  at: number,
  column: Int32Array,
  first: number,
): number {
  const next = matchNumber(program[pc + 1]!, bytes, at, halves);
  const low = halves[0]! | 0;
  const high = halves[1]! | 0;
  if (low < program[pc + 3]! || low > program[pc + 4]!) return -1;
  // Printed with its own width, or its sign extended to 32 or 64 bits.
  if (high !== 0 && (high !== -1 || low >= 0)) return -1;
  const sign = program[pc + 6]!;
  column[first + program[pc + 2]!] = ((low & program[pc + 5]!) ^ sign) - sign;
  return next;
}
