/**
 * What the thread that reads a recording and the one that asked for it say to each other.
 *
 * Rows are never sent: they stand in memory that both see, in a few batches that are filled and
 * read in turn. A message says that the next one is filled, with the little that is not in columns;
 * a counter in shared memory says how many have been read, which the reading thread can wait for
 * without an event loop.
 */
import type { EventName } from '../../../events/index.ts';
import type { Position } from '../error.ts';
import type { Recording, RecordingStats, TraceClock } from '../recording.ts';

/** Batches in turn, 8 MB: enough that neither thread waits for the other's bad moments. */
export const BATCHES = 32;

/** Place in `Start.counters` of how many batches have been read and may be filled again. */
export const FREED = 0;

/**
 * Place in `Start.counters` of how many of them the reading thread waits for. To wake it costs both
 * threads more than a batch does, so it waits until it can fill several.
 */
export const AWAITED = 1;

/** How many batches are filled before the reading thread waits again. */
export const FILLED_AT_ONCE = BATCHES / 2;

/** How the reading thread starts. */
export interface Start {
  /** What messages call the recording. */
  readonly name: string;
  readonly is: 'text' | 'trace.dat';
  readonly fd: number;
  /** Bytes of the file. */
  readonly size: number;
  readonly only: readonly EventName[] | undefined;
  /** Columns of each batch (`EventBatch`). */
  readonly batches: readonly SharedArrayBuffer[];
  readonly counters: Int32Array;
}

/** The recording was recognised: what is known of it from the beginning. */
export interface Begun extends Pick<Recording, 'format' | 'clock' | 'kernelRelease' | 'guests'> {
  readonly kind: 'opened';
}

/** The next batch is filled. */
export interface Filled {
  readonly kind: 'filled';
  /** 0: the recording has ended. */
  readonly rows: number;
  readonly clock: TraceClock;
  readonly stats: RecordingStats;
  /** The strings of the rows that carry one. */
  readonly texts: readonly (readonly [row: number, text: string])[];
  /** Thread names that are new; all of them, if the table has begun anew. */
  readonly names: readonly string[];
  readonly namesAnew: boolean;
}

/** The recording can't be read any further: the fields of a `FormatError`. */
interface Failed {
  readonly kind: 'failed';
  readonly position: Position | undefined;
  readonly expected: string;
  readonly found: string;
}

/** From the reading thread. */
export type Message = Begun | Filled | Failed;
