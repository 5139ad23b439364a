/**
 * Checkpoints as bytes, writer beside reader: the structs as they lie in memory.
 *
 * ```
 * inputs u64, lastTsc u64, how many u32, each: struct u8 (place in the header's list),
 * names u8 (1 vm, 2 vcpu), vm u32, vcpu u32, the struct's bytes
 * ```
 *
 * The header lists the structs with their size and a CRC of their layout. Where a struct is laid out
 * otherwise today, the log's checkpoints are of no use and are passed over: inputs tell it all.
 */
import { crc32 } from 'node:zlib';
import { type AnyStructType, describeValue } from '../../src/num/index.ts';
import type { ByteReader, ByteWriter } from './bytes.ts';
import type { Checkpoint, CheckpointStruct } from './entry.ts';
import { EntryError } from './error.ts';
import { type JsonObject, membersOf, type StructTypes } from './json-entry.ts';
import { checkValue } from './value-ranges.ts';

/** A struct as a log's header names it. */
export interface StructEntry {
  readonly name: string;
  readonly bytes: number;
  /** CRC of the names, types and offsets of its fields. */
  readonly layout: number;
}

const HAS_VM = 1;
const HAS_VCPU = 2;

/** Values of an enum are part of it: a byte stands for one. */
function layoutText({ layout }: AnyStructType): string {
  return [...layout.fields.values()]
    .map(({ name, field, offset }) => {
      const element = 'element' in field ? field.element : field;
      const capacity = 'element' in field ? field.capacity : 1;
      const type = element.kind === 'enum' ? element.json : element.kind;
      return `${name}:${type}:${capacity}@${offset}`;
    })
    .join(' ');
}

/** A struct as it is laid out today. */
export const structEntry = (type: AnyStructType): StructEntry => ({
  name: type.layout.name,
  bytes: type.byteLength,
  layout: crc32(layoutText(type)),
});

/**
 * The list of structs that JSON is.
 *
 * @throws EntryError when it is none.
 */
export function decodeStructEntries(json: unknown): StructEntry[] {
  if (!Array.isArray(json) || json.length > 255) {
    throw new EntryError('structs', 'an array of at most 255', describeValue(json));
  }
  return json.map((item: unknown, i) => {
    const field = `structs[${i}]`;
    const { name, bytes, layout } = membersOf(item, field, ['name', 'bytes', 'layout']);
    const isCount = (value: unknown): value is number =>
      typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 0xffff_ffff;
    if (typeof name !== 'string' || !isCount(bytes) || !isCount(layout)) {
      throw new EntryError(field, 'name, bytes and layout', describeValue(name));
    }
    return { name, bytes, layout };
  });
}

/** The same as JSON. */
export const encodeStructEntries = (entries: readonly StructEntry[]): JsonObject[] =>
  entries.map((entry) => ({ ...entry }));

/**
 * Writes a checkpoint.
 *
 * @throws EntryError for a struct that the log's header does not list, or a number out of range.
 */
export function writeCheckpoint(
  out: ByteWriter,
  { inputs, lastTsc, structs }: Checkpoint,
  entries: readonly StructEntry[],
): void {
  checkValue('u64', lastTsc, 'checkpoint.lastTsc');
  out.u64(BigInt(inputs));
  out.u64(lastTsc);
  out.u32(structs.length);
  for (const { vm, vcpu, state } of structs) {
    const code = entries.findIndex(({ name }) => name === state.layout.name);
    if (code < 0) throw new EntryError(undefined, 'a struct of this log', state.layout.name);
    if (vm !== undefined) checkValue('u32', vm, 'checkpoint.vm');
    if (vcpu !== undefined) checkValue('u32', vcpu, 'checkpoint.vcpu');
    out.u8(code);
    out.u8((vm === undefined ? 0 : HAS_VM) | (vcpu === undefined ? 0 : HAS_VCPU));
    out.u32(vm ?? 0);
    out.u32(vcpu ?? 0);
    out.raw(state.bytes);
  }
}

/** The types that these structs have today, as long as all of them are laid out alike. */
export function knownTypes(
  entries: readonly StructEntry[],
  types: StructTypes,
): readonly AnyStructType[] | undefined {
  const known: AnyStructType[] = [];
  for (const { name, bytes, layout } of entries) {
    const type = types.find((one) => one.layout.name === name);
    const now = type === undefined ? undefined : structEntry(type);
    if (type === undefined || now?.bytes !== bytes || now.layout !== layout) return undefined;
    known.push(type);
  }
  return known;
}

function readStruct(from: ByteReader, types: readonly AnyStructType[]): CheckpointStruct {
  const { at } = from;
  const code = from.u8();
  const type = types[code];
  if (type === undefined) throw new EntryError('struct', 'a struct', `code ${code}`, at);
  const has = from.u8();
  const vm = from.u32();
  const vcpu = from.u32();
  const state = new type();
  state.bytes.set(from.raw(type.byteLength));
  try {
    // A byte may stand for no state of a machine; nothing else reads all of them.
    state.toJSON();
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new EntryError(`struct ${type.layout.name}`, 'states', error.message, at);
  }
  return {
    ...(has & HAS_VM ? { vm } : {}),
    ...(has & HAS_VCPU ? { vcpu } : {}),
    state,
  };
}

/**
 * Reads a checkpoint.
 *
 * @throws EntryError with the offset at which something is wrong.
 */
export function readCheckpoint(from: ByteReader, types: readonly AnyStructType[]): Checkpoint {
  const inputs = from.count();
  const lastTsc = from.u64();
  const structs: CheckpointStruct[] = [];
  for (let left = from.u32(); left > 0; left--) structs.push(readStruct(from, types));
  if (from.left > 0) throw new EntryError(undefined, 'its end', `${from.left} bytes more`, from.at);
  return { inputs, lastTsc, structs };
}
