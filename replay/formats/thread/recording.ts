/**
 * A recording read in a thread of its own, while the one that asked for it works on what has been
 * read. Rows, their order, how they come in batches and every error are those of reading it at once.
 */
import type { FileHandle } from 'node:fs/promises';
import { Worker } from 'node:worker_threads';
import { EventBatch, type EventName } from '../../../events/index.ts';
import { FormatError } from '../error.ts';
import {
  emptyStats,
  type RecordedGuest,
  type Recording,
  type RecordingStats,
  type TraceClock,
} from '../recording.ts';
import {
  AWAITED,
  BATCHES,
  type Begun,
  type Filled,
  FREED,
  type Message,
  type Start,
} from './protocol.ts';

/**
 * Opens the recording in `file`, which then belongs to it. `what`: what `name` is, and its size.
 * @throws FormatError as `openText` and `openTraceDat` do; the file stays open.
 */
export async function openInThread(
  name: string,
  file: FileHandle,
  what: Pick<Start, 'is' | 'size'>,
  only: readonly EventName[] | undefined,
): Promise<Recording> {
  const batches = Array.from(
    { length: BATCHES },
    () => new SharedArrayBuffer(EventBatch.byteLength()),
  );
  const counters = new Int32Array(new SharedArrayBuffer(8));
  const start: Start = { ...what, name, fd: file.fd, only, batches, counters };
  const thread = new ReadingThread(start);
  try {
    const begun = await thread.next();
    if (begun.kind !== 'opened') throw unexpected(begun);
    return new ThreadRecording(start, begun, file, thread);
  } catch (error) {
    await thread.end();
    throw error;
  }
}

const unexpected = ({ kind }: Message): TypeError => new TypeError(`a reading thread said ${kind}`);

/** The reading thread's messages, in order. */
class ReadingThread {
  readonly #name: string;
  readonly #worker: Worker;
  readonly #arrived: Message[] = [];
  #failure: unknown;
  #wake: (() => void) | undefined;

  constructor(start: Start) {
    this.#name = start.name;
    this.#worker = new Worker(new URL('./reader.js', import.meta.url), {
      workerData: start,
      // Options of the main thread (such as --input-type) are not for this one.
      execArgv: [],
    });
    this.#worker.on('message', (message: Message) => {
      this.#arrived.push(message);
      this.#wake?.();
    });
    this.#worker.on('error', (error) => this.#fail(error));
    this.#worker.on('exit', (code) => this.#fail(new Error(`a reading thread ended: ${code}`)));
  }

  /** @throws FormatError where the recording can't be read any further. */
  async next(): Promise<Exclude<Message, { kind: 'failed' }>> {
    while (this.#arrived.length === 0) {
      if (this.#failure !== undefined) throw this.#failure;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const message = this.#arrived.shift()!;
    if (message.kind !== 'failed') return message;
    throw new FormatError(this.#name, message.position, message.expected, message.found);
  }

  async end(): Promise<void> {
    await this.#worker.terminate();
  }

  /** Every message sent before has arrived by now. */
  #fail(error: unknown): void {
    this.#failure ??= error;
    this.#wake?.();
  }
}

class ThreadRecording implements Recording {
  readonly name: string;
  readonly format: Recording['format'];
  readonly kernelRelease: string | undefined;
  readonly guests: readonly RecordedGuest[];
  readonly stats: RecordingStats = emptyStats();
  readonly #file: FileHandle;
  readonly #thread: ReadingThread;
  readonly #batches: readonly EventBatch[];
  readonly #counters: Int32Array;
  #clock: TraceClock;
  #names: string[] = [];
  /** Batches delivered. */
  #count = 0;
  #ended = false;
  #closed = false;

  constructor(
    start: Start,
    { format, clock, kernelRelease, guests }: Begun,
    file: FileHandle,
    thread: ReadingThread,
  ) {
    this.name = start.name;
    this.format = format;
    this.kernelRelease = kernelRelease;
    this.guests = guests;
    this.#clock = clock;
    this.#file = file;
    this.#thread = thread;
    this.#batches = start.batches.map((buffer) => new EventBatch(undefined, buffer));
    this.#counters = start.counters;
  }

  get clock(): TraceClock {
    return this.#clock;
  }

  async read(batch: EventBatch): Promise<number> {
    batch.length = 0;
    if (this.#ended) return 0;
    // The rows delivered last are no longer valid.
    Atomics.store(this.#counters, FREED, this.#count);
    if (this.#count === Atomics.load(this.#counters, AWAITED)) {
      Atomics.notify(this.#counters, FREED);
    }
    const message = await this.#thread.next();
    if (message.kind !== 'filled') throw unexpected(message);
    batch.show(this.#filled(message));
    return message.rows;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#ended = true;
    await this.#thread.end();
    await this.#file.close();
  }

  #filled({ rows, clock, stats, texts, names, namesAnew }: Filled): EventBatch {
    const batch = this.#batches[this.#count++ % BATCHES]!;
    this.#clock = clock;
    Object.assign(this.stats, stats);
    this.#ended = rows === 0;
    if (namesAnew) this.#names = [];
    for (const name of names) this.#names.push(name);
    for (const [row, text] of texts) batch.texts[row] = text;
    batch.comms = this.#names;
    batch.length = rows;
    return batch;
  }
}
