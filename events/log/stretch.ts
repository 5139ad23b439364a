/**
 * Entries as they are read: nearly all are inputs, millions of them, so these come in batches between
 * the others.
 */
import { InputBatch } from '../input-batch.ts';
import type { LogEntry, OtherEntry } from './entry.ts';

/** Some inputs in a row, and what came after them. */
export interface LogStretch {
  readonly inputs: InputBatch;
  /** `undefined` where reading paused: inputs may follow. */
  readonly then: OtherEntry | undefined;
}

/** A stretch as entries, one by one. */
export function entriesOf({ inputs, then }: LogStretch): LogEntry[] {
  const entries = Array.from(inputs, (input): LogEntry => ({ kind: 'input', input }));
  return then === undefined ? entries : [...entries, then];
}

/** How many entries a stretch has. */
export const lengthOf = ({ inputs, then }: LogStretch): number =>
  inputs.length + (then === undefined ? 0 : 1);

/** Collects what is read, some at a time. */
export class Stretches {
  /** The inputs since what came last that was none; a reader of many adds them here. */
  inputs = new InputBatch();
  #ended: LogStretch[] = [];
  readonly #spare: InputBatch[] = [];

  add(entry: LogEntry): void {
    if (entry.kind === 'input') this.inputs.add(entry.input);
    else this.#end(entry);
  }

  #end(then: OtherEntry | undefined): void {
    this.#ended.push({ inputs: this.inputs, then });
    this.inputs = this.#spare.pop() ?? new InputBatch();
  }

  /** All that was collected since it was asked for last. */
  take(): readonly LogStretch[] {
    if (this.inputs.length > 0) this.#end(undefined);
    const ended = this.#ended;
    this.#ended = [];
    return ended;
  }

  /** Fills batches again that were used, instead of new ones. */
  reuse(used: readonly LogStretch[]): void {
    for (const { inputs } of used) {
      inputs.clear();
      this.#spare.push(inputs);
    }
  }
}
