/**
 * A stretch of a file read front to back, a limited part of it in memory at a time.
 *
 * Each CPU of a recording has one. Reading ahead saves waiting: a chunk of ten compressed pages is
 * only some thousand bytes, and what follows is read while these are worked on. What all windows and decompressed pages of a recording hold together
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
/** What is not used up may be so much for the bytes read ahead to be joined to it. */
const REST_BYTES = 1 << 16;

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

/** Bytes being read that stand behind those of a window. */
interface Ahead {
  readonly memory: Uint8Array;
  readonly count: Promise<number>;
}

const NOTHING = new Uint8Array(0);

export class FileWindow {
  /** File offset of the next byte. */
  at: number;
  readonly end: number;
  readonly #bytes: RandomAccess;
  readonly #memory: PageMemory;
  /** What is in memory, from file offset `#bufferAt` on. */
  #buffer: Uint8Array = NOTHING;
  #bufferAt = 0;
  /** What comes behind it, being read. */
  #ahead: Ahead | undefined;
  #readsAhead: boolean;
  /** The memory in which the buffer stands, and some that is not in use. */
  #inUse: Uint8Array = NOTHING;
  #spare: Uint8Array = NOTHING;

  /** The part of `bytes` from `at` up to `end`, or to the end of the file. */
  constructor(bytes: RandomAccess, at: number, end: number, memory: PageMemory) {
    this.at = Math.min(at, bytes.size);
    this.end = Math.min(end, bytes.size);
    this.#bytes = bytes;
    this.#memory = memory;
    this.#readsAhead = memory.ahead > AHEAD_BYTES_LEAST;
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
    if (from < 0 || from + length > this.#buffer.length) {
      if (!(await this.#moveOn(length))) await this.#read(length);
      if (this.#buffer.length < length) return undefined;
      if (this.#readsAhead) this.#readAhead();
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
    for (const { length } of [this.#inUse, this.#spare, this.#ahead?.memory ?? NOTHING]) {
      this.#memory.replace(length, 0);
    }
    this.#buffer = NOTHING;
    this.#inUse = NOTHING;
    this.#spare = NOTHING;
    this.#ahead = undefined;
    this.at = this.end;
  }

  /** Reads at least `length` bytes where the window stands, now. */
  async #read(length: number): Promise<void> {
    const wanted = Math.min(this.left, Math.max(length, this.#memory.ahead));
    this.#buffer = NOTHING;
    this.#inUse = this.#enlarge(this.#inUse, REST_BYTES + wanted) ?? this.#inUse;
    if (this.#inUse.length < REST_BYTES + wanted) {
      throw this.#memory.exceeded(this.#bytes.name, this.at, wanted);
    }
    const count = await this.#bytes.readInto(this.#inUse, REST_BYTES, wanted, this.at);
    this.#setBuffer(REST_BYTES, REST_BYTES + count);
  }

  /** Begins to read what comes behind the buffer, if there is memory for it. */
  #readAhead(): void {
    const position = this.#bufferAt + this.#buffer.length;
    const wanted = Math.min(this.end - position, this.#memory.ahead);
    if (wanted <= 0) return;
    const memory = this.#enlarge(this.#spare, REST_BYTES + wanted);
    if (memory === undefined) return;
    this.#spare = NOTHING;
    const count = this.#bytes.readInto(memory, REST_BYTES, wanted, position);
    // A failure shows when these bytes are asked for; until then nobody waits for them.
    count.catch(() => {});
    this.#ahead = { memory, count };
  }

  /** Goes on to what was read ahead; false where that does not hold the next `length` bytes. */
  async #moveOn(length: number): Promise<boolean> {
    if (this.#ahead === undefined) return false;
    const { memory, count: arriving } = this.#ahead;
    const count = await arriving;
    this.#ahead = undefined;
    const rest = this.#bufferAt + this.#buffer.length - this.at;
    if (rest < 0 || rest > REST_BYTES || rest + count < length) {
      // What is taken from here is too large for this to be of use.
      this.#readsAhead = false;
      this.#spare = memory;
      return false;
    }
    memory.set(this.#buffer.subarray(this.#buffer.length - rest), REST_BYTES - rest);
    this.#spare = this.#inUse;
    this.#inUse = memory;
    this.#setBuffer(REST_BYTES - rest, REST_BYTES + count);
    return true;
  }

  /** The window goes on with these bytes of the memory in use. */
  #setBuffer(from: number, to: number): void {
    this.#buffer = this.#inUse.subarray(from, to);
    this.#bufferAt = this.at;
  }

  /** `memory`, or larger one in its place; `undefined` where that would be too much. */
  #enlarge(memory: Uint8Array, length: number): Uint8Array | undefined {
    if (memory.length >= length) return memory;
    return this.#memory.replace(memory.length, length) ? new Uint8Array(length) : undefined;
  }
}
