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
  type EventName,
  type EventSpec,
  type FieldSlot,
  LAYOUTS,
  NARROW_COLUMNS,
  type ScalarType,
} from '../../../events/index.ts';
import {
  matchNumber,
  type OtherStep,
  type Pattern,
  STEP,
  type Step,
  type Width,
  type Words,
} from './match.ts';
import { isWordByte } from './numbers.ts';
import { Literal } from './text.ts';

/** What may stand in a narrow column, the bits that are kept, and the sign among them. */
const WIDTHS: Readonly<Record<'bool' | 'u8' | 's8' | 'other', Width>> = {
  bool: [0, 1, 1, 0],
  u8: [-128, 255, 255, 0],
  s8: [-128, 255, 255, 128],
  other: [-0x80000000, 0x7fffffff, -1, 0],
};

const widthOf = (type: ScalarType): Width =>
  type === 'bool' || type === 'u8' || type === 's8' ? WIDTHS[type] : WIDTHS.other;

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
  const steps: Step[] = [];
  const addOther = (step: OtherStep): void => {
    steps.push({ is: 'other' });
    program.push(STEP.other, others.push(step) - 1);
  };
  const addWords = (words: Words, { slot }: FieldSlot): void => {
    steps.push({ is: 'words', slot, words });
    program.push(STEP.other, others.push(oneOf(words, slot)) - 1);
  };
  const addNumber = ({ wide, slot, spec }: FieldSlot, hexadecimal: boolean): void => {
    const width = widthOf(spec.type);
    steps.push({ is: 'number', wide, hexadecimal, slot, width });
    if (wide) program.push(STEP.wide, Number(hexadecimal), slot);
    else program.push(STEP.narrow, Number(hexadecimal), slot, ...width);
  };
  const unwritten = new Set(layout.filter((place) => !place.wide));
  for (const [part, field, mode, mark] of print.matchAll(PART)) {
    const place = layout.find((slot) => slot.name === field);
    if (place !== undefined) unwritten.delete(place);
    if (field === undefined) {
      const { length, words } = new Literal(part);
      steps.push({ is: 'literal', text: part });
      program.push(STEP.literal, length, words.length / 2, ...words);
    } else if (field === '*') addOther(skipWord);
    else if (field === 'text') addOther(freeText(print));
    else if (place === undefined) throw new TypeError(`${name} has no field ${field}: ${print}`);
    else if (mark !== undefined) {
      const last = mark.charCodeAt(mark.length - 1);
      steps.push({ is: 'mark', slot: place.slot, last });
      program.push(STEP.mark, last, place.slot);
      program.push(others.push(endMark(mark, place.slot)) - 1);
    } else if (mode === 'clock') addWords(CLOCKS, place);
    else if (mode === '01') addWords(BEGIN_END, place);
    else if (mode === 'rw') addWords(READ_WRITE, place);
    else addNumber(place, mode === 'x');
  }
  for (const { slot, spec } of unwritten) {
    const value = spec.absent ?? 0;
    steps.push({ is: 'absent', slot, value });
    program.push(STEP.absent, slot, value);
  }
  return { steps, program: Int32Array.from(program), others };
}

const halves = new Uint32Array(2);

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
    const next = matchNumber(0, text.bytes, at, halves);
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
