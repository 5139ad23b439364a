/**
 * Records that are bare inputs, as nearly all are: of one length, and read without an object for each.
 * `record-bytes.ts` says how records look.
 */
import { BARE_TYPES, type InputBatch, inputCode, ROW, ROW_WORDS } from '../input-batch.ts';
import type { InputType } from '../inputs.ts';
import type { ByteReader } from './bytes.ts';
import type { RecordSpec } from './records.ts';

/** The fields with which most records begin; bare inputs have no others. */
export const LEADING = ['tsc u64', 'vm u32', 'vcpu u32'];

/** A bare input: its code, no presence, instant, VM and vCPU. */
export const BARE_BYTES = 18;

/** Optional fields of which one byte tells whether they are there, beside the readings. */
const MOST_OPTIONAL = 7;

/** Whether records of this kind, which is one of today's (`schemaOfToday`), may be bare inputs. */
const mayBeBare = ({ tag, name, fields }: RecordSpec): boolean =>
  tag === 'input' &&
  (BARE_TYPES as ReadonlySet<string>).has(name) &&
  fields.length - LEADING.length <= MOST_OPTIONAL;

/** Reads bare inputs of one schema. */
export class BareReader {
  /** By the code of a record: that of the type of inputs that may be bare; −1 for all others. */
  readonly #codes = new Int16Array(256).fill(-1);

  constructor(records: readonly RecordSpec[]) {
    for (const [code, spec] of records.entries()) {
      if (mayBeBare(spec)) this.#codes[code] = inputCode(spec.name as InputType);
    }
  }

  /** Whether the next record is a bare input. */
  isNext(from: ByteReader): boolean {
    return this.#codes[from.peek(0)]! >= 0 && from.peek(1) === 0;
  }

  /**
   * Adds to a batch the bare inputs that follow each other.
   *
   * @param most - how many records there are to read.
   * @returns how many were read.
   */
  read(from: ByteReader, into: InputBatch, most: number): number {
    const { view } = from;
    const codes = this.#codes;
    const end = Math.min(most, Math.floor(from.left / BARE_BYTES));
    into.reserve(end);
    const { words } = into;
    // What is not the function's own V8 looks up and checks anew for each record; that these are
    // 32 bits it need not ask again.
    const low = ROW.low | 0;
    const high = ROW.high | 0;
    const vm = ROW.vm | 0;
    const vcpu = ROW.vcpu | 0;
    const kind = ROW.kind | 0;
    const bytes = BARE_BYTES | 0;
    const step = ROW_WORDS | 0;
    let count = 0;
    for (let at = from.place, to = step * into.length; count < end; at += bytes, to += step) {
      // The code, and above it the presence, which is 0.
      const head = view.getUint16(at, true);
      const code = codes[head & 0xff]!;
      if (code < 0 || head > 0xff) break;
      words[to + low] = view.getInt32(at + 2, true);
      words[to + high] = view.getInt32(at + 6, true);
      words[to + vm] = view.getInt32(at + 10, true);
      words[to + vcpu] = view.getInt32(at + 14, true);
      words[to + kind] = code;
      count += 1;
    }
    into.length += count;
    from.skip(BARE_BYTES * count);
    return count;
  }
}
