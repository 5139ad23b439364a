/** Opens logs: the content tells the form, never the name. */
import type { CheckpointPlace, LogDecoder, ReadLogOptions } from './decoder.ts';
import type { LogEntry, LogHeader, TornTail } from './entry.ts';
import { LogError } from './error.ts';
import { FRAME_HEAD_BYTES, MAX_FRAME_BYTES } from './frame.ts';
import { JsonlDecoder } from './jsonl.ts';
import { isJsonl, isMclog } from './magic.ts';
import { MclogDecoder } from './mclog.ts';
import { decodeIndex, END_BYTES, indexOffset, type LogIndex } from './mclog-index.ts';
import { entriesOf, type LogStretch, Stretches } from './stretch.ts';

/** Bytes of a log that can be read anywhere: a file, or memory. */
export interface LogBytes {
  /** What to call the log in errors. */
  readonly name: string;
  readonly size: number;
  /** Reads up to `length` bytes at `position` into `target`; fewer only at the end. */
  readInto(target: Uint8Array, offset: number, length: number, position: number): Promise<number>;
}

/** How a log is opened. */
export interface OpenLogOptions extends ReadLogOptions {
  /** How much is read at once, bytes; it makes no difference to what is read. */
  readonly chunkBytes?: number;
}

/** What is known of a log when all of it was read. */
export interface LogEnd {
  readonly inputs: number;
  readonly torn: TornTail | undefined;
  /** Checkpoints that could not be used, because structs are laid out otherwise today. */
  readonly skippedCheckpoints: number;
}

/** A log that was opened. */
export interface OpenedLog {
  readonly name: string;
  readonly form: 'jsonl' | 'mclog';
  /** As it stands in the log; entries are delivered as today's. */
  readonly version: number;
  readonly header: LogHeader;
  /** Where its checkpoints stand, if it says so. */
  readonly index: LogIndex | undefined;
  /**
   * All of it in order, some at once, from the beginning or from a checkpoint on. Batches are valid
   * until more is asked for; the inputs that one takes out of them stay.
   *
   * @throws LogError where the log is damaged.
   */
  stretches(from?: CheckpointPlace): AsyncGenerator<readonly LogStretch[], LogEnd>;
  /** The same entry by entry, for where there are not millions of them. */
  entries(from?: CheckpointPlace): AsyncGenerator<readonly LogEntry[], LogEnd>;
}

const CHUNK_BYTES = 1 << 20;
/** What is decoded at once: its entries are used, and gone, before a collector has to keep them. */
const PIECE_BYTES = 1 << 18;
/** What is read at once until the header is there: what is damaged further on may never be asked for. */
const HEADER_BYTES = 1 << 16;
const HEAD_BYTES = 16;

const decoderOf = (name: string, head: Uint8Array, options: ReadLogOptions): LogDecoder => {
  if (isMclog(head)) return new MclogDecoder(name, options);
  if (isJsonl(head)) return new JsonlDecoder(name, options);
  throw new LogError(
    name,
    undefined,
    undefined,
    'a log',
    head.length === 0 ? 'an empty file' : 'something else',
  );
};

async function bytesAt(bytes: LogBytes, position: number, length: number): Promise<Uint8Array> {
  const chunk = new Uint8Array(length);
  return chunk.subarray(0, await bytes.readInto(chunk, 0, length, position));
}

async function readIndex(bytes: LogBytes): Promise<LogIndex | undefined> {
  if (bytes.size < END_BYTES) return undefined;
  const endAt = bytes.size - END_BYTES;
  const offset = indexOffset(await bytesAt(bytes, endAt, END_BYTES));
  if (offset === undefined || offset >= endAt) return undefined;
  // An end frame may say anything; an index is one frame, and no more is made room for.
  if (endAt - offset > FRAME_HEAD_BYTES + MAX_FRAME_BYTES) return undefined;
  return decodeIndex(await bytesAt(bytes, offset, endAt - offset));
}

/** The bytes from a position on, in chunks that are valid until the next: it is read meanwhile. */
async function* chunksOf(
  bytes: LogBytes,
  position: number,
  chunkBytes: number,
): AsyncGenerator<Uint8Array> {
  let chunk = new Uint8Array(chunkBytes);
  let other = new Uint8Array(chunkBytes);
  let reading = bytes.readInto(chunk, 0, chunkBytes, position);
  try {
    for (let at = position; ; ) {
      const count = await reading;
      if (count === 0) return;
      at += count;
      reading = bytes.readInto(other, 0, chunkBytes, at);
      // What goes wrong is told where it is awaited, and to nobody who does not read so far.
      reading.catch(() => undefined);
      yield chunk.subarray(0, count);
      [chunk, other] = [other, chunk];
    }
  } finally {
    // Who stops may close the file.
    await reading.catch(() => undefined);
  }
}

/** What `decode` came to; what it had read before an error comes before the error. */
function* decoded(
  room: Stretches,
  decode: () => readonly LogStretch[],
): Generator<readonly LogStretch[]> {
  let some: readonly LogStretch[];
  try {
    some = decode();
  } catch (error) {
    const before = room.finish();
    if (before.length > 0) yield before;
    throw error;
  }
  if (some.length > 0) yield some;
}

/** Reads on until the header is there. */
async function readHeader(
  bytes: LogBytes,
  decoder: LogDecoder,
  chunkBytes: number,
): Promise<LogHeader> {
  for (let at = 0; decoder.header === undefined; ) {
    const chunk = await bytesAt(bytes, at, chunkBytes);
    if (chunk.length === 0) decoder.finish();
    else decoder.push(chunk);
    at += chunk.length;
  }
  return decoder.header;
}

/**
 * Opens a log.
 *
 * @throws LogError when it is none, is damaged where it begins, or has a newer version.
 */
export async function openLog(bytes: LogBytes, options: OpenLogOptions = {}): Promise<OpenedLog> {
  const { chunkBytes = CHUNK_BYTES } = options;
  const { name } = bytes;
  const head = await bytesAt(bytes, 0, HEAD_BYTES);
  const first = decoderOf(name, head, options);
  const header = await readHeader(bytes, first, Math.min(chunkBytes, HEADER_BYTES));
  async function* stretches(from?: CheckpointPlace): AsyncGenerator<readonly LogStretch[], LogEnd> {
    const decoder =
      from !== undefined && first instanceof MclogDecoder
        ? first.at(from)
        : decoderOf(name, head, options);
    const room = new Stretches();
    for await (const chunk of chunksOf(bytes, from?.offset ?? 0, chunkBytes)) {
      for (let begin = 0; begin < chunk.length; begin += PIECE_BYTES) {
        const piece = chunk.subarray(begin, begin + PIECE_BYTES);
        yield* decoded(room, () => decoder.push(piece, room));
      }
    }
    yield* decoded(room, () => decoder.finish(room));
    const { inputs, torn, skippedCheckpoints } = decoder;
    return { inputs, torn, skippedCheckpoints };
  }
  async function* entries(from?: CheckpointPlace): AsyncGenerator<readonly LogEntry[], LogEnd> {
    const batches = stretches(from);
    for (;;) {
      const { done, value } = await batches.next();
      if (done === true) return value;
      yield value.flatMap(entriesOf);
    }
  }
  const { form, version } = first;
  const index = form === 'mclog' ? await readIndex(bytes) : undefined;
  return { name, form, version, header, index, stretches, entries };
}
