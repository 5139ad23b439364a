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

// What is imported or exported V8 looks up at each use; a constant of this module's own is code.
const { low: LOW, high: HIGH, vm: VM, vcpu: VCPU, kind: KIND } = ROW;
const STEP = ROW_WORDS;
const BYTES = 18;

/** A bare input: its code, no presence, instant, VM and vCPU. */
export const BARE_BYTES = BYTES;

/** Optional fields of which one byte tells whether they are there, beside the readings. */
const MOST_OPTIONAL = 7;

/** Whether records of this kind, which is one of today's (`schemaOfToday`), may be bare inputs. */
const mayBeBare = ({ tag, name, fields }: RecordSpec): boolean =>
  tag === 'input' &&
  (BARE_TYPES as ReadonlySet<string>).has(name) &&
  fields.length - LEADING.length <= MOST_OPTIONAL;

/**
 * Reads bare inputs that follow each other into words of rows.
 *
 * @param codes - by the code of a record: that of its type, −1 where it is none that may be bare.
 * @param at - place of the first in the view.
 * @param word - the first word of the first row.
 * @param most - rows there is room for, in the view and in the words.
 * @returns how many there were.
 */
function readRows(
  view: DataView,
  at: number,
  codes: Int16Array,
  words: Int32Array,
  word: number,
  most: number,
): number {
  let byte = at | 0;
  let to = word | 0;
  let count = 0;
  // Sums that are made 32 bits cannot overflow, and V8 does not look whether they did.
  for (; count < most; count++) {
    // The code, and above it the presence, which is 0.
    const head = view.getUint16(byte, true);
    const code = codes[head & 0xff]!;
    if (code < 0 || head > 0xff) break;
    words[(to + LOW) | 0] = view.getInt32((byte + 2) | 0, true);
    words[(to + HIGH) | 0] = view.getInt32((byte + 6) | 0, true);
    words[(to + VM) | 0] = view.getInt32((byte + 10) | 0, true);
    words[(to + VCPU) | 0] = view.getInt32((byte + 14) | 0, true);
    words[(to + KIND) | 0] = code;
    byte = (byte + BYTES) | 0;
    to = (to + STEP) | 0;
  }
  return count;
}

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
    const count = readRows(view, from.place, codes, into.words, STEP * into.length, end);
    into.length += count;
    from.skip(BARE_BYTES * count);
    return count;
  }
}
