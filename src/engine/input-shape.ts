/** Whether a value from anywhere is an input at all: its type, its names and its fields' ranges. */
import {
  INPUTS,
  type Input,
  type InputType,
  READINGS,
  type ValueType,
} from '../../events/index.ts';
import { S64_MAX, S64_MIN } from '../num/index.ts';
import { InputError } from './input-error.ts';

interface Kind {
  readonly expected: string;
  readonly is: (value: unknown) => boolean;
}

const wide = (name: string, least: bigint, most: bigint): Kind => ({
  expected: `${name} as a bigint`,
  is: (value) => typeof value === 'bigint' && value >= least && value <= most,
});

/** Comparing with a truncation costs a fifth of comparing with two limits. */
const u64 = (value: unknown): boolean =>
  typeof value === 'bigint' && BigInt.asUintN(64, value) === value;

const narrow = (name: string, least: number, most: number): Kind => ({
  expected: name,
  is: (value) => Number.isInteger(value) && Number(value) >= least && Number(value) <= most,
});

const U64: Kind = { expected: 'a u64 as a bigint', is: u64 };
const U32 = narrow('a u32', 0, 0xffff_ffff);

const KINDS: Readonly<Record<ValueType, Kind>> = {
  u64: U64,
  s64: wide('an s64', S64_MIN, S64_MAX),
  u32: U32,
  s32: narrow('an s32', -0x8000_0000, 0x7fff_ffff),
  bool: { expected: 'true or false', is: (value) => typeof value === 'boolean' },
  bytes: { expected: 'bytes', is: (value) => value instanceof Uint8Array },
  text: { expected: 'text', is: (value) => typeof value === 'string' },
};

const describe = (value: unknown): string =>
  typeof value === 'bigint' || typeof value === 'number' || typeof value === 'boolean'
    ? String(value)
    : value === undefined
      ? 'nothing'
      : typeof value === 'string'
        ? JSON.stringify(value.slice(0, 40))
        : typeof value;

const isReading = (value: unknown): boolean =>
  Array.isArray(value) ? value.every((item) => item === undefined || U64.is(item)) : U64.is(value);

function checkReadings(readings: unknown, at: { index: number; type: string }): void {
  if (typeof readings !== 'object' || readings === null) {
    throw new InputError('bad-value', at, 'readings by name', describe(readings));
  }
  for (const [name, value] of Object.entries(readings)) {
    if (!Object.hasOwn(READINGS, name)) {
      throw new InputError('bad-value', at, 'the name of a reading', describe(name));
    }
    if (value !== undefined && !isReading(value)) {
      throw new InputError('bad-value', at, `readings.${name} as u64 bigints`, describe(value));
    }
  }
}

/** A field of an input. */
interface FieldShape {
  readonly name: string;
  readonly kind: Kind;
  readonly optional: boolean;
}

/** What the inputs of one type have. */
interface Shape {
  readonly fields: readonly FieldShape[];
  /** All names that may be there. */
  readonly names: ReadonlySet<string>;
}

function shapeOf({ target, fields }: (typeof INPUTS)[InputType]): Shape {
  const all: FieldShape[] = [{ name: 'tsc', kind: U64, optional: false }];
  if (target !== 'host') all.push({ name: 'vm', kind: U32, optional: false });
  if (target === 'vcpu') all.push({ name: 'vcpu', kind: U32, optional: false });
  for (const [name, field] of Object.entries<{ type: ValueType; optional?: true }>(fields)) {
    all.push({ name, kind: KINDS[field.type], optional: field.optional === true });
  }
  return { fields: all, names: new Set(['type', 'readings', ...all.map(({ name }) => name)]) };
}

const SHAPES: ReadonlyMap<unknown, Shape> = new Map(
  Object.entries(INPUTS).map(([type, spec]) => [type, shapeOf(spec)]),
);

/**
 * The input that a value is.
 *
 * @param index - how many came before, for the error.
 * @throws InputError when it is none: unknown type, missing or unknown field, value out of range.
 */
export function checkShape(value: Input, index: number): Input {
  const given: unknown = value;
  if (typeof given !== 'object' || given === null) {
    throw new InputError('unknown-input', { index, type: '' }, 'an input', describe(given));
  }
  const fields = given as Readonly<Record<string, unknown>>;
  const { type } = fields;
  const shape = SHAPES.get(type);
  if (shape === undefined) {
    const at = { index, type: typeof type === 'string' ? type.slice(0, 40) : '' };
    throw new InputError('unknown-input', at, 'a known type', describe(type));
  }
  for (let i = 0; i < shape.fields.length; i++) {
    const { name, kind, optional } = shape.fields[i]!;
    const found = fields[name];
    if (kind.is(found) || (optional && found === undefined)) continue;
    const at = { index, type: value.type };
    throw new InputError('bad-value', at, `${name} ${kind.expected}`, describe(found));
  }
  for (const name in fields) {
    if (shape.names.has(name)) continue;
    const at = { index, type: value.type };
    throw new InputError('bad-value', at, `only the fields of ${value.type}`, describe(name));
  }
  if (value.readings !== undefined) checkReadings(value.readings, { index, type: value.type });
  return value;
}
