/** Values of records in JSON: 64-bit ones as decimal strings, writer beside reader. */
import { describeValue, parseS64, parseU64 } from '../../src/num/index.ts';
import type { Readings } from '../inputs.ts';
import type { ValueType } from '../model-spec.ts';
import { READINGS, type ReadingName } from '../readings.ts';
import { EntryError } from './error.ts';
import { checkValue, EXPECTED, isValue, MAX_TEXT_BYTES } from './value-ranges.ts';

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

/** A type whose values are JSON as they are. */
const same = (type: ValueType): JsonType => ({
  expected: EXPECTED[type],
  encode: (value) => value,
  decode: (json) => (isValue(type, json) ? json : undefined),
});

const narrow = (type: 'u32' | 's32'): JsonType => ({
  ...same(type),
  // Of −0, which JSON has, 0 is left.
  decode: (json) => (isValue(type, json) ? (json as number) + 0 : undefined),
});

const HEX = /^(?:[0-9a-f]{2})*$/;

const U64 = wide('a u64', parseU64);

const TYPES: Readonly<Record<ValueType, JsonType>> = {
  u64: U64,
  s64: wide('an s64', parseS64),
  u32: narrow('u32'),
  s32: narrow('s32'),
  bool: same('bool'),
  text: same('text'),
  bytes: {
    expected: `${EXPECTED.bytes} as hexadecimal digits`,
    encode: (value) => Buffer.from(value as Uint8Array).toString('hex'),
    decode: (json) =>
      typeof json === 'string' && json.length <= 2 * MAX_TEXT_BYTES && HEX.test(json)
        ? new Uint8Array(Buffer.from(json, 'hex'))
        : undefined,
  },
};

/**
 * A value as JSON.
 *
 * @throws EntryError when it is none of this type, so that `decodeValue` would refuse it.
 */
export function encodeValue(type: ValueType, value: unknown, field: string): unknown {
  checkValue(type, value, field);
  return TYPES[type].encode(value);
}

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

/**
 * Readings as JSON; a turn of a list that is not known is null.
 *
 * @throws EntryError for what is no u64.
 */
export function encodeReadings(readings: Readings): Record<string, unknown> {
  const json: Record<string, unknown> = {};
  for (const [name, told] of Object.entries(readings)) {
    if (told === undefined) continue;
    const field = `readings.${name}`;
    json[name] = Array.isArray(told)
      ? told.map((value: unknown, i) =>
          value === undefined ? null : encodeValue('u64', value, `${field}[${i}]`),
        )
      : encodeValue('u64', told, field);
  }
  return json;
}

/** @throws EntryError unless these are readings by the names that there are. */
export function checkReadingNames(readings: unknown): void {
  if (typeof readings !== 'object' || readings === null) {
    throw new EntryError('readings', 'an object', describeValue(readings));
  }
  for (const name of Object.keys(readings)) {
    if (Object.hasOwn(READINGS, name)) continue;
    throw new EntryError('readings', 'names of clock reads', describeValue(name));
  }
}

/**
 * The readings that JSON is.
 *
 * @throws EntryError for an unknown name or what is no u64.
 */
export function decodeReadings(json: unknown): Readings {
  if (Array.isArray(json)) throw new EntryError('readings', 'an object', describeValue(json));
  checkReadingNames(json);
  const readings: { -readonly [N in ReadingName]?: Readings[N] } = {};
  for (const [name, told] of Object.entries(json as Record<string, unknown>)) {
    const field = `readings.${name}`;
    const one = (value: unknown, at: string): bigint => decodeValue('u64', value, at) as bigint;
    readings[name as ReadingName] = Array.isArray(told)
      ? told.map((value: unknown, i) => (value === null ? undefined : one(value, `${field}[${i}]`)))
      : one(told, field);
  }
  return readings;
}
