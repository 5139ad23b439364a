/**
 * The text of an event, matched against the `print` patterns of the catalogue.
 *
 * A pattern is compiled once to a program, a row of integers, which a loop then walks over: half of
 * all lines come here, and objects and closures for the steps cost more than the steps. What is rare
 * or needs strings is kept in a table beside the program.
 *
 * Numbers may be printed wider than the field (`tsc_shift 255` is -1, an exit code is
 * `0xffffffffffffffef`): what fits the field's width after dropping a sign extension is taken,
 * anything else is no match.
 */
import {
  EVENT_CODES,
  EVENTS,
  type EventBatch,
  type EventName,
  type EventSpec,
  type FieldSlot,
  LAYOUTS,
  NARROW_COLUMNS,
  type ScalarType,
  WIDE_COLUMNS,
} from '../../../events/index.ts';
import { hexDigit, isDigit, isWordByte, readBareHex, readNumber } from './numbers.ts';
import { Literal, type Text } from './text.ts';

/** `LITERAL length words (word mask)…`: bytes that must stand here. */
const LITERAL = 0;
/** `NARROW hexadecimal slot min max mask sign`: a number for a narrow column. */
const NARROW = 1;
/** `WIDE hexadecimal slot`: a number for a wide column. */
const WIDE = 2;
/** `DEFAULT slot value`: a narrow column that this text does not show. */
const DEFAULT = 3;
/** `MARK last slot index`: a step of the table where the line ends with this byte, otherwise 0. */
const MARK = 4;
/** `OTHER index`: a step of the table. */
const OTHER = 5;

type OtherStep = (text: Text, at: number, end: number, batch: EventBatch, row: number) => number;

/** A compiled pattern. */
export interface Pattern {
  readonly program: Int32Array;
  readonly others: readonly OtherStep[];
}

/** What may stand in a narrow column, the bits that are kept, and the sign among them. */
const WIDTHS: Readonly<Record<'bool' | 'u8' | 's8' | 'other', readonly number[]>> = {
  bool: [0, 1, 1, 0],
  u8: [-128, 255, 255, 0],
  s8: [-128, 255, 255, 128],
  other: [-0x80000000, 0x7fffffff, -1, 0],
};

const widthOf = (type: ScalarType): readonly number[] =>
  type === 'bool' || type === 'u8' || type === 's8' ? WIDTHS[type] : WIDTHS.other;

type Words = readonly (readonly [word: string, value: number])[];

/** Host clocks by the names that kernels print; others appear as numbers. v4.4 alone has hpet. */
const CLOCKS: Words = [
  ['none', 0],
  ['tsc', 1],
  ['hpet', 2],
];
const BEGIN_END: Words = [
  ['begin', 1],
  ['end', 0],
];
const READ_WRITE: Words = [
  ['write', 1],
  ['read', 0],
];

const PART = /%(\*|[a-z_0-9]+)(?::(x|clock|01|rw)\b)?(?:\?(.+)$)?|[^%]+/g;

/** All patterns of an event, in the order in which they are tried. */
export function patternsOf(name: EventName): readonly Pattern[] {
  const spec: EventSpec = EVENTS[name];
  const layout = LAYOUTS[EVENT_CODES[name]]!;
  return (spec.print ?? ['']).map((print) => compile(name, print, layout));
}

function compile(name: EventName, print: string, layout: readonly FieldSlot[]): Pattern {
  const program: number[] = [];
  const others: OtherStep[] = [];
  const addOther = (step: OtherStep): void => {
    program.push(OTHER, others.push(step) - 1);
  };
  const unwritten = new Set(layout.filter((place) => !place.wide));
  for (const [part, field, mode, mark] of print.matchAll(PART)) {
    const place = layout.find((slot) => slot.name === field);
    if (place !== undefined) unwritten.delete(place);
    if (field === undefined) {
      const { length, words } = new Literal(part);
      program.push(LITERAL, length, words.length / 2, ...words);
    } else if (field === '*') addOther(skipWord);
    else if (field === 'text') addOther(freeText(print));
    else if (place === undefined) throw new TypeError(`${name} has no field ${field}: ${print}`);
    else if (mark !== undefined) {
      program.push(MARK, mark.charCodeAt(mark.length - 1), place.slot);
      program.push(others.push(endMark(mark, place.slot)) - 1);
    } else if (mode === 'clock') addOther(oneOf(CLOCKS, place.slot));
    else if (mode === '01') addOther(oneOf(BEGIN_END, place.slot));
    else if (mode === 'rw') addOther(oneOf(READ_WRITE, place.slot));
    else if (place.wide) program.push(WIDE, Number(mode === 'x'), place.slot);
    else program.push(NARROW, Number(mode === 'x'), place.slot, ...widthOf(place.spec.type));
  }
  for (const { slot, spec } of unwritten) program.push(DEFAULT, slot, spec.absent ?? 0);
  return { program: Int32Array.from(program), others };
}

const halves = new Uint32Array(2);

/**
 * Matches the text from `at` to `end` and writes the fields to a row of `batch`. On false the row
 * may hold anything.
 */
export function matchPattern(
  { program, others }: Pattern,
  text: Text,
  at: number,
  end: number,
  batch: EventBatch,
  row: number,
): boolean {
  let p = at;
  for (let pc = 0; pc < program.length; ) {
    switch (program[pc]) {
      case LITERAL:
        if (!isLiteralAt(program, pc, text, p)) return false;
        p += program[pc + 1]!;
        pc += 3 + program[pc + 2]! * 2;
        break;
      case NARROW:
        p = matchNarrow(program, pc, text.bytes, p, batch.narrows, row * NARROW_COLUMNS);
        pc += 7;
        break;
      case WIDE:
        p = matchWide(program, pc, text.bytes, p, batch.wideHalves, row * WIDE_COLUMNS * 2);
        pc += 3;
        break;
      case DEFAULT:
        batch.narrows[row * NARROW_COLUMNS + program[pc + 1]!] = program[pc + 2]!;
        pc += 3;
        break;
      case MARK:
        if (text.bytes[end - 1] === program[pc + 1]) {
          p = others[program[pc + 3]!]!(text, p, end, batch, row);
        } else batch.narrows[row * NARROW_COLUMNS + program[pc + 2]!] = 0;
        pc += 4;
        break;
      default:
        p = others[program[pc + 1]!]!(text, p, end, batch, row);
        pc += 2;
    }
    if (p < 0) return false;
  }
  return true;
}

function isLiteralAt(program: Int32Array, pc: number, { view }: Text, at: number): boolean {
  const stop = pc + 3 + program[pc + 2]! * 2;
  let p = at;
  for (let k = pc + 3; k < stop; k += 2) {
    if ((view.getInt32(p, true) & program[k + 1]!) !== program[k]) return false;
    p += 4;
  }
  return true;
}

/** Reads a number into `halves`; it must end where a word ends. */
function matchNumber(hexadecimal: number, bytes: Uint8Array, at: number): number {
  const next = hexadecimal === 0 ? readNumber(bytes, at, halves) : readBareHex(bytes, at, halves);
  return next >= 0 && isWordByte(bytes[next]!) ? -1 : next;
}

function matchWide(
  program: Int32Array,
  pc: number,
  bytes: Uint8Array,
  at: number,
  column: Uint32Array,
  first: number,
): number {
  const next = matchNumber(program[pc + 1]!, bytes, at);
  const place = first + program[pc + 2]! * 2;
  column[place] = halves[0]!;
  column[place + 1] = halves[1]!;
  return next;
}

/** A number of up to nine decimal or eight hexadecimal digits, as nearly all are; see also below. */
function matchNarrow(
  program: Int32Array,
  pc: number,
  bytes: Uint8Array,
  at: number,
  column: Int32Array,
  first: number,
): number {
  let p = at;
  let value = 0;
  if (program[pc + 1] === 0) {
    for (let byte = bytes[p]!; isDigit(byte) && p < at + 9; byte = bytes[++p]!) {
      value = value * 10 + byte - 48;
    }
  } else {
    for (let digit = hexDigit(bytes[p]!); digit < 16 && p < at + 8; digit = hexDigit(bytes[++p]!)) {
      value = (value << 4) | digit;
    }
  }
  if (p === at || isWordByte(bytes[p]!) || value < program[pc + 3]! || value > program[pc + 4]!) {
    return matchOtherNarrow(program, pc, bytes, at, column, first);
  }
  const sign = program[pc + 6]!;
  column[first + program[pc + 2]!] = ((value & program[pc + 5]!) ^ sign) - sign;
  return p;
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
  const next = matchNumber(program[pc + 1]!, bytes, at);
  const low = halves[0]! | 0;
  const high = halves[1]! | 0;
  if (low < program[pc + 3]! || low > program[pc + 4]!) return -1;
  // Printed with its own width, or its sign extended to 32 or 64 bits.
  if (high !== 0 && (high !== -1 || low >= 0)) return -1;
  const sign = program[pc + 6]!;
  column[first + program[pc + 2]!] = ((low & program[pc + 5]!) ^ sign) - sign;
  return next;
}

/** One of some words, or a number. */
function oneOf(words: Words, slot: number): OtherStep {
  const choices = words.map(([word, value]) => ({ word: new Literal(word), value }));
  return (text, at, _end, batch, row) => {
    const place = row * NARROW_COLUMNS + slot;
    for (const { word, value } of choices) {
      const next = at + word.length;
      if (!word.isAt(text, at) || isWordByte(text.bytes[next]!)) continue;
      batch.narrows[place] = value;
      return next;
    }
    const next = matchNumber(0, text.bytes, at);
    if (halves[1] !== 0) return -1;
    batch.narrows[place] = halves[0]!;
    return next;
  };
}

/** Whether a mark is among those in brackets that end the line: `[immediate exit][guest]`. */
function endMark(mark: string, slot: number): OtherStep {
  const literal = new Literal(mark);
  return (text, at, end, batch, row) => {
    const marked = literal.find(text, at, end) >= 0;
    batch.narrows[row * NARROW_COLUMNS + slot] = marked ? 1 : 0;
    return at;
  };
}

/** Text up to what follows it in the pattern, or up to the line's end. */
function freeText(print: string): OtherStep {
  const following = print.slice(print.indexOf('%text') + '%text'.length);
  const stop = new Literal(/^[^%]*/.exec(following)![0]);
  return (text, at, end, batch, row) => {
    const next = stop.length === 0 ? end : stop.find(text, at, end);
    if (next >= 0) batch.texts[row] = text.bytes.toString('utf8', at, next);
    return next;
  };
}

const skipWord: OtherStep = ({ bytes }, at) => {
  let p = at;
  while (bytes[p]! > 0x20) p++;
  return p > at ? p : -1;
};
