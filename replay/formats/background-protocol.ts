/**
 * What the thread that reads a recording and the thread that asked for it say to each other.
 *
 * The columns of batches are shared memory and never sent: a number says which of a few batches is
 * filled, or free again.
 */
import type { EventName } from '../../events/index.ts';
import type { Position } from './error.ts';
import type { Recording, RecordingStats } from './recording.ts';

/** Batches in flight: enough that neither side waits for the other's bad moments. */
export const BATCHES = 8;

/** How the reading thread starts. */
export interface Start {
  readonly path: string;
  readonly only: readonly EventName[] | undefined;
  readonly batches: readonly SharedArrayBuffer[];
}

/** To the reading thread: this batch may be filled again. */
export interface Free {
  readonly free: number;
}

/** What is told once, before any batch. */
export type Opened = Pick<Recording, 'format' | 'kernelRelease' | 'guests'>;

/** From the reading thread. */
export type Message =
  | { readonly kind: 'opened'; readonly recording: Opened }
  | {
      readonly kind: 'batch';
      readonly batch: number;
      /** 0: the recording has ended. */
      readonly rows: number;
      readonly clock: Recording['clock'];
      readonly stats: RecordingStats;
      /** The strings of the rows that carry one. */
      readonly texts: readonly (readonly [row: number, text: string])[];
      /** The table of thread names where it has changed. */
      readonly comms: readonly string[] | undefined;
    }
  | {
      readonly kind: 'error';
      readonly input: string;
      readonly position: Position | undefined;
      readonly expected: string;
      readonly found: string;
    };
