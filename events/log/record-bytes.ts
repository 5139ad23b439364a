/**
 * Records as bytes, writer beside reader.
 *
 * ```
 * code       u8    place in the schema's list
 * presence   one bit for each optional field, in order, then one for readings; as few bytes as hold them
 * fields     in order, those that are there: u64, s64 8 bytes; u32, s32 4; bool 1;
 *            text, bytes u16 length and the bytes
 * readings   u8 how many, each: u8 code, u16 length of the list or ffff for a single value,
 *            for a list one bit for each that is known, then the values, u64
 * ```
 *
 * Values have fixed widths: a log is made for being read fast, and the instants of a busy host differ
 * in most of their bytes anyway.
 */
import { describeValue } from '../../src/num/index.ts';
import { inputCode } from '../input-batch.ts';
import type { InputType, Readings } from '../inputs.ts';
import type { ValueType } from '../model-spec.ts';
import { BareReader, LEADING } from './bare-bytes.ts';
import type { ByteReader, ByteWriter } from './bytes.ts';
import { EntryError } from './error.ts';
import { checkReadingNames } from './json-values.ts';
import { type RecordSpec, type RecordValues, recordKey } from './records.ts';
import type { Schema } from './schema.ts';
import { checkValue, EXPECTED, isU32, isU64, MAX_TEXT_BYTES, refuse } from './value-ranges.ts';

/** In the place of a list's length: a single value. */
const SINGLE = 0xffff;

const utf8 = new TextEncoder();
const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function writeBytes(out: ByteWriter, bytes: Uint8Array): void {
  out.u16(bytes.length);
  out.raw(bytes);
}

function writeValue(out: ByteWriter, type: ValueType, value: unknown, field: string): void {
  switch (type) {
    case 'u64':
      if (!isU64(value)) refuse(type, value, field);
      out.u64(value);
      break;
    case 'u32':
      if (!isU32(value)) refuse(type, value, field);
      out.u32(value);
      break;
    default:
      checkValue(type, value, field);
      writeRare(out, type, value);
  }
}

function writeRare(out: ByteWriter, type: ValueType, value: unknown): void {
  switch (type) {
    case 's64':
      out.u64(value as bigint);
      break;
    case 's32':
      out.u32(value as number);
      break;
    case 'bool':
      out.u8(value === true ? 1 : 0);
      break;
    case 'text':
      writeBytes(out, utf8.encode(value as string));
      break;
    case 'bytes':
      writeBytes(out, value as Uint8Array);
      break;
  }
}

function readBool(from: ByteReader, field: string): boolean {
  const { at } = from;
  const byte = from.u8();
  if (byte > 1) throw new EntryError(field, '0 or 1', String(byte), at);
  return byte === 1;
}

/** The bytes themselves, not a copy. */
function readBytes(from: ByteReader, type: 'text' | 'bytes', field: string): Uint8Array {
  const { at } = from;
  const length = from.u16();
  if (length <= MAX_TEXT_BYTES) return from.raw(length);
  throw new EntryError(field, EXPECTED[type], `${length} bytes`, at);
}

function readText(from: ByteReader, field: string): string {
  const { at } = from;
  try {
    return text.decode(readBytes(from, 'text', field));
  } catch (error) {
    if (error instanceof EntryError) throw error;
    throw new EntryError(field, 'UTF-8', 'other bytes', at);
  }
}

function readValue(from: ByteReader, type: ValueType, field: string): unknown {
  switch (type) {
    case 'u64':
      return from.u64();
    case 's64':
      return from.s64();
    case 'u32':
      return from.u32();
    case 's32':
      return from.s32();
    case 'bool':
      return readBool(from, field);
    case 'text':
      return readText(from, field);
    case 'bytes':
      return readBytes(from, 'bytes', field).slice();
  }
}

/** Bits, lowest first, in as few bytes as hold them. */
function writeBits(out: ByteWriter, bits: readonly boolean[]): void {
  for (let at = 0; at < bits.length; at += 8) {
    let byte = 0;
    for (let bit = 0; bit < 8; bit++) if (bits[at + bit] === true) byte |= 1 << bit;
    out.u8(byte);
  }
}

/** Writes records of one schema. */
export class RecordWriter {
  readonly #records: ReadonlyMap<
    string,
    { code: number; fields: RecordSpec['fields']; optional: readonly string[] }
  >;
  readonly #readings: ReadonlyMap<string, number>;

  constructor({ records, readings }: Schema) {
    this.#records = new Map(
      records.map(({ tag, name, fields }, code) => {
        const optional = fields.filter((field) => field.optional).map((field) => field.name);
        return [recordKey(tag, name), { code, fields, optional }];
      }),
    );
    this.#readings = new Map(readings.map((name, code) => [name, code]));
  }

  /** @throws EntryError for a record, a reading or a value that the schema does not have. */
  write(out: ByteWriter, key: string, values: RecordValues): void {
    const known = this.#records.get(key);
    if (known === undefined) {
      throw new EntryError(undefined, 'a record of this log', describeValue(key));
    }
    const { code, fields, optional } = known;
    const told = toldOf(values['readings'] as Readings | undefined);
    out.u8(code);
    const present = optional.map((name) => values[name] !== undefined);
    writeBits(out, [...present, told.length > 0]);
    for (const { name, type, optional: isOptional } of fields) {
      const value = values[name];
      if (value !== undefined || !isOptional) writeValue(out, type, value, name);
    }
    if (told.length > 0) this.#writeReadings(out, told);
  }

  #writeReadings(out: ByteWriter, told: readonly Told[]): void {
    out.u8(told.length);
    for (const [name, value] of told) {
      const code = this.#readings.get(name);
      if (code === undefined) throw new EntryError('readings', 'a reading of this log', name);
      out.u8(code);
      if (!Array.isArray(value)) {
        out.u16(SINGLE);
        writeValue(out, 'u64', value, `readings.${name}`);
        continue;
      }
      if (value.length >= SINGLE) {
        throw new EntryError(`readings.${name}`, `fewer than ${SINGLE}`, `${value.length}`);
      }
      out.u16(value.length);
      writeBits(
        out,
        Array.from(value, (one) => one !== undefined),
      );
      for (const one of value) {
        if (one !== undefined) writeValue(out, 'u64', one, `readings.${name}`);
      }
    }
  }
}

type Told = readonly [name: string, value: unknown];

function toldOf(readings: Readings | undefined): readonly Told[] {
  if (readings === undefined) return [];
  checkReadingNames(readings);
  return Object.entries(readings).filter(([, value]) => value !== undefined);
}

/** Reads records of one kind, from behind their code. */
class KindReader {
  readonly spec: RecordSpec;
  /** Of the type of inputs that these are; `undefined` for what is no input of today's. */
  readonly inputCode: number | undefined;
  /** With how many of the fields it begins with which most do. */
  readonly #leading: number;
  /** Those after them. */
  readonly #fields: RecordSpec['fields'];
  readonly #optional: number;
  readonly #readings: readonly string[];

  constructor(spec: RecordSpec, readings: readonly string[]) {
    const { fields } = spec;
    let leading = 0;
    while (leading < LEADING.length && leading < fields.length) {
      const { name, type, optional } = fields[leading]!;
      if (optional || `${name} ${type}` !== LEADING[leading]) break;
      leading += 1;
    }
    this.spec = spec;
    this.inputCode = spec.tag === 'input' ? inputCode(spec.name as InputType) : undefined;
    this.#leading = leading;
    this.#fields = fields.slice(leading);
    this.#optional = fields.filter((field) => field.optional).length;
    this.#readings = readings;
  }

  /** @throws EntryError with the offset at which something is wrong. */
  read(from: ByteReader): Record<string, unknown> {
    const optional = this.#optional;
    const presence = from.bits(optional + 1);
    const values = this.#readLeading(from);
    const fields = this.#fields;
    let next = 0;
    for (let i = 0; i < fields.length; i++) {
      const { name, type, optional: isOptional } = fields[i]!;
      if (isOptional && !from.bit(presence, next++)) continue;
      values[name] = readValue(from, type, name);
    }
    if (from.bit(presence, optional)) values['readings'] = this.#readReadings(from);
    return values;
  }

  /** Makes the leading fields together with the object: adding them one by one takes thrice as long. */
  #readLeading(from: ByteReader): Record<string, unknown> {
    const type = this.spec.name;
    switch (this.#leading) {
      case 3:
        return { type, tsc: from.u64(), vm: from.u32(), vcpu: from.u32() };
      case 2:
        return { type, tsc: from.u64(), vm: from.u32() };
      case 1:
        return { type, tsc: from.u64() };
      default:
        return { type };
    }
  }

  #readReadings(from: ByteReader): Readings {
    const readings: Record<string, bigint | (bigint | undefined)[]> = {};
    for (let left = from.u8(); left > 0; left--) {
      const { at } = from;
      const code = from.u8();
      const name = this.#readings[code];
      if (name === undefined) throw new EntryError('readings', 'a reading', `code ${code}`, at);
      const length = from.u16();
      readings[name] = length === SINGLE ? from.u64() : readList(from, length);
    }
    return readings;
  }
}

function readList(from: ByteReader, length: number): (bigint | undefined)[] {
  const known = from.bits(length);
  return Array.from({ length }, (_, index) => (from.bit(known, index) ? from.u64() : undefined));
}

/** Reads records of one schema. */
export class RecordReader {
  /** Reads those that are bare inputs, many at once. */
  readonly bare: BareReader;
  readonly #kinds: readonly KindReader[];

  constructor({ records, readings }: Schema) {
    this.bare = new BareReader(records);
    this.#kinds = records.map((spec) => new KindReader(spec, readings));
  }

  /**
   * The kind of the next record, whose values it reads.
   *
   * @throws EntryError with the offset at which something is wrong.
   */
  kind(from: ByteReader): KindReader {
    const { at } = from;
    const code = from.u8();
    const kind = this.#kinds[code];
    if (kind === undefined) throw new EntryError(undefined, 'a record', `code ${code}`, at);
    return kind;
  }
}
