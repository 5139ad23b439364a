/** Bytes that have come and are not used yet, in one piece. */

const FIRST_BYTES = 1 << 16;

/** A queue of bytes; what is put in one byte at a time costs no more than in one piece. */
export class PendingBytes {
  #buffer = new Uint8Array(FIRST_BYTES);
  #start = 0;
  #end = 0;
  /** Bytes used before the first that is pending. */
  #offset = 0;

  /** Place of the first pending byte: bytes from the log's start. */
  get offset(): number {
    return this.#offset;
  }

  get length(): number {
    return this.#end - this.#start;
  }

  /** What is pending; valid until more is put in. */
  get bytes(): Uint8Array {
    return this.#buffer.subarray(this.#start, this.#end);
  }

  put(chunk: Uint8Array): void {
    const length = this.length + chunk.length;
    if (this.#end + chunk.length > this.#buffer.length) {
      const size = Math.max(this.#buffer.length, FIRST_BYTES);
      const isFull = length > size / 2;
      const target = isFull ? new Uint8Array(Math.max(2 * size, length)) : this.#buffer;
      target.set(this.bytes);
      this.#buffer = target;
      this.#start = 0;
      this.#end = length - chunk.length;
    }
    this.#buffer.set(chunk, this.#end);
    this.#end += chunk.length;
  }

  use(count: number): void {
    this.#start += count;
    this.#offset += count;
    if (this.#start !== this.#end) return;
    this.#start = 0;
    this.#end = 0;
  }
}
