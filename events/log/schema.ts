/**
 * How the records of a binary log are laid out. The declaration travels in the log's header, so that
 * a log can be read when the tables have changed: a record's code is its place in the list.
 */
import { describeValue } from '../../src/num/index.ts';
import type { ValueType } from '../model-spec.ts';
import { READINGS } from '../readings.ts';
import { EntryError } from './error.ts';
import { type JsonObject, membersOf } from './json-entry.ts';
import { RECORD_OF, RECORDS, type RecordSpec, type RecordTag, recordKey } from './records.ts';

/** The declaration of a binary log's records. */
export interface Schema {
  /** By code. */
  readonly records: readonly RecordSpec[];
  /** Names of readings by code. */
  readonly readings: readonly string[];
}

/** That of logs written today. */
export const SCHEMA: Schema = { records: RECORDS, readings: Object.keys(READINGS) };

/** Codes are one byte. */
const MOST_CODES = 256;

const TYPES: readonly ValueType[] = ['u64', 's64', 'u32', 's32', 'bool', 'bytes', 'text'];
const TAGS: readonly RecordTag[] = ['input', 'composite', 'gap'];

/** A record's fields as text: `tsc:u64 vm:u32 offsBoot:s64?`. */
const fieldsText = ({ fields }: RecordSpec): string =>
  fields.map(({ name, type, optional }) => `${name}:${type}${optional ? '?' : ''}`).join(' ');

/** A declaration as JSON: readable, and short. */
export const encodeSchema = ({ records, readings }: Schema): JsonObject => ({
  records: records.map((record) => `${recordKey(record.tag, record.name)} | ${fieldsText(record)}`),
  readings,
});

const RECORD = /^(\w{1,20}) ([\w.]{1,80}) \|((?: \w{1,80}:\w{1,10}\??){0,64}) ?$/;

function decodeRecordSpec(json: unknown, field: string): RecordSpec {
  const match = typeof json === 'string' ? RECORD.exec(json) : null;
  const tag = TAGS.find((name) => name === match?.[1]);
  if (match === null || tag === undefined) {
    throw new EntryError(field, 'the declaration of a record', describeValue(json));
  }
  const texts = match[3]!.split(' ').filter((text) => text !== '');
  const fields = texts.map((text) => {
    const [name, declared] = text.split(':') as [string, string];
    const type = TYPES.find((known) => known === declared.replace('?', ''));
    if (type === undefined) throw new EntryError(field, TYPES.join(', '), describeValue(declared));
    return { name, type, optional: declared.endsWith('?') };
  });
  return { tag, name: match[2]!, fields };
}

function listOf(json: unknown, field: string): readonly unknown[] {
  if (Array.isArray(json) && json.length <= MOST_CODES) return json;
  throw new EntryError(field, `an array of at most ${MOST_CODES}`, describeValue(json));
}

/**
 * The declaration that JSON is.
 *
 * @throws EntryError when it is none.
 */
export function decodeSchema(json: unknown): Schema {
  const { records, readings } = membersOf(json, 'schema', ['records', 'readings']);
  return {
    records: listOf(records, 'schema.records').map((record, i) =>
      decodeRecordSpec(record, `schema.records[${i}]`),
    ),
    readings: listOf(readings, 'schema.readings').map((name, i) => {
      if (typeof name === 'string') return name;
      throw new EntryError(`schema.readings[${i}]`, 'a name', describeValue(name));
    }),
  };
}

/** Clock reads by their names. */
const READING_OF: ReadonlyMap<string, string> = new Map(
  SCHEMA.readings.map((name) => [name, name]),
);

function recordOfToday(record: RecordSpec): RecordSpec {
  const key = recordKey(record.tag, record.name);
  const known = RECORD_OF.get(key);
  const found = fieldsText(record);
  if (known !== undefined && fieldsText(known) === found) return known;
  const expected = known === undefined ? 'a known record' : fieldsText(known);
  throw new EntryError(`schema of ${key}`, expected, found.slice(0, 200));
}

function readingOfToday(name: string): string {
  const known = READING_OF.get(name);
  if (known !== undefined) return known;
  throw new EntryError('schema.readings', 'names of clock reads', describeValue(name));
}

/**
 * The declaration with today's own records, which these are; kinds may be missing, as they are in a
 * log that was written before they were added.
 *
 * Names that were cut out of a header's text are other strings than those in the code: whoever
 * compares or looks up such a one goes over its characters, for each record that has it.
 *
 * @throws EntryError naming the first that differs.
 */
export const schemaOfToday = ({ records, readings }: Schema): Schema => ({
  records: records.map(recordOfToday),
  readings: readings.map(readingOfToday),
});
