/**
 * A stretch of a file read front to back, a limited part of it in memory at a time.
 *
 * Each CPU of a recording has one. Reading ahead saves waiting: a chunk of ten compressed pages is
 * only some thousand bytes. What all windows and decompressed pages of a recording hold together
 * is limited, whatever sizes the file claims.
 */
import type { RandomAccess } from '../bytes.ts';
import { FormatError } from '../error.ts';

/** Memory for all windows and pages of a recording. */
const MEMORY_BYTES_MAX = 256 << 20;
/** Memory for reading ahead, shared by all CPUs; and the least and the most that one gets. */
const AHEAD_BYTES = 16 << 20;
const AHEAD_BYTES_LEAST = 1 << 16;
const AHEAD_BYTES_MOST = 1 << 18;

/** The memory that a recording's pages may take. */
export class PageMemory {
  /** Bytes that one CPU reads ahead. */
  readonly ahead: number;
  #used = 0;

  /** @param cpus CPUs with data */
  constructor(cpus: number) {
    const share = Math.floor(AHEAD_BYTES / Math.max(1, cpus));
    this.ahead = Math.min(AHEAD_BYTES_MOST, Math.max(AHEAD_BYTES_LEAST, share));
  }

  /** Accounts for `length` bytes in place of `before`; false where that is too much. */
  replace(before: number, length: number): boolean {
    const used = this.#used - before + length;
    if (used > MEMORY_BYTES_MAX) return false;
    this.#used = used;
    return true;
  }

  /** The error to throw where `replace` says no. */
  exceeded(input: string, byte: number, length: number): FormatError {
    const expected = `pages that fit in ${MEMORY_BYTES_MAX} bytes for all CPUs`;
    return new FormatError(input, { byte }, expected, `${length} bytes more`);
  }
}

export class FileWindow {
  /** File offset of the next byte. */
  at: number;
  readonly end: number;
  readonly #bytes: RandomAccess;
  readonly #memory: PageMemory;
  #buffer = new Uint8Array(0);
  #bufferAt = 0;
  #bufferLength = 0;

  /** The part of `bytes` from `at` up to `end`, or to the end of the file. */
  constructor(bytes: RandomAccess, at: number, end: number, memory: PageMemory) {
    this.at = Math.min(at, bytes.size);
    this.end = Math.min(end, bytes.size);
    this.#bytes = bytes;
    this.#memory = memory;
  }

  get left(): number {
    return this.end - this.at;
  }

  /**
   * The next `length` bytes, which are consumed; valid until the next call. `undefined` where
   * there are not that many. @throws FormatError where they would take too much memory.
   */
  async take(length: number): Promise<Uint8Array | undefined> {
    if (length > this.left) return undefined;
    const from = this.at - this.#bufferAt;
    if (from < 0 || from + length > this.#bufferLength) {
      await this.#read(length);
      if (this.#bufferLength < length) return undefined;
    }
    const start = this.at - this.#bufferAt;
    this.at += length;
    return this.#buffer.subarray(start, start + length);
  }

  /** Passes over `length` bytes; false where there are not that many. */
  skip(length: number): boolean {
    if (length > this.left) return false;
    this.at += length;
    return true;
  }

  /** Gives the memory back. */
  release(): void {
    this.#memory.replace(this.#buffer.length, 0);
    this.#buffer = new Uint8Array(0);
    this.#bufferLength = 0;
    this.at = this.end;
  }

  async #read(length: number): Promise<void> {
    const wanted = Math.min(this.left, Math.max(length, this.#memory.ahead));
    if (this.#buffer.length < wanted) {
      if (!this.#memory.replace(this.#buffer.length, wanted)) {
        throw this.#memory.exceeded(this.#bytes.name, this.at, wanted);
      }
      this.#buffer = new Uint8Array(wanted);
    }
    this.#bufferAt = this.at;
    this.#bufferLength = await this.#bytes.readInto(this.#buffer, 0, wanted, this.at);
  }
}
