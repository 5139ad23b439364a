/**
 * The bytes of a stream, kept so that lines can be cut from them without copying.
 *
 * One buffer holds what is not consumed yet, always followed by a newline of our own: a search for
 * the end of a line then needs no bound, and whoever reads a line stops there at the latest. The
 * buffer grows only for the one line that does not fit, up to a limit.
 */
import type { ByteStream } from '../bytes.ts';
import { Text } from './text.ts';

/** Room behind the data for the newline of our own and for readers that look a few bytes ahead. */
const SLACK = 64;

/** Unconsumed bytes of a stream: from `start` to `end`, where a newline stands. */
export class LineBuffer {
  text: Text;
  start = 0;
  end = 0;
  /** How often bytes were moved to another place. */
  moves = 0;
  readonly #stream: ByteStream;
  readonly #chunkSize: number;
  /** Up to here there is no newline after `start`. */
  #searched = 0;

  constructor(stream: ByteStream, chunkSize: number) {
    this.#stream = stream;
    this.#chunkSize = chunkSize;
    this.text = new Text(chunkSize * 2 + SLACK);
  }

  /** Whether the line that begins at `start` has been looked at before, when it was incomplete. */
  get seen(): boolean {
    return this.#searched > this.start;
  }

  /** The end of the line that begins at `start`, or -1 if it is not there yet. */
  lineEnd(): number {
    const newline = this.text.bytes.indexOf(10, Math.max(this.start, this.#searched));
    if (newline < this.end) return newline;
    this.#searched = this.end;
    return -1;
  }

  /** Reads the next chunk behind what is there. False at the end of the stream. */
  async more(): Promise<boolean> {
    if (this.text.bytes.length - SLACK - this.end < this.#chunkSize) this.#makeRoom();
    const count = await this.#stream.readInto(this.text.bytes, this.end, this.#chunkSize);
    this.end += count;
    this.text.bytes[this.end] = 10;
    return count > 0;
  }

  /** Moves the unconsumed bytes to the front; of a larger buffer, if a chunk more does not fit. */
  #makeRoom(): void {
    const rest = this.end - this.start;
    const from = this.text.bytes;
    this.moves++;
    if (rest + this.#chunkSize > from.length - SLACK) {
      this.text = new Text(rest * 2 + this.#chunkSize + SLACK);
    }
    from.copy(this.text.bytes, 0, this.start, this.end);
    this.#searched = Math.max(0, this.#searched - this.start);
    this.start = 0;
    this.end = rest;
  }
}
