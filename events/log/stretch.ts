/**
 * Entries as they are read: nearly all are inputs, millions of them, so these come by themselves, in
 * rows between the others.
 */
import type { Input } from '../inputs.ts';
import type { LogEntry, OtherEntry } from './entry.ts';

/** Some inputs in a row, and what came after them. */
export interface LogStretch {
  readonly inputs: readonly Input[];
  /** `undefined` where reading paused: inputs may follow. */
  readonly then: OtherEntry | undefined;
}

/** A stretch as entries, one by one. */
export function entriesOf({ inputs, then }: LogStretch): LogEntry[] {
  const entries = inputs.map((input): LogEntry => ({ kind: 'input', input }));
  return then === undefined ? entries : [...entries, then];
}

/** How many entries a stretch has. */
export const lengthOf = ({ inputs, then }: LogStretch): number =>
  inputs.length + (then === undefined ? 0 : 1);

/** Collects what is read. */
export class Stretches {
  /** The inputs since what came last that was none; a reader of many adds them here. */
  inputs: Input[] = [];
  readonly #ended: LogStretch[] = [];

  add(entry: LogEntry): void {
    if (entry.kind === 'input') this.inputs.push(entry.input);
    else this.#end(entry);
  }

  #end(then: OtherEntry | undefined): void {
    this.#ended.push({ inputs: this.inputs, then });
    this.inputs = [];
  }

  /** All that was collected. */
  finish(): readonly LogStretch[] {
    if (this.inputs.length > 0) this.#end(undefined);
    return this.#ended;
  }
}
