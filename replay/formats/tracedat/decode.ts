/**
 * From an event's bytes to a row of a batch.
 *
 * For each event of the catalogue the recorded format is compiled once into a short program of
 * integers (how to read, where from, which column), so decoding an event takes no look-ups by name
 * and no bigints. Sizes and signs are those that the kernel recorded; a syscall's arguments, for
 * example, stand in 8 bytes each whatever their type.
 *
 * Trap: a `const char *` is an address in the recorded kernel. The file carries the strings that
 * tracepoints point to; others are shown as the address.
 */
import {
  EVENT_CODES,
  EVENT_NAMES,
  EVENTS,
  type EventBatch,
  type EventName,
  type FieldSlot,
  LAYOUTS,
  NARROW_COLUMNS,
  WIDE_COLUMNS,
} from '../../../events/index.ts';
import { FormatError } from '../error.ts';
import type { EventFormat, FormatField } from './event-format.ts';
import { readString } from './field-value.ts';
import type { PageCursor } from './ring-buffer.ts';
import type { TraceFile } from './trace-file.ts';

/** How a number is read; `WORD` is 32 bits, of either sign. */
const READ = { WORD: 0, U8: 1, S8: 2, U16: 3, S16: 4, CONSTANT: 5 } as const;

/** What the high half of a wide column is. */
const HIGH = { WORD: 0, ZERO: 1, SIGN: 2 } as const;

/** Integers of one step that fills a narrow column: `READ`, offset or constant, column. */
const NARROW_STEP = 3;
/** The same for a wide column, and `HIGH`, the high half's offset. */
const WIDE_STEP = 5;

/** How to make rows of one kind of event. */
export interface Program {
  readonly code: number;
  readonly narrow: Int32Array;
  readonly wide: Int32Array;
  /** Bytes that the event must have. */
  readonly size: number;
  /** The field that holds its text. */
  readonly text: FormatField | undefined;
}

/** The recorded field that becomes an event's `text`. */
const TEXT_FIELDS: Partial<Record<EventName, string>> = { marker: 'buf', suspend_resume: 'action' };

/** The event of the catalogue that a format describes. */
export function catalogueName(format: EventFormat): EventName | undefined {
  if (format.system === 'ftrace') return format.name === 'print' ? 'marker' : undefined;
  const name = EVENT_NAMES.find((n) => n === format.name);
  return name !== undefined && EVENTS[name].system === format.system ? name : undefined;
}

/** @throws FormatError where the format lacks a field that the catalogue needs. */
export function compile(file: TraceFile, format: EventFormat, name: EventName): Program {
  const narrow: number[] = [];
  const wide: number[] = [];
  let size = 0;
  for (const slot of LAYOUTS[EVENT_CODES[name]]!) {
    const field = format.field(slot.name);
    const [read, at, high, highAt] = step(file, format, slot, field);
    if (slot.wide) wide.push(read, at, slot.slot, high, highAt);
    else narrow.push(read, at, slot.slot);
    if (field !== undefined) size = Math.max(size, field.offset + field.size);
  }
  const textName = TEXT_FIELDS[name];
  const text = textName === undefined ? undefined : format.field(textName);
  if (textName !== undefined && text === undefined) throw missing(file, format, textName);
  if (text !== undefined) size = Math.max(size, text.offset + text.size);
  const code = EVENT_CODES[name];
  return { code, narrow: Int32Array.from(narrow), wide: Int32Array.from(wide), size, text };
}

function missing(file: TraceFile, format: EventFormat, field: string): FormatError {
  const expected = `a field ${field} in the recorded format of event ${format.name}`;
  return new FormatError(file.name, { byte: format.byte }, expected, 'none');
}

/** How to read a field: `READ`, offset or constant, `HIGH`, and the high half's offset. */
function step(
  file: TraceFile,
  format: EventFormat,
  { name, spec }: FieldSlot,
  field: FormatField | undefined,
): [number, number, number, number] {
  if (field === undefined) {
    if (spec.absent === undefined) throw missing(file, format, name);
    return [READ.CONSTANT, spec.absent | 0, HIGH.ZERO, 0];
  }
  const { offset, size } = field;
  const signed = field.signed ?? spec.type.startsWith('s');
  const high = signed ? HIGH.SIGN : HIGH.ZERO;
  if (!field.array && field.placement === 'inline') {
    if (size === 1) return [signed ? READ.S8 : READ.U8, offset, high, 0];
    if (size === 2) return [signed ? READ.S16 : READ.U16, offset, high, 0];
    if (size === 4) return [READ.WORD, offset, high, 0];
    if (size === 8 && file.little) return [READ.WORD, offset, HIGH.WORD, offset + 4];
    if (size === 8) return [READ.WORD, offset + 4, HIGH.WORD, offset];
  }
  const expected = `${name} of event ${format.name} to be a number of 1, 2, 4 or 8 bytes`;
  const found = field.array ? 'an array' : `${size} bytes`;
  throw new FormatError(file.name, { byte: format.byte }, expected, found);
}

/** Runs a program on the event at `payload`: fills the columns of its fields. */
export function decodeFields(
  { narrow, wide }: Program,
  view: DataView,
  payload: number,
  little: boolean,
  batch: EventBatch,
  row: number,
): void {
  const { narrows, wideHalves } = batch;
  const narrowRow = row * NARROW_COLUMNS;
  for (let i = 0; i < narrow.length; i += NARROW_STEP) {
    const value = readNumber(narrow[i]!, view, payload, narrow[i + 1]!, little);
    narrows[narrowRow + narrow[i + 2]!] = value;
  }
  const wideRow = row * WIDE_COLUMNS;
  for (let i = 0; i < wide.length; i += WIDE_STEP) {
    const low = readNumber(wide[i]!, view, payload, wide[i + 1]!, little);
    const half = 2 * (wideRow + wide[i + 2]!);
    const high = wide[i + 3];
    wideHalves[half] = low;
    wideHalves[half + 1] =
      high === HIGH.WORD
        ? view.getInt32(payload + wide[i + 4]!, little)
        : high === HIGH.SIGN
          ? low >> 31
          : 0;
  }
}

function readNumber(
  read: number,
  view: DataView,
  payload: number,
  at: number,
  little: boolean,
): number {
  if (read === READ.WORD) return view.getInt32(payload + at, little);
  if (read === READ.U8) return view.getUint8(payload + at);
  if (read === READ.CONSTANT) return at;
  if (read === READ.S8) return view.getInt8(payload + at);
  return read === READ.U16
    ? view.getUint16(payload + at, little)
    : view.getInt16(payload + at, little);
}

/** The text of an event that carries one, without a line's end. */
export function decodeText(file: TraceFile, field: FormatField, cursor: PageCursor): string {
  const text = readString(file, field, cursor.view, cursor.payload, cursor.size);
  return text.endsWith('\n') ? text.slice(0, -1) : text;
}
