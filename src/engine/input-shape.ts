/** Whether a value from anywhere is an input at all: its type, its names and its fields' ranges. */
import {
  INPUTS,
  type Input,
  type InputType,
  READINGS,
  type ValueType,
} from '../../events/index.ts';
import { S64_MAX, S64_MIN, U64_MAX } from '../num/index.ts';
import { InputError } from './input-error.ts';

interface Kind {
  readonly expected: string;
  readonly is: (value: unknown) => boolean;
}

const wide = (name: string, least: bigint, most: bigint): Kind => ({
  expected: `${name} as a bigint`,
  is: (value) => typeof value === 'bigint' && value >= least && value <= most,
});

const narrow = (name: string, least: number, most: number): Kind => ({
  expected: name,
  is: (value) => Number.isInteger(value) && Number(value) >= least && Number(value) <= most,
});

const U64 = wide('a u64', 0n, U64_MAX);
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
  if (readings === undefined) return;
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
  const type = typeof fields['type'] === 'string' ? fields['type'].slice(0, 40) : '';
  const at = { index, type };
  if (!Object.hasOwn(INPUTS, type)) {
    throw new InputError('unknown-input', at, 'a known type', describe(fields['type']));
  }
  const spec = INPUTS[type as InputType];
  const kinds = new Map<string, { kind: Kind; optional: boolean }>([
    ['tsc', { kind: U64, optional: false }],
  ]);
  if (spec.target !== 'host') kinds.set('vm', { kind: U32, optional: false });
  if (spec.target === 'vcpu') kinds.set('vcpu', { kind: U32, optional: false });
  for (const [name, field] of Object.entries<{ type: ValueType; optional?: true }>(spec.fields)) {
    kinds.set(name, { kind: KINDS[field.type], optional: field.optional === true });
  }
  for (const [name, { kind, optional }] of kinds) {
    const found = fields[name];
    if (optional && found === undefined) continue;
    if (!kind.is(found)) {
      throw new InputError('bad-value', at, `${name} ${kind.expected}`, describe(found));
    }
  }
  for (const name of Object.keys(fields)) {
    if (kinds.has(name) || name === 'type' || name === 'readings') continue;
    throw new InputError('bad-value', at, `only the fields of ${type}`, describe(name));
  }
  checkReadings(fields['readings'], at);
  return value;
}
