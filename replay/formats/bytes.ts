import { randomUUID } from 'node:crypto';
import { readSync } from 'node:fs';
import { type FileHandle, open as openFile, unlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describeErrno } from '../../events/errno.ts';
import { FormatError } from './error.ts';

/** A piece of a file: read while the one before it is being worked on. */
const READ_AHEAD_BYTES = 1 << 20;

/** Bytes that can be read anywhere: a file. */
export interface RandomAccess {
  readonly name: string;
  readonly size: number;
  /** Reads up to `length` bytes at `position` into `target`; fewer only at the end. */
  readInto(target: Uint8Array, offset: number, length: number, position: number): Promise<number>;
  close(): Promise<void>;
}

/** Bytes in order: a file, a pipe or stdin. */
export interface ByteStream {
  readonly name: string;
  /** Reads up to `length` bytes into `target`; 0 at the end. */
  readInto(target: Uint8Array, offset: number, length: number): Promise<number>;
  close(): Promise<void>;
}

/** A file opened for reading at any place. */
export class FileBytes implements RandomAccess {
  readonly name: string;
  readonly size: number;
  readonly #file: FileHandle;

  constructor(name: string, file: FileHandle, size: number) {
    this.name = name;
    this.#file = file;
    this.size = size;
  }

  async readInto(
    target: Uint8Array,
    offset: number,
    length: number,
    position: number,
  ): Promise<number> {
    let done = 0;
    while (done < length) {
      const at = position + done;
      const { bytesRead } = await this.#file
        .read(target, offset + done, length - done, at)
        .catch((error: unknown) => {
          throw new FormatError(this.name, { byte: at }, 'data', describeErrno(error));
        });
      if (bytesRead === 0) break;
      done += bytesRead;
    }
    return done;
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}

/** Bytes in memory, for tests and for embedding. */
export class MemoryBytes implements RandomAccess {
  readonly name: string;
  readonly size: number;
  readonly #bytes: Uint8Array;

  constructor(name: string, bytes: Uint8Array) {
    this.name = name;
    this.#bytes = bytes;
    this.size = bytes.length;
  }

  async readInto(
    target: Uint8Array,
    offset: number,
    length: number,
    position: number,
  ): Promise<number> {
    const part = this.#bytes.subarray(position, position + length);
    target.set(part, offset);
    return part.length;
  }

  async close(): Promise<void> {}
}

/** A file read from its beginning to its end, one piece ahead of whoever reads it. */
export class SequentialBytes implements ByteStream {
  readonly name: string;
  readonly #bytes: RandomAccess;
  #ahead = new Uint8Array(READ_AHEAD_BYTES);
  /** The piece under way: how much of it there will be. */
  #arriving: Promise<number> | undefined;
  /** The piece at hand: what of it is not handed out yet. */
  #piece = new Uint8Array(READ_AHEAD_BYTES);
  #used = 0;
  #filled = 0;
  #position = 0;

  constructor(bytes: RandomAccess) {
    this.name = bytes.name;
    this.#bytes = bytes;
  }

  async readInto(target: Uint8Array, offset: number, length: number): Promise<number> {
    if (this.#used === this.#filled) await this.#next();
    const count = Math.min(length, this.#filled - this.#used);
    target.set(this.#piece.subarray(this.#used, this.#used + count), offset);
    this.#used += count;
    return count;
  }

  async close(): Promise<void> {
    await this.#arriving?.catch(() => 0);
    await this.#bytes.close();
  }

  async #next(): Promise<void> {
    this.#arriving ??= this.#fetch();
    this.#filled = await this.#arriving;
    this.#used = 0;
    [this.#piece, this.#ahead] = [this.#ahead, this.#piece];
    this.#arriving = this.#filled > 0 ? this.#fetch() : undefined;
    // A failure shows when the piece is asked for; until then nobody waits for it.
    this.#arriving?.catch(() => {});
  }

  async #fetch(): Promise<number> {
    const count = await this.#bytes.readInto(this.#ahead, 0, READ_AHEAD_BYTES, this.#position);
    this.#position += count;
    return count;
  }
}

/**
 * A file in a thread that has nothing else to do: each read waits for its bytes. The descriptor is
 * another thread's, which closes it.
 */
export class DescriptorBytes implements RandomAccess {
  readonly name: string;
  readonly size: number;
  readonly #fd: number;

  constructor(name: string, fd: number, size: number) {
    this.name = name;
    this.size = size;
    this.#fd = fd;
  }

  async readInto(
    target: Uint8Array,
    offset: number,
    length: number,
    position: number,
  ): Promise<number> {
    let done = 0;
    while (done < length) {
      const count = this.#readOnce(target, offset + done, length - done, position + done);
      if (count === 0) break;
      done += count;
    }
    return done;
  }

  /** The same as a stream, which puts its bytes where they are wanted. */
  get stream(): ByteStream {
    let position = 0;
    return {
      name: this.name,
      readInto: async (target, offset, length) => {
        const count = this.#readOnce(target, offset, length, position);
        position += count;
        return count;
      },
      close: () => this.close(),
    };
  }

  async close(): Promise<void> {}

  #readOnce(target: Uint8Array, offset: number, length: number, position: number): number {
    try {
      return readSync(this.#fd, target, offset, length, position);
    } catch (error) {
      throw new FormatError(this.name, { byte: position }, 'data', describeErrno(error));
    }
  }
}

/** A pipe: chunks as they come, with those already looked at first. */
export class PipeBytes implements ByteStream {
  readonly name: string;
  readonly #chunks: AsyncIterator<Uint8Array>;
  #rest: Uint8Array = new Uint8Array(0);

  constructor(name: string, chunks: AsyncIterable<Uint8Array>) {
    this.name = name;
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /** Looks at the first `length` bytes (fewer if there are no more) without consuming them. */
  async peek(length: number): Promise<Uint8Array> {
    while (this.#rest.length < length) {
      const { done, value } = await this.#next();
      if (done) break;
      const joined = new Uint8Array(this.#rest.length + value.length);
      joined.set(this.#rest);
      joined.set(value, this.#rest.length);
      this.#rest = joined;
    }
    return this.#rest.subarray(0, length);
  }

  async readInto(target: Uint8Array, offset: number, length: number): Promise<number> {
    while (this.#rest.length === 0) {
      const { done, value } = await this.#next();
      if (done) return 0;
      this.#rest = value;
    }
    const part = this.#rest.subarray(0, length);
    target.set(part, offset);
    this.#rest = this.#rest.subarray(part.length);
    return part.length;
  }

  async close(): Promise<void> {
    await this.#chunks.return?.();
  }

  async #next(): Promise<IteratorResult<Uint8Array>> {
    try {
      return await this.#chunks.next();
    } catch (error) {
      throw new FormatError(this.name, undefined, 'data', describeErrno(error));
    }
  }
}

/**
 * Copies a stream to a temporary file that vanishes with the process: trace.dat keeps each CPU's
 * events in a place of their own, so they can't be merged from a pipe.
 */
export async function spool(stream: ByteStream): Promise<RandomAccess> {
  try {
    return await copyToTemporary(stream);
  } catch (error) {
    if (error instanceof FormatError) throw error;
    const found = `${describeErrno(error)} in ${tmpdir()}`;
    throw new FormatError(stream.name, undefined, 'room for a copy of the recording', found);
  }
}

async function copyToTemporary(stream: ByteStream): Promise<RandomAccess> {
  const path = join(tmpdir(), `masterclock-${randomUUID()}`);
  const file = await openFile(path, 'wx+', 0o600);
  await unlink(path);
  const chunk = new Uint8Array(1 << 20);
  let size = 0;
  for (;;) {
    const count = await stream.readInto(chunk, 0, chunk.length);
    if (count === 0) break;
    for (let written = 0; written < count; ) {
      const { bytesWritten } = await file.write(chunk, written, count - written, size + written);
      written += bytesWritten;
    }
    size += count;
  }
  await stream.close();
  return new FileBytes(stream.name, file, size);
}
