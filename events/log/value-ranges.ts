/**
 * What a value of a log may be. Writers refuse by these rules what readers would: an entry that was
 * acknowledged and cannot be read again is lost.
 */
import { describeValue } from '../../src/num/index.ts';
import type { ValueType } from '../model-spec.ts';
import { EntryError } from './error.ts';

/** Most bytes of a text, and of bytes. */
export const MAX_TEXT_BYTES = 4096;

/** The types of values in an error. */
export const EXPECTED: Readonly<Record<ValueType, string>> = {
  u64: 'a u64 as a bigint',
  s64: 'an s64 as a bigint',
  u32: 'a u32',
  s32: 'an s32',
  bool: 'true or false',
  text: `text of at most ${MAX_TEXT_BYTES} bytes`,
  bytes: `at most ${MAX_TEXT_BYTES} bytes`,
};

/** To compare with a truncation is quicker than with two limits. */
export const isU64 = (value: unknown): value is bigint =>
  typeof value === 'bigint' && BigInt.asUintN(64, value) === value;

export const isU32 = (value: unknown): value is number =>
  typeof value === 'number' && value >>> 0 === value;

/** Whether a value is one of this type. */
export function isValue(type: ValueType, value: unknown): boolean {
  switch (type) {
    case 'u64':
      return isU64(value);
    case 's64':
      return typeof value === 'bigint' && BigInt.asIntN(64, value) === value;
    case 'u32':
      return isU32(value);
    case 's32':
      return typeof value === 'number' && (value | 0) === value;
    case 'bool':
      return typeof value === 'boolean';
    case 'text':
      return typeof value === 'string' && Buffer.byteLength(value) <= MAX_TEXT_BYTES;
    case 'bytes':
      return value instanceof Uint8Array && value.length <= MAX_TEXT_BYTES;
  }
}

/** @throws EntryError that a value is none of this type. */
export function refuse(type: ValueType, value: unknown, field: string): never {
  throw new EntryError(field, EXPECTED[type], describeValue(value));
}

/** @throws EntryError unless a value is one of this type. */
export function checkValue(type: ValueType, value: unknown, field: string): void {
  if (!isValue(type, value)) refuse(type, value, field);
}
