/** Values of records in JSON: 64-bit ones as decimal strings, writer beside reader. */
import { describeValue, parseS64, parseU64 } from '../../src/num/index.ts';
import type { Readings } from '../inputs.ts';
import type { ValueType } from '../model-spec.ts';
import { READINGS, type ReadingName } from '../readings.ts';
import { EntryError } from './error.ts';

/** How a type of value looks in JSON. */
interface JsonType {
  readonly expected: string;
  readonly encode: (value: unknown) => unknown;
  /** `undefined` for JSON that is none. */
  readonly decode: (json: unknown) => unknown;
}

const wide = (name: string, parse: (text: string) => bigint): JsonType => ({
  expected: `${name} as a decimal string`,
  encode: String,
  decode: (json) => {
    if (typeof json !== 'string') return undefined;
    try {
      return parse(json);
    } catch {
      return undefined;
    }
  },
});

const narrow = (name: string, least: number, most: number): JsonType => ({
  expected: name,
  encode: (value) => value,
  decode: (json) =>
    typeof json === 'number' && Number.isInteger(json) && json >= least && json <= most
      ? json + 0
      : undefined,
});

/** Most bytes of a text. */
export const MAX_TEXT_BYTES = 4096;

const HEX = /^(?:[0-9a-f]{2})*$/;

const U64 = wide('a u64', parseU64);

const TYPES: Readonly<Record<ValueType, JsonType>> = {
  u64: U64,
  s64: wide('an s64', parseS64),
  u32: narrow('a u32', 0, 0xffff_ffff),
  s32: narrow('an s32', -0x8000_0000, 0x7fff_ffff),
  bool: {
    expected: 'true or false',
    encode: (value) => value,
    decode: (json) => (typeof json === 'boolean' ? json : undefined),
  },
  text: {
    expected: `text of at most ${MAX_TEXT_BYTES} bytes`,
    encode: (value) => value,
    decode: (json) =>
      typeof json === 'string' && Buffer.byteLength(json) <= MAX_TEXT_BYTES ? json : undefined,
  },
  bytes: {
    expected: 'bytes as hexadecimal digits',
    encode: (value) => Buffer.from(value as Uint8Array).toString('hex'),
    decode: (json) =>
      typeof json === 'string' && HEX.test(json)
        ? new Uint8Array(Buffer.from(json, 'hex'))
        : undefined,
  },
};

/** A value as JSON. */
export const encodeValue = (type: ValueType, value: unknown): unknown => TYPES[type].encode(value);

/**
 * The value that JSON is.
 *
 * @throws EntryError when it is none of this type.
 */
export function decodeValue(type: ValueType, json: unknown, field: string): unknown {
  const value = TYPES[type].decode(json);
  if (value === undefined) throw new EntryError(field, TYPES[type].expected, describeValue(json));
  return value;
}

/** Readings as JSON; a turn of a list that is not known is null. */
export function encodeReadings(readings: Readings): Record<string, unknown> {
  const json: Record<string, unknown> = {};
  for (const [name, told] of Object.entries(readings)) {
    if (told === undefined) continue;
    json[name] =
      typeof told === 'bigint'
        ? String(told)
        : told.map((value) => (value === undefined ? null : String(value)));
  }
  return json;
}

/**
 * The readings that JSON is.
 *
 * @throws EntryError for an unknown name or what is no u64.
 */
export function decodeReadings(json: unknown): Readings {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw new EntryError('readings', 'an object', describeValue(json));
  }
  const readings: { -readonly [N in ReadingName]?: Readings[N] } = {};
  for (const [name, told] of Object.entries(json as Record<string, unknown>)) {
    const field = `readings.${name}`;
    if (!Object.hasOwn(READINGS, name)) {
      throw new EntryError('readings', 'names of clock reads', describeValue(name));
    }
    const one = (value: unknown, at: string): bigint => decodeValue('u64', value, at) as bigint;
    readings[name as ReadingName] = Array.isArray(told)
      ? told.map((value: unknown, i) => (value === null ? undefined : one(value, `${field}[${i}]`)))
      : one(told, field);
  }
  return readings;
}
