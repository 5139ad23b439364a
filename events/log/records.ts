/**
 * The fields of everything a log holds but checkpoints, derived from the tables of inputs and of
 * composite events. Both forms of a log are written, read and checked by these.
 */
import { describeValue } from '../../src/num/index.ts';
import { COMPOSITES, type Composite } from '../composites.ts';
import { INPUTS, type Input } from '../inputs.ts';
import type { InputSpec, ValueSpec, ValueSpecs, ValueType } from '../model-spec.ts';
import type { CompositeEntry, GapEntry, InputEntry, LogEntry } from './entry.ts';
import { EntryError } from './error.ts';

/** What a record is; also the member of a line that holds its name. */
export type RecordTag = 'input' | 'composite' | 'gap';

/** One field of a record. */
interface RecordField {
  readonly name: string;
  readonly type: ValueType;
  readonly optional: boolean;
}

/** One kind of record. */
export interface RecordSpec {
  readonly tag: RecordTag;
  readonly name: string;
  readonly fields: readonly RecordField[];
}

/** The values of a record by field. */
export type RecordValues = Readonly<Record<string, unknown>>;

/** An entry that is a record. */
export type RecordEntry = InputEntry | CompositeEntry | GapEntry;

const TSC: ValueSpec = { type: 'u64', doc: 'host TSC' };
const ID: ValueSpec = { type: 'u32', doc: 'id' };

const fieldsOf = (specs: ValueSpecs): RecordField[] =>
  Object.entries(specs).map(([name, { type, optional }]) => ({
    name,
    type,
    optional: optional === true,
  }));

const inputRecord = ([name, { target, fields }]: [string, InputSpec]): RecordSpec => {
  const vm = target === 'host' ? {} : { vm: ID };
  const vcpu = target === 'vcpu' ? { vcpu: ID } : {};
  return { tag: 'input', name, fields: fieldsOf({ tsc: TSC, ...vm, ...vcpu, ...fields }) };
};

const compositeRecord = ([name, { fields }]: [string, { fields: ValueSpecs }]): RecordSpec => ({
  tag: 'composite',
  name,
  fields: fieldsOf({ vm: ID, inputs: { type: 'u32', doc: 'how many follow' }, ...fields }),
});

/** Of what there is a gap. */
const GAP = 'inputs';

/** Every kind of record. */
export const RECORDS: readonly RecordSpec[] = [
  ...Object.entries(INPUTS).map(inputRecord),
  ...Object.entries(COMPOSITES).map(compositeRecord),
  {
    tag: 'gap',
    name: GAP,
    fields: fieldsOf({
      tsc: TSC,
      lost: { type: 'u64', doc: 'how many', optional: true },
      reason: { type: 'text', doc: 'in a few words' },
    }),
  },
];

/** One text for a kind of record, which no other kind has. */
export const recordKey = (tag: string, name: string): string => `${tag} ${name}`;

/** The kinds of records by their key. */
export const RECORD_OF: ReadonlyMap<string, RecordSpec> = new Map(
  RECORDS.map((record) => [recordKey(record.tag, record.name), record]),
);

/**
 * The record that an entry is, and its values.
 *
 * @throws EntryError for what is no kind of entry, which only types keep away.
 */
export function recordOf(entry: RecordEntry): { key: string; values: RecordValues } {
  switch (entry.kind) {
    case 'input':
      return { key: recordKey('input', entry.input.type), values: entry.input };
    case 'composite': {
      const { vm, inputs, event } = entry;
      return { key: recordKey('composite', event.type), values: { ...event, vm, inputs } };
    }
    case 'gap':
      return { key: recordKey('gap', GAP), values: { ...entry } };
    default:
      throw new EntryError('kind', 'a kind of entry', describeValue((entry as LogEntry).kind));
  }
}

/** The entry that a record is; its values were checked, and `type` is the record's name. */
export function entryOf({ tag, name }: RecordSpec, values: Record<string, unknown>): LogEntry {
  switch (tag) {
    case 'input':
      return { kind: 'input', input: values as unknown as Input };
    case 'composite': {
      const { vm, inputs, ...event } = values;
      return {
        kind: 'composite',
        vm: vm as number,
        inputs: inputs as number,
        event: { ...event, type: name } as unknown as Composite,
      };
    }
    case 'gap': {
      const { type: _, ...gap } = values;
      return { kind: 'gap', ...gap } as unknown as GapEntry;
    }
  }
}
