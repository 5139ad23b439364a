/** What writes a log of either form: entries in, bytes out. Files are somebody else's affair. */
import type { CheckpointPlace } from './decoder.ts';
import type { Checkpoint, LogEntry } from './entry.ts';
import { EntryError } from './error.ts';

/** From where an encoder goes on: what its log holds already. */
export interface LogSoFar {
  /** Its size, bytes. */
  readonly size: number;
  readonly inputs: number;
  readonly checkpoints: readonly CheckpointPlace[];
}

/** Writes a log. */
export interface LogEncoder {
  readonly form: 'jsonl' | 'mclog';
  /** What a log begins with. */
  begin(): Uint8Array;
  /**
   * Some entries, to be written at once after all that was encoded before.
   *
   * @throws EntryError for what the form cannot hold; nothing was encoded.
   */
  encode(entries: readonly LogEntry[]): Uint8Array;
  /** What a log ends with that is closed in peace. */
  end(): Uint8Array;
}

/** @throws EntryError for a checkpoint that does not stand after the inputs it says. */
export function checkPlace({ inputs }: Checkpoint, before: number): void {
  if (inputs === before) return;
  throw new EntryError('checkpoint.inputs', String(before), String(inputs));
}
