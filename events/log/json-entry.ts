/**
 * Entries of a log as JSON objects, writer beside reader.
 *
 * ```json
 * {"input":"kvm_entry","tsc":"5000000","vm":0,"vcpu":1,"readings":{"snapshot.tsc":"5000007"}}
 * {"composite":"hotplug","vm":0,"inputs":4,"vcpu":1,"cpu":3}
 * {"gap":"inputs","tsc":"6000000","lost":"12","reason":"the ring buffer overran"}
 * {"checkpoint":{"inputs":12,"lastTsc":"6000000","structs":[{"state":{"$struct":"Host"}}]}}
 * ```
 */
import { type AnyStructType, describeValue, StructJsonError } from '../../src/num/index.ts';
import type { Readings } from '../inputs.ts';
import type { Checkpoint, CheckpointStruct, LogEntry } from './entry.ts';
import { EntryError } from './error.ts';
import {
  checkReadingNames,
  decodeReadings,
  decodeValue,
  encodeReadings,
  encodeValue,
} from './json-values.ts';
import {
  entryOf,
  RECORD_OF,
  type RecordSpec,
  type RecordTag,
  type RecordValues,
  recordKey,
  recordOf,
} from './records.ts';
import { checkValue } from './value-ranges.ts';

/** Types of the structs that checkpoints are made of; those of others are passed over. */
export type StructTypes = readonly AnyStructType[];

/** A JSON object as it was parsed. */
export type JsonObject = Readonly<Record<string, unknown>>;

const TAGS: readonly RecordTag[] = ['input', 'composite', 'gap'];

/**
 * A record as JSON, its tag first.
 *
 * @throws EntryError for a value that the record's reader would refuse.
 * @internal
 */
export function encodeRecord({ tag, name, fields }: RecordSpec, values: RecordValues): JsonObject {
  const json: Record<string, unknown> = { [tag]: name };
  for (const field of fields) {
    const value = values[field.name];
    if (value === undefined && field.optional) continue;
    json[field.name] = encodeValue(field.type, value, field.name);
  }
  const readings = values['readings'] as Readings | undefined;
  if (readings !== undefined) json['readings'] = encodeReadings(readings);
  return json;
}

function encodeStruct({ state, ...names }: CheckpointStruct, field: string): JsonObject {
  for (const [name, id] of Object.entries(names)) checkValue('u32', id, `${field}.${name}`);
  return { ...names, state: state.toJSON() };
}

const encodeCheckpoint = ({ inputs, lastTsc, structs }: Checkpoint): JsonObject => ({
  inputs,
  lastTsc: encodeValue('u64', lastTsc, 'checkpoint.lastTsc'),
  structs: structs.map((struct, i) => encodeStruct(struct, `checkpoint.structs[${i}]`)),
});

/**
 * An entry as JSON.
 *
 * @throws EntryError when it is none that `decodeEntry` would take.
 */
export function encodeEntry(entry: LogEntry): JsonObject {
  if (entry.kind === 'checkpoint') return { checkpoint: encodeCheckpoint(entry.checkpoint) };
  const { key, values } = recordOf(entry);
  const spec = RECORD_OF.get(key);
  if (spec === undefined) throw new EntryError(undefined, 'a known record', describeValue(key));
  if (values['readings'] !== undefined) checkReadingNames(values['readings']);
  return encodeRecord(spec, values);
}

/**
 * The members of an object, whose names are all among `names`.
 *
 * @internal
 */
export function membersOf(
  json: unknown,
  field: string | undefined,
  names: readonly string[],
): JsonObject {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw new EntryError(field, 'an object', describeValue(json));
  }
  for (const name of Object.keys(json)) {
    if (!names.includes(name)) {
      throw new EntryError(field, `only ${names.join(', ')}`, describeValue(name));
    }
  }
  return { ...json };
}

function decodeStruct(
  json: unknown,
  field: string,
  types: StructTypes,
): CheckpointStruct | undefined {
  const members = membersOf(json, field, ['vm', 'vcpu', 'state']);
  const { vm, vcpu, state } = members;
  const tag =
    typeof state === 'object' && state !== null ? (state as JsonObject)['$struct'] : state;
  const type = types.find(({ layout }) => layout.name === tag);
  const names = {
    ...(vm === undefined ? {} : { vm: decodeValue('u32', vm, `${field}.vm`) as number }),
    ...(vcpu === undefined ? {} : { vcpu: decodeValue('u32', vcpu, `${field}.vcpu`) as number }),
  };
  if (type === undefined) {
    if (types.length === 0) return undefined;
    const known = types.map(({ layout }) => layout.name).join(', ');
    throw new EntryError(`${field}.state.$struct`, `one of ${known}`, describeValue(tag));
  }
  try {
    return { ...names, state: type.fromJSON(state) };
  } catch (error) {
    if (!(error instanceof StructJsonError)) throw error;
    throw new EntryError(`${field}.state ${error.path}`, error.expected, error.found);
  }
}

function decodeCheckpoint(json: unknown, types: StructTypes): LogEntry | undefined {
  const members = membersOf(json, 'checkpoint', ['inputs', 'lastTsc', 'structs']);
  const { inputs, lastTsc, structs } = members;
  if (!Number.isSafeInteger(inputs) || Number(inputs) < 0) {
    throw new EntryError('checkpoint.inputs', 'a count', describeValue(inputs));
  }
  const tsc = decodeValue('u64', lastTsc, 'checkpoint.lastTsc') as bigint;
  if (!Array.isArray(structs)) {
    throw new EntryError('checkpoint.structs', 'an array', describeValue(structs));
  }
  const all: CheckpointStruct[] = [];
  for (const [i, item] of structs.entries()) {
    const one = decodeStruct(item, `checkpoint.structs[${i}]`, types);
    if (one === undefined) return undefined;
    all.push(one);
  }
  return {
    kind: 'checkpoint',
    checkpoint: { inputs: Number(inputs), lastTsc: tsc, structs: all },
  };
}

/**
 * The entry that a JSON object is; undefined for a checkpoint of structs that the reader did not
 * ask for.
 *
 * @throws EntryError when it is none.
 */
export function decodeEntry(json: unknown, types: StructTypes): LogEntry | undefined {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw new EntryError(undefined, 'an entry', describeValue(json));
  }
  const members = json as JsonObject;
  if (Object.hasOwn(members, 'checkpoint')) {
    membersOf(json, undefined, ['checkpoint']);
    return decodeCheckpoint(members['checkpoint'], types);
  }
  const tag = TAGS.find((name) => Object.hasOwn(members, name));
  if (tag === undefined) {
    const first = Object.keys(members)[0];
    throw new EntryError(undefined, `${TAGS.join(', ')} or checkpoint`, describeValue(first));
  }
  return decodeRecord(members, tag);
}

function decodeRecord(json: JsonObject, tag: RecordTag): LogEntry {
  const name = json[tag];
  const spec = typeof name === 'string' ? RECORD_OF.get(recordKey(tag, name)) : undefined;
  if (spec === undefined) throw new EntryError(tag, `a known ${tag}`, describeValue(name));
  const names = spec.fields.map((field) => field.name);
  const others = tag === 'input' ? [tag, 'readings'] : [tag];
  membersOf(json, spec.name, [...names, ...others]);
  const values: Record<string, unknown> = { type: spec.name };
  for (const field of spec.fields) {
    const value = json[field.name];
    if (value === undefined && field.optional) continue;
    values[field.name] = decodeValue(field.type, value, field.name);
  }
  if (json['readings'] !== undefined) values['readings'] = decodeReadings(json['readings']);
  return entryOf(spec, values);
}
