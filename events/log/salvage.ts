/**
 * Damage in a binary log: is it the torn end, or does something whole come after it?
 *
 * What a crash leaves is at the end. A whole frame behind the damage means that the log was damaged
 * later, and cutting there would lose entries that were acknowledged: that is an error.
 */
import { LogError } from './error.ts';
import { decodeFrame, FRAME_HEAD_BYTES, MAX_FRAME_BYTES, nextSync } from './frame.ts';
import type { PendingBytes } from './pending-bytes.ts';

/** How many bytes' CRCs are computed in search of a whole frame, at least. */
const LEAST_BUDGET_BYTES = 4 * MAX_FRAME_BYTES;

/** Looks for whole frames behind some damage. */
export class Salvage {
  readonly #log: string;
  /** Where the damage begins: bytes from the log's start. */
  readonly offset: number;
  readonly #found: string;
  /** Hostile bytes could make every one the head of a large frame. */
  #budget = LEAST_BUDGET_BYTES;

  constructor(log: string, offset: number, found: string) {
    this.#log = log;
    this.offset = offset;
    this.#found = found;
  }

  /** @throws LogError when there is a whole frame, or too much that looks like one. */
  scan(pending: PendingBytes, isEnd: boolean): void {
    while (pending.length > 0) {
      pending.use(nextSync(pending.bytes, 0));
      if (pending.length === 0) return;
      const { bytes } = pending;
      const framed = decodeFrame(bytes);
      if (framed.is === 'short' && !isEnd) return;
      if (framed.is === 'frame') this.#fail();
      if (framed.is === 'damaged' && bytes.length >= FRAME_HEAD_BYTES) {
        this.#budget -= Math.min(bytes.length, MAX_FRAME_BYTES);
        if (this.#budget < 0) this.#fail();
      }
      pending.use(1);
    }
  }

  #fail(): never {
    const expected = 'a frame (damage inside a log is not cut)';
    throw new LogError(this.#log, { byte: this.offset }, undefined, expected, this.#found);
  }
}
