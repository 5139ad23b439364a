/**
 * Any field of any event, decoded by its recorded format: numbers, strings, arrays.
 *
 * Traps: a `__data_loc` field is a 32-bit word with the place (low half, counted from the event's
 * first byte) and the length (high half) of its data; `__rel_loc` counts from behind the word. An
 * array of unknown element type is taken byte by byte. Strings end at their first NUL.
 *
 * Source: include/trace/stages/stage1_struct_define.h; libtraceevent's event formats.
 */
import type { FormatField } from './event-format.ts';
import type { TraceFile } from './trace-file.ts';

/** A field's value: numbers as bigint, whatever their width. */
export type FieldValue = bigint | string | readonly bigint[];

interface Span {
  readonly at: number;
  readonly length: number;
}

const utf8 = new TextDecoder();

/** Bytes of an element by words of its type; the first that is found counts. */
const ELEMENT_BYTES: readonly (readonly [RegExp, number])[] = [
  [/\b(__)?[us]8\b|\bu?int8_t\b|\bchar\b|\bbool\b/, 1],
  [/\b(__)?[us]16\b|\bu?int16_t\b|\bshort\b/, 2],
  [/\b(__)?[us]64\b|\bu?int64_t\b|\blong long\b/, 8],
  [/\b(__)?[us]32\b|\bu?int32_t\b|\bint\b|\bunsigned$|\bpid_t\b/, 4],
];

/** Decodes a field of the event whose payload is `size` bytes at `payload`; `undefined`: cut. */
export function readField(
  file: TraceFile,
  field: FormatField,
  view: DataView,
  payload: number,
  size: number,
): FieldValue | undefined {
  const span = spanOf(file.little, field, view, payload, size);
  if (span === undefined) return undefined;
  const isArray = field.array || field.placement !== 'inline';
  if (!isArray) return readNumber(file, field, view, span);
  if (/\bchar\b/.test(field.type)) return cString(view, span);
  return readArray(file, field, view, span);
}

/** Like `readField`, as text: what a pointer points to, or its address in hexadecimal. */
export function readString(
  file: TraceFile,
  field: FormatField,
  view: DataView,
  payload: number,
  size: number,
): string {
  const value = readField(file, field, view, payload, size);
  if (typeof value === 'bigint') return `0x${BigInt.asUintN(64, value).toString(16)}`;
  return typeof value === 'string' ? value : '';
}

/** Where a field's data is; `undefined` where it would reach out of the event. */
function spanOf(
  little: boolean,
  field: FormatField,
  view: DataView,
  payload: number,
  size: number,
): Span | undefined {
  const { offset } = field;
  const length = field.size === 0 ? size - offset : field.size;
  if (length < 0 || offset + length > size) return undefined;
  if (field.placement === 'inline') return { at: payload + offset, length };
  if (length !== 4) return undefined;
  const word = view.getUint32(payload + offset, little);
  const from = (word & 0xffff) + (field.placement === 'rel_loc' ? offset + 4 : 0);
  const dataLength = word >>> 16;
  return from + dataLength > size ? undefined : { at: payload + from, length: dataLength };
}

function readNumber(
  file: TraceFile,
  field: FormatField,
  view: DataView,
  { at, length }: Span,
): FieldValue {
  if (![1, 2, 4, 8].includes(length)) return elements(file, view, { at, length }, 1, false);
  const value = integer(view, at, length, file.little);
  const isText = field.type.includes('*') && /\bchar\b/.test(field.type);
  const text = isText ? file.metadata.strings.get(value) : undefined;
  if (text !== undefined) return text;
  return field.signed === true ? BigInt.asIntN(8 * length, value) : value;
}

function readArray(
  file: TraceFile,
  field: FormatField,
  view: DataView,
  span: Span,
): readonly bigint[] {
  const { longSize } = file.metadata.pageHeader;
  const type = field.type;
  const known = ELEMENT_BYTES.find(([pattern]) => pattern.test(type))?.[1];
  const divided = field.arrayLength > 0 ? field.size / field.arrayLength : undefined;
  const guess = /\*|\blong\b/.test(type) ? longSize : 1;
  const bytes = divided ?? known ?? guess;
  const usable = [1, 2, 4, 8].includes(bytes) && span.length % bytes === 0;
  return elements(file, view, span, usable ? bytes : 1, field.signed === true && usable);
}

function elements(
  { little }: TraceFile,
  view: DataView,
  { at, length }: Span,
  bytes: number,
  signed: boolean,
): bigint[] {
  const values = [];
  for (let i = 0; i < length; i += bytes) {
    const value = integer(view, at + i, bytes, little);
    values.push(signed ? BigInt.asIntN(8 * bytes, value) : value);
  }
  return values;
}

function integer(view: DataView, at: number, bytes: number, little: boolean): bigint {
  if (bytes === 1) return BigInt(view.getUint8(at));
  if (bytes === 2) return BigInt(view.getUint16(at, little));
  if (bytes === 4) return BigInt(view.getUint32(at, little));
  return view.getBigUint64(at, little);
}

function cString(view: DataView, { at, length }: Span): string {
  const bytes = new Uint8Array(view.buffer, view.byteOffset + at, length);
  const end = bytes.indexOf(0);
  return utf8.decode(end < 0 ? bytes : bytes.subarray(0, end));
}
