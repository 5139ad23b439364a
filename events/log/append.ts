/**
 * Appends to a log in a file.
 *
 * What `append` has returned from is acknowledged: a process that is killed afterwards, at any point,
 * does not lose it (`written`: the kernel has it), nor does a host that loses power (`synced`: the
 * disk has it). What was being written then is cut when the log is opened again, and no more.
 */
import {
  closeSync,
  existsSync,
  fdatasyncSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { describeErrno } from '../errno.ts';
import type { LogDecoder } from './decoder.ts';
import type { LogEncoder, LogSoFar } from './encoder.ts';
import type { LogEntry, LogHeader, TornTail } from './entry.ts';
import { EntryError, LogError, LogWriteError } from './error.ts';
import type { StructTypes } from './json-entry.ts';
import { JsonlDecoder, JsonlEncoder } from './jsonl.ts';
import { MclogDecoder, MclogEncoder } from './mclog.ts';
import { lengthOf } from './stretch.ts';

/** When an entry counts as there: the kernel has it, or the disk. */
export type Acknowledge = 'written' | 'synced';

/** How a log is written. */
export interface LogWriterOptions {
  readonly header: LogHeader;
  readonly form: 'jsonl' | 'mclog';
  /** Default `written`. */
  readonly acknowledge?: Acknowledge;
  /** Types of the structs of checkpoints. */
  readonly structs?: StructTypes;
}

/** What was acknowledged. */
export interface Acknowledged {
  /** Inputs of the whole log. */
  readonly inputs: number;
  /** Entries of the whole log. */
  readonly entries: number;
  /** Its size, bytes. */
  readonly size: number;
  readonly by: Acknowledge;
}

const READ_BYTES = 1 << 20;
const NEW: LogSoFar = { size: 0, inputs: 0, checkpoints: [] };

/** What an existing file holds. */
interface Existing {
  readonly decoder: LogDecoder;
  readonly soFar: LogSoFar;
  readonly entries: number;
  /** The last line has no end yet. */
  readonly endsOpen: boolean;
}

/** Writes a log to a file. One writer at a time. */
export class LogWriter {
  readonly path: string;
  /** What was cut from the end when the log was opened. */
  readonly cut: TornTail | undefined;
  readonly #fd: number;
  readonly #by: Acknowledge;
  readonly #encoder: LogEncoder;
  #size: number;
  #inputs: number;
  #entries: number;
  #state: 'open' | 'closed' | 'broken' = 'open';

  /**
   * Opens a log to go on with it, or begins one.
   *
   * @throws LogWriteError when the file can't be written, and none is left that was not there; LogError
   * when it is another log or damaged, or of an older version (`masterclock convert` brings it up to date).
   */
  constructor(path: string, options: LogWriterOptions) {
    this.path = path;
    this.#by = options.acknowledge ?? 'written';
    const isNew = !existsSync(path);
    try {
      this.#fd = openSync(path, isNew ? 'wx+' : 'r+');
    } catch (error) {
      const found = describeErrno(error, 'written');
      throw new LogWriteError(path, undefined, undefined, 'a file to write to', found);
    }
    try {
      const begin = encoderOf(options, NEW).begin();
      const existing = this.#read(options, begin);
      this.cut = existing?.decoder.torn;
      this.#size = existing?.soFar.size ?? 0;
      this.#inputs = existing?.soFar.inputs ?? 0;
      this.#entries = existing?.entries ?? 0;
      this.#encoder = encoderOf(options, existing?.soFar ?? { ...NEW, size: begin.length });
      if (existing === undefined || this.cut !== undefined) ftruncateSync(this.#fd, this.#size);
      if (existing === undefined) this.#write(begin);
      else if (existing.endsOpen) this.#write(Uint8Array.of(0x0a));
      if (isNew && this.#by === 'synced') syncFolder(dirname(path));
    } catch (error) {
      this.#end('broken');
      if (isNew) unlinkSync(path);
      throw error;
    }
  }

  /** Inputs of the whole log. */
  get inputs(): number {
    return this.#inputs;
  }

  /** Entries of the whole log, but for checkpoints whose structs the writer was not told of. */
  get entries(): number {
    return this.#entries;
  }

  /**
   * Appends some entries; when it returns they are acknowledged, all of them.
   *
   * What could not be read again is refused; whether an input can have happened is the world's to say.
   *
   * @throws LogError when they can't be read again, and the log is as it was before; LogWriteError when
   * they can't be written: the log is as it was, as far as it can be cut, and this writer has ended.
   */
  append(entries: readonly LogEntry[]): Acknowledged {
    if (this.#state !== 'open') {
      const found = this.#state === 'closed' ? 'a closed one' : 'one whose writing failed';
      throw new LogError(this.path, undefined, undefined, 'an open log', found);
    }
    if (entries.length > 0) {
      let bytes: Uint8Array;
      try {
        bytes = this.#encoder.encode(entries);
      } catch (error) {
        throw error instanceof EntryError ? error.in(this.path, undefined) : error;
      }
      this.#write(bytes);
      this.#entries += entries.length;
      this.#inputs += entries.reduce((sum, { kind }) => sum + (kind === 'input' ? 1 : 0), 0);
    }
    return { inputs: this.#inputs, entries: this.#entries, size: this.#size, by: this.#by };
  }

  /**
   * Ends the log in peace: a binary one gets its index. Where writing failed there is nothing to do.
   *
   * @throws LogWriteError when the index can't be written; the log is closed without it.
   */
  close(): void {
    if (this.#state !== 'open') return;
    const end = this.#encoder.end();
    if (end.length > 0) this.#write(end);
    this.#end('closed');
  }

  #end(state: 'closed' | 'broken'): void {
    if (this.#state !== 'open') return;
    this.#state = state;
    closeSync(this.#fd);
  }

  /**
   * Writes all of it at the log's end, or nothing.
   *
   * What was encoded and not written cannot be told apart from what was: where it fails the writer ends.
   */
  #write(bytes: Uint8Array): void {
    const found = fstatSync(this.#fd).size;
    if (found !== this.#size) {
      this.#end('broken');
      const expected = `${this.#size} bytes, as this writer left it`;
      throw new LogWriteError(this.path, undefined, undefined, expected, `${found}`);
    }
    try {
      for (let done = 0; done < bytes.length; ) {
        done += writeSync(this.#fd, bytes, done, bytes.length - done, this.#size + done);
      }
      if (this.#by === 'synced') fdatasyncSync(this.#fd);
    } catch (error) {
      this.#cutBack();
      this.#end('broken');
      const at = { byte: this.#size };
      const why = describeErrno(error, 'written');
      throw new LogWriteError(this.path, at, undefined, 'room to write', why);
    }
    this.#size += bytes.length;
  }

  /** A part that stays is a torn tail, which is cut when the log is opened again. */
  #cutBack(): void {
    try {
      ftruncateSync(this.#fd, this.#size);
    } catch {
      // The error that led here says what is wrong.
    }
  }

  /** What the file holds; undefined when it is empty or did not get further than its beginning. */
  #read(options: LogWriterOptions, begin: Uint8Array): Existing | undefined {
    const { size } = fstatSync(this.#fd);
    if (size < begin.length && this.#isPrefix(begin, size)) return undefined;
    const reading = options.structs === undefined ? {} : { structs: options.structs };
    const decoder =
      options.form === 'mclog'
        ? new MclogDecoder(this.path, reading)
        : new JsonlDecoder(this.path, reading);
    const chunk = new Uint8Array(READ_BYTES);
    let last = 0;
    let entries = 0;
    for (let at = 0; ; ) {
      const count = readSync(this.#fd, chunk, 0, chunk.length, at);
      if (count === 0) break;
      for (const stretch of decoder.push(chunk.subarray(0, count))) entries += lengthOf(stretch);
      last = chunk[count - 1]!;
      at += count;
    }
    for (const stretch of decoder.finish()) entries += lengthOf(stretch);
    this.#checkSame(decoder, options);
    const { torn, inputs, checkpoints } = decoder;
    return {
      decoder,
      soFar: { size: torn?.offset ?? size, inputs, checkpoints },
      entries,
      endsOpen: options.form === 'jsonl' && torn === undefined && last !== 0x0a,
    };
  }

  #isPrefix(begin: Uint8Array, size: number): boolean {
    const head = new Uint8Array(size);
    const count = readSync(this.#fd, head, 0, size, 0);
    return head.subarray(0, count).every((byte, i) => byte === begin[i]);
  }

  #checkSame(decoder: LogDecoder, options: LogWriterOptions): void {
    const fail = (field: string | undefined, expected: string, found: string): never => {
      throw new LogError(this.path, undefined, field, expected, found);
    };
    const { header, misfit } = decoder;
    if (misfit !== undefined) fail(misfit.field, misfit.expected, misfit.found);
    for (const field of ['profile', 'switches', 'host', 'options'] as const) {
      const isSame =
        header !== undefined && textOf(header[field]) === textOf(options.header[field]);
      if (!isSame) fail(field, 'that of the log to go on with', 'another');
    }
  }
}

const encoderOf = (
  { form, header, structs = [] }: LogWriterOptions,
  soFar: LogSoFar,
): LogEncoder =>
  form === 'mclog' ? new MclogEncoder(header, structs, soFar) : new JsonlEncoder(header, soFar);

/** JSON in which the order of members does not matter. */
const textOf = (value: unknown): string =>
  JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );

/** The name of a new file is on the disk when its folder is. */
function syncFolder(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
