/** Where things stand in the memory of the function that reads usual lines, and how it is started. */
import { EventBatch } from '../../../../events/index.ts';
import { PREFIX_RECORDS } from '../threads.ts';
import { CLASSES } from './number.ts';

/** What the function leaves behind: lines read, rows written, ticks of the last line. */
export const RESULT = { lines: 0, rows: 4, last: 8 } as const;

/** A piece of text: small enough for the second-level cache, with the rows made of it. */
export const PIECE_BYTES = 1 << 16;
/** Newlines behind the piece, so that whoever looks some bytes ahead finds an end. */
export const SLACK = 64;
/** More rows than a piece usually holds. */
const ROWS = 1024;

const CLASSES_AT = 256;
const RECORDS_AT = 1024;
const TEXT_AT = RECORDS_AT + PREFIX_RECORDS * 4;
const COLUMNS_AT = TEXT_AT + PIECE_BYTES + SLACK;
const PAGE_BYTES = 1 << 16;

type Column = 'codes' | 'timestamps' | 'cpus' | 'tids' | 'tgids' | 'commIds' | 'wides' | 'narrows';

interface Memory {
  readonly buffer: ArrayBuffer;
}

/** What is used of it: the types of Node 20 do not declare it. */
declare const WebAssembly: {
  readonly Memory: new (size: { readonly initial: number }) => Memory;
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (
    module: object,
    imports: { readonly host: { readonly memory: Memory } },
  ) => { readonly exports: { readonly run: Scan } };
};

/** Reads the lines from `start` to `end` to at most `rows` rows. Returns where it stopped. */
export type Scan = (start: number, end: number, rows: number) => number;

/** Addresses that the function's code is made with. */
export interface Places {
  readonly classes: number;
  readonly records: number;
  readonly columns: Readonly<Record<Column, number>>;
}

/** The memory, and views of what is in it. */
export class ScannerMemory implements Places {
  readonly #memory: Memory;
  readonly classes = CLASSES_AT;
  readonly records = RECORDS_AT;
  readonly text = TEXT_AT;
  readonly columns: Places['columns'];
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly prefixes: Int32Array;
  readonly rows: EventBatch;

  constructor() {
    const size = COLUMNS_AT + EventBatch.byteLength(ROWS);
    this.#memory = new WebAssembly.Memory({ initial: Math.ceil(size / PAGE_BYTES) });
    const { buffer } = this.#memory;
    this.bytes = new Uint8Array(buffer);
    this.bytes.set(CLASSES, CLASSES_AT);
    this.view = new DataView(buffer);
    this.prefixes = new Int32Array(buffer, RECORDS_AT, PREFIX_RECORDS);
    const rows = new EventBatch(ROWS, buffer, COLUMNS_AT);
    this.rows = rows;
    const { codes, timestamps, cpus, tids, tgids, commIds, wides, narrows } = rows;
    const at = ({ byteOffset }: { readonly byteOffset: number }): number => byteOffset;
    this.columns = {
      codes: at(codes),
      timestamps: at(timestamps),
      cpus: at(cpus),
      tids: at(tids),
      tgids: at(tgids),
      commIds: at(commIds),
      wides: at(wides),
      narrows: at(narrows),
    };
  }

  /** The function of a module that was made for these places. */
  start(module: Uint8Array): Scan {
    const host = { memory: this.#memory };
    return new WebAssembly.Instance(new WebAssembly.Module(module), { host }).exports.run;
  }
}
