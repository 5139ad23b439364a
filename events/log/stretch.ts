/**
 * Entries as they are read: nearly all are inputs, millions of them, so these come in batches between
 * the others.
 */
import { InputBatch, type InputRows } from '../input-batch.ts';
import type { LogEntry, OtherEntry } from './entry.ts';

/** Some inputs in a row, and what came after them. */
export interface LogStretch {
  /** The batch that has them, as others that were read with them. */
  readonly inputs: InputRows;
  /** Row of the first, and the row behind the last. */
  readonly from: number;
  readonly to: number;
  /** `undefined` where reading paused: inputs may follow. */
  readonly then: OtherEntry | undefined;
}

/** A stretch as entries, one by one. */
export function entriesOf({ inputs, from, to, then }: LogStretch): LogEntry[] {
  const entries = Array.from(
    inputs.rows(from, to),
    (input): LogEntry => ({ kind: 'input', input }),
  );
  return then === undefined ? entries : [...entries, then];
}

/** How many entries a stretch has. */
export const lengthOf = ({ from, to, then }: LogStretch): number =>
  to - from + (then === undefined ? 0 : 1);

/** Collects what is read: one batch for all of it, as stretches may be many and short. */
export class Stretches {
  /** A reader of many inputs adds them here. */
  readonly inputs = new InputBatch();
  #ended: LogStretch[] = [];
  /** Row of the first input since what came last that was none. */
  #from = 0;

  /** Collects anew: the inputs collected so far are no longer there. */
  again(): this {
    this.inputs.clear();
    this.#ended = [];
    this.#from = 0;
    return this;
  }

  add(entry: LogEntry): void {
    if (entry.kind === 'input') this.inputs.add(entry.input);
    else this.#end(entry);
  }

  #end(then: OtherEntry | undefined): void {
    const { inputs } = this;
    this.#ended.push({ inputs, from: this.#from, to: inputs.length, then });
    this.#from = inputs.length;
  }

  /** All that was collected. */
  finish(): readonly LogStretch[] {
    if (this.inputs.length > this.#from) this.#end(undefined);
    return this.#ended;
  }
}
