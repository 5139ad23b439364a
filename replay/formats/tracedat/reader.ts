/**
 * Reads the bookkeeping parts of a trace.dat front to back: numbers, strings and runs of bytes.
 *
 * The same reader serves a file (version 6 is one long sequence) and a section decompressed into
 * memory (version 7), so each part of the format is parsed by one piece of code. Every size that
 * the file claims is checked against what is there, and against a limit, before memory is taken.
 */
import type { RandomAccess } from '../bytes.ts';
import { FormatError } from '../error.ts';

const WINDOW_BYTES = 1 << 16;

/** The largest section or decompressed chunk that is taken for real. */
export const SECTION_BYTES_MAX = 64 << 20;

const latin1 = new TextDecoder('latin1');

export interface ReaderOptions {
  readonly little: boolean;
  /** First byte to read; default 0. */
  readonly at?: number;
  /** One past the last byte; default the end of the input. */
  readonly end?: number;
  /** The file offset that messages name, where the bytes were decompressed from there. */
  readonly origin?: number;
}

export class Reader {
  readonly little: boolean;
  readonly end: number;
  readonly #bytes: RandomAccess;
  readonly #origin: number | undefined;
  #window = new Uint8Array(0);
  #view = new DataView(this.#window.buffer);
  #windowAt = 0;
  #windowLength = 0;
  #at: number;

  constructor(bytes: RandomAccess, { little, at = 0, end = bytes.size, origin }: ReaderOptions) {
    this.#bytes = bytes;
    this.little = little;
    this.end = Math.min(end, bytes.size);
    this.#at = at;
    this.#origin = origin;
  }

  /** What messages call the input. */
  get name(): string {
    return this.#bytes.name;
  }

  /** Where the next byte stands. */
  get at(): number {
    return this.#at;
  }

  /** The file offset to name in messages about what begins at `at`. */
  place(at: number = this.#at): number {
    return this.#origin ?? at;
  }

  get left(): number {
    return Math.max(0, this.end - this.#at);
  }

  error(expected: string, found: string, at: number = this.#at): FormatError {
    return new FormatError(this.#bytes.name, { byte: this.place(at) }, expected, found);
  }

  async u8(what: string): Promise<number> {
    const from = await this.#ready(1, what);
    return this.#view.getUint8(from);
  }

  async u16(what: string): Promise<number> {
    const from = await this.#ready(2, what);
    return this.#view.getUint16(from, this.little);
  }

  async u32(what: string): Promise<number> {
    const from = await this.#ready(4, what);
    return this.#view.getUint32(from, this.little);
  }

  async u64(what: string): Promise<bigint> {
    const from = await this.#ready(8, what);
    return this.#view.getBigUint64(from, this.little);
  }

  /** A 64-bit offset or size; what no file can have is an error. */
  async offset(what: string): Promise<number> {
    const value = await this.u64(what);
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) {
      throw this.error(`${what} within the file`, `${value}`, this.#at - 8);
    }
    return Number(value);
  }

  /** The next `length` bytes, in memory of their own. */
  async take(length: number, what: string, limit = SECTION_BYTES_MAX): Promise<Uint8Array> {
    this.#check(length, what);
    if (length > limit) throw this.error(`${what} of at most ${limit} bytes`, `${length} bytes`);
    const bytes = new Uint8Array(length);
    const count = await this.#bytes.readInto(bytes, 0, length, this.#at);
    if (count < length) throw this.#ends(what, length);
    this.#at += length;
    return bytes;
  }

  async text(length: number, what: string, limit?: number): Promise<string> {
    return latin1.decode(await this.take(length, what, limit));
  }

  /** Text up to a NUL byte, which is consumed. */
  async cstring(what: string, limit = 4096): Promise<string> {
    let text = '';
    for (;;) {
      const from = await this.#ready(1, what);
      const bytes = this.#window.subarray(from, this.#windowLength);
      const length = bytes.indexOf(0);
      text += latin1.decode(length < 0 ? bytes : bytes.subarray(0, length));
      if (text.length > limit) {
        throw this.error(`${what} of at most ${limit} characters`, 'a longer text');
      }
      this.#at += length < 0 ? bytes.length - 1 : length;
      if (length >= 0) return text;
    }
  }

  skip(length: number, what: string): void {
    this.#check(length, what);
    this.#at += length;
  }

  /** Brings the next `length` bytes into the (possibly new) window, consumes them, says where. */
  async #ready(length: number, what: string): Promise<number> {
    this.#check(length, what);
    let from = this.#at - this.#windowAt;
    if (from < 0 || from + length > this.#windowLength) {
      const wanted = Math.min(WINDOW_BYTES, this.left);
      if (this.#window.length < wanted) {
        this.#window = new Uint8Array(wanted);
        this.#view = new DataView(this.#window.buffer);
      }
      this.#windowAt = this.#at;
      this.#windowLength = await this.#bytes.readInto(this.#window, 0, wanted, this.#at);
      if (this.#windowLength < length) throw this.#ends(what, length);
      from = 0;
    }
    this.#at += length;
    return from;
  }

  #check(length: number, what: string): void {
    if (length > this.left) throw this.#ends(what, length);
  }

  #ends(what: string, length: number): FormatError {
    const where = this.#origin === undefined ? 'the file' : 'the section';
    const bytes = length === 1 ? '1 byte' : `${length} bytes`;
    return this.error(`${what} (${bytes})`, `the end of ${where} after ${this.left} more`);
  }
}
