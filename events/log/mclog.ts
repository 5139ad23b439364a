/**
 * The binary form of a log, writer beside reader.
 *
 * ```
 * preamble  frame.ts
 * header    one frame: mclog-header.ts
 * then frames of
 *   records     records-frame.ts
 *   checkpoint  checkpoint-bytes.ts
 *   index, end  mclog-index.ts, when it was closed in peace
 * ```
 */
import type { AnyStructType } from '../../src/num/index.ts';
import { ByteReader, ByteWriter } from './bytes.ts';
import {
  knownTypes,
  readCheckpoint,
  type StructEntry,
  structEntry,
  writeCheckpoint,
} from './checkpoint-bytes.ts';
import {
  type CheckpointPlace,
  type DecoderOptions,
  type LogDecoder,
  type Misfit,
  OLDER_LOG,
  type ReadLogOptions,
  withDefaults,
} from './decoder.ts';
import { checkPlace, type LogEncoder, type LogSoFar } from './encoder.ts';
import type { LogEntry, LogHeader, TornTail } from './entry.ts';
import { EntryError, LogError } from './error.ts';
import {
  decodeFrame,
  decodePreamble,
  encodeFrame,
  encodePreamble,
  FRAME,
  FRAME_HEAD_BYTES,
  PREAMBLE_BYTES,
} from './frame.ts';
import type { StructTypes } from './json-entry.ts';
import { decodeMclogHeader, encodeMclogHeader, type MclogHeader } from './mclog-header.ts';
import { encodeIndex } from './mclog-index.ts';
import { PendingBytes } from './pending-bytes.ts';
import { RecordReader, RecordWriter } from './record-bytes.ts';
import { readRecords, writeRecords } from './records-frame.ts';
import { Salvage } from './salvage.ts';
import { encodeSchema, SCHEMA } from './schema.ts';
import { type LogStretch, Stretches } from './stretch.ts';

/** Writes the binary form. */
export class MclogEncoder implements LogEncoder {
  readonly form = 'mclog';
  readonly #header: LogHeader;
  readonly #types: StructTypes;
  readonly #records = new RecordWriter(SCHEMA);
  readonly #out = new ByteWriter();
  #size: number;
  #inputs: number;
  #checkpoints: CheckpointPlace[];

  /**
   * @param types - of the structs of checkpoints to come.
   * @param soFar - what the log holds already; by default it is new.
   */
  constructor(header: LogHeader, types: StructTypes, soFar?: LogSoFar) {
    this.#header = header;
    this.#types = types;
    this.#size = soFar?.size ?? 0;
    this.#inputs = soFar?.inputs ?? 0;
    this.#checkpoints = [...(soFar?.checkpoints ?? [])];
  }

  begin(): Uint8Array {
    const header = encodeFrame(FRAME.header, encodeMclogHeader(this.#header, this.#types));
    const bytes = Buffer.concat([encodePreamble(), header]);
    this.#size = bytes.length;
    return bytes;
  }

  encode(entries: readonly LogEntry[]): Uint8Array {
    const frames: Uint8Array[] = [];
    const checkpoints: CheckpointPlace[] = [];
    let size = this.#size;
    let inputs = this.#inputs;
    const add = (frame: Uint8Array): void => {
      frames.push(frame);
      size += frame.length;
    };
    for (let at = 0; at < entries.length; ) {
      const entry = entries[at]!;
      if (entry.kind === 'checkpoint') {
        checkpoints.push({ inputs, offset: size });
        add(this.#checkpointFrame(entry, inputs));
        at += 1;
      } else {
        this.#out.clear();
        const taken = writeRecords(this.#out, this.#records, entries, at);
        add(encodeFrame(FRAME.records, this.#out.bytes));
        at = taken.next;
        inputs += taken.inputs;
      }
    }
    this.#size = size;
    this.#inputs = inputs;
    this.#checkpoints.push(...checkpoints);
    return frames.length === 1 ? frames[0]! : Buffer.concat(frames);
  }

  #checkpointFrame(entry: LogEntry & { kind: 'checkpoint' }, inputs: number): Uint8Array {
    const { checkpoint } = entry;
    checkPlace(checkpoint, inputs);
    this.#out.clear();
    writeCheckpoint(this.#out, checkpoint, this.#types.map(structEntry));
    return encodeFrame(FRAME.checkpoint, this.#out.bytes);
  }

  end(): Uint8Array {
    const index = { inputs: this.#inputs, checkpoints: this.#checkpoints };
    const bytes = encodeIndex(index, this.#size);
    this.#size += bytes.length;
    return bytes;
  }
}

const isSame = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

const namesOf = (structs: readonly StructEntry[]): string =>
  structs.length === 0 ? 'no structs' : structs.map(({ name }) => name).join(', ');

/** Reads the binary form. */
export class MclogDecoder implements LogDecoder {
  readonly form = 'mclog';
  readonly checkpoints: CheckpointPlace[] = [];
  inputs = 0;
  skippedCheckpoints = 0;
  version = 0;
  torn: TornTail | undefined;
  readonly #log: string;
  readonly #options: DecoderOptions;
  readonly #pending = new PendingBytes();
  readonly #reader = new ByteReader();
  #begun = false;
  #header: MclogHeader | undefined;
  #records: RecordReader | undefined;
  #types: readonly AnyStructType[] | undefined;
  #salvage: Salvage | undefined;
  /** Bytes before the first that was pushed. */
  #base = 0;

  /** @param log - what to call it in errors. */
  constructor(log: string, options: ReadLogOptions = {}) {
    this.#log = log;
    this.#options = withDefaults(options);
  }

  get header(): LogHeader | undefined {
    return this.#header?.header;
  }

  get misfit(): Misfit | undefined {
    const { schema, structs = [], upgrade } = this.#header ?? {};
    const isToday = upgrade === undefined && schema !== undefined;
    if (!isToday || !isSame(encodeSchema(schema), encodeSchema(SCHEMA))) return OLDER_LOG;
    const types = this.#options.structs.map(structEntry);
    if (isSame(structs, types)) return undefined;
    const [expected, found] = [namesOf(structs), namesOf(types)];
    return expected === found ? OLDER_LOG : { field: 'structs', expected, found };
  }

  /** Another reader of the same log that begins at one of its checkpoints. */
  at({ inputs, offset }: CheckpointPlace): MclogDecoder {
    const other = new MclogDecoder(this.#log, this.#options);
    other.version = this.version;
    other.inputs = inputs;
    other.#base = offset;
    other.#begun = true;
    other.#header = this.#header;
    other.#records = this.#records;
    other.#types = this.#types;
    return other;
  }

  push(chunk: Uint8Array, room = new Stretches()): readonly LogStretch[] {
    this.#pending.put(chunk);
    return this.#take(false, room.again());
  }

  finish(room = new Stretches()): readonly LogStretch[] {
    const stretches = this.#take(true, room.again());
    if (this.#header === undefined) {
      const found = this.#pending.offset + this.#pending.length === 0 ? 'nothing' : 'its end';
      throw new LogError(this.#log, this.#place(), undefined, 'a header', found);
    }
    const offset = this.#salvage?.offset;
    if (offset !== undefined) {
      this.torn = { offset, bytes: this.#base + this.#pending.offset - offset };
    }
    return stretches;
  }

  #place(within = 0): { byte: number } {
    return { byte: this.#base + this.#pending.offset + within };
  }

  #take(isEnd: boolean, into: Stretches): readonly LogStretch[] {
    if (this.#begun || this.#begin()) this.#takeFrames(isEnd, into);
    return into.finish();
  }

  #takeFrames(isEnd: boolean, into: Stretches): void {
    const pending = this.#pending;
    while (this.#salvage === undefined && pending.length > 0) {
      const framed = decodeFrame(pending.bytes);
      if (framed.is === 'short' && !isEnd) return;
      if (framed.is !== 'frame') {
        this.#damage(framed.is === 'short' ? 'a part of one' : framed.found);
        break;
      }
      this.#takeFrame(framed.type, framed.payload, into);
      pending.use(FRAME_HEAD_BYTES + framed.payload.length);
    }
    this.#salvage?.scan(pending, isEnd);
  }

  #damage(found: string): void {
    const { byte } = this.#place();
    if (this.#header === undefined) {
      throw new LogError(this.#log, { byte }, undefined, 'a header', found);
    }
    this.#salvage = new Salvage(this.#log, byte, found);
    this.#pending.use(1);
  }

  /** Whether the preamble is there. */
  #begin(): boolean {
    const { bytes, length } = this.#pending;
    if (length < PREAMBLE_BYTES) return false;
    this.version = this.#at(0, () => decodePreamble(bytes.subarray(0, PREAMBLE_BYTES)));
    this.#begun = true;
    this.#pending.use(PREAMBLE_BYTES);
    return true;
  }

  /** What goes wrong inside is an error of the log, at its place. */
  #at<T>(within: number, body: () => T): T {
    try {
      return body();
    } catch (error) {
      if (!(error instanceof EntryError)) throw error;
      throw error.in(this.#log, this.#place(within + error.offset));
    }
  }

  #takeFrame(type: number, payload: Uint8Array, into: Stretches): void {
    this.#at(FRAME_HEAD_BYTES, () => {
      if (this.#header === undefined) this.#takeHeader(type, payload);
      else if (type === FRAME.records) {
        const { upgrade } = this.#header;
        this.inputs += readRecords(this.#reader.over(payload), this.#records!, upgrade, into);
      } else if (type === FRAME.checkpoint) this.#takeCheckpoint(payload, into);
      else if (type !== FRAME.index && type !== FRAME.end) {
        throw new EntryError(undefined, 'a frame of a known type', `type ${type}`);
      }
    });
  }

  #takeHeader(type: number, payload: Uint8Array): void {
    if (type !== FRAME.header) {
      throw new EntryError(undefined, 'the header', `a frame of type ${type}`);
    }
    const { structs, upgrades } = this.#options;
    this.#header = decodeMclogHeader(payload, this.version, upgrades);
    this.#records = new RecordReader(this.#header.schema);
    const isCurrent = this.#header.upgrade === undefined;
    this.#types = isCurrent ? knownTypes(this.#header.structs, structs) : undefined;
  }

  #takeCheckpoint(payload: Uint8Array, into: Stretches): void {
    if (this.#types === undefined) {
      this.skippedCheckpoints += 1;
      return;
    }
    const checkpoint = readCheckpoint(this.#reader.over(payload), this.#types);
    if (checkpoint.inputs !== this.inputs) {
      const expected = `a checkpoint after ${this.inputs} inputs`;
      throw new EntryError(undefined, expected, `one after ${checkpoint.inputs}`);
    }
    this.checkpoints.push({ inputs: this.inputs, offset: this.#place().byte });
    into.add({ kind: 'checkpoint', checkpoint });
  }
}
