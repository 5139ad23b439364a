/**
 * The payload of a frame of records, writer beside reader.
 *
 * ```
 * records u32, inputs among them u32, and the records: record-bytes.ts
 * ```
 */
import type { Input } from '../inputs.ts';
import { BARE_BYTES } from './bare-bytes.ts';
import { type ByteReader, ByteWriter } from './bytes.ts';
import type { LogEntry } from './entry.ts';
import { EntryError } from './error.ts';
import { decodeEntry, encodeRecord } from './json-entry.ts';
import type { RecordReader, RecordWriter } from './record-bytes.ts';
import { entryOf, recordOf } from './records.ts';
import type { Stretches } from './stretch.ts';
import type { UpgradePath } from './upgrade.ts';

/** Records beyond this size begin another frame. */
const RECORDS_BYTES = 1 << 18;

/**
 * Writes the records from `at` on, up to the next checkpoint or a frame's size.
 *
 * @returns the first entry that was not written, and how many inputs were.
 */
export function writeRecords(
  out: ByteWriter,
  writer: RecordWriter,
  entries: readonly LogEntry[],
  at: number,
): { readonly next: number; readonly inputs: number } {
  const records = new ByteWriter();
  let inputs = 0;
  let next = at;
  while (next < entries.length && records.length < RECORDS_BYTES) {
    const entry = entries[next]!;
    if (entry.kind === 'checkpoint') break;
    const { key, values } = recordOf(entry);
    writer.write(records, key, values);
    if (entry.kind === 'input') inputs += 1;
    next += 1;
  }
  out.u32(next - at);
  out.u32(inputs);
  out.raw(records.bytes);
  return { next, inputs };
}

/**
 * Reads all records.
 *
 * @param upgrade - makes records of an older log today's.
 * @returns how many inputs there were.
 * @throws EntryError with the offset at which something is wrong.
 */
export function readRecords(
  from: ByteReader,
  reader: RecordReader,
  upgrade: UpgradePath | undefined,
  into: Stretches,
): number {
  const count = from.u32();
  const inputs = from.u32();
  let found = 0;
  // The count may be a lie, what the bytes have room for is not.
  into.inputs.reserve(Math.min(inputs, Math.floor(from.left / BARE_BYTES)));
  for (let i = 0; i < count; i++) {
    if (upgrade === undefined && reader.bare.isNext(from)) {
      const bare = reader.bare.read(from, into.inputs, count - i);
      found += bare;
      i += bare;
      if (i === count) break;
    }
    const kind = reader.kind(from);
    const values = kind.read(from);
    if (upgrade === undefined && kind.inputCode !== undefined) {
      found += 1;
      into.inputs.add(values as unknown as Input, kind.inputCode);
      continue;
    }
    const entry =
      upgrade === undefined
        ? entryOf(kind.spec, values)
        : upgraded(upgrade.entry(encodeRecord(kind.spec, values)));
    if (entry === undefined) continue;
    if (entry.kind === 'input') found += 1;
    into.add(entry);
  }
  if (from.left > 0) {
    throw new EntryError(undefined, 'the end of the frame', `${from.left} bytes more`, from.at);
  }
  if (upgrade === undefined && found !== inputs) {
    throw new EntryError(undefined, `${inputs} inputs`, `${found}`);
  }
  return found;
}

/** An entry of an older log, as JSON of today. */
const upgraded = (json: Parameters<typeof decodeEntry>[0]): LogEntry | undefined =>
  json === undefined ? undefined : decodeEntry(json, []);
