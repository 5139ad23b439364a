import type { EventBatch, EventName } from '../../events/index.ts';

/**
 * The clock that stamped a recording's events.
 *
 * - `tsc`: ticks are host TSC cycles (trace clock `x86-tsc`).
 * - `ns`: ticks are nanoseconds of some host clock (also where a trace.dat names none: trace-cmd
 *   reads it so).
 * - `order`: ticks only order the events (`counter`, `uptime`), or nothing is known yet.
 */
export interface TraceClock {
  readonly unit: 'tsc' | 'ns' | 'order';
  /** ftrace's name of it (`x86-tsc`, `local`, `mono_raw`, …) where the recording says it. */
  readonly name: string | undefined;
  /** Nanoseconds between two ticks that the recording can tell apart; 1000 for usual ftrace text. */
  readonly resolutionNs: number;
}

/** A guest that trace.dat's GUEST option describes. */
export interface RecordedGuest {
  readonly name: string;
  /** Host thread of each of its vCPUs. */
  readonly vcpus: readonly { readonly vcpu: number; readonly tid: number }[];
}

/** What has been read so far; complete once `read` has returned 0. */
export interface RecordingStats {
  /** Events seen, of every kind, also those that were not asked for. */
  events: number;
  /** Events that the tracer says it lost, as far as it counted them. */
  lostEvents: bigint;
  /** Places where events are missing (`gap` events). */
  gaps: number;
  /** Lines or records that carry the name of a known event but could not be understood. */
  malformed: number;
  /** Where the first of those stands, for messages: `line 12` or `byte 4711`. */
  firstMalformed: string | undefined;
  /** Instants of the first and last event, ticks; `undefined` before the first. */
  firstTimestamp: bigint | undefined;
  lastTimestamp: bigint | undefined;
}

/** An opened recording: a source of event batches, in the order in which things happened. */
export interface Recording {
  /** What messages call it: its path, or `<stdin>`. */
  readonly name: string;
  readonly format: 'ftrace text' | 'trace.dat v6' | 'trace.dat v7';
  readonly clock: TraceClock;
  /** Release of the recorded kernel (`uname -r`), where the recording says it. */
  readonly kernelRelease: string | undefined;
  readonly guests: readonly RecordedGuest[];
  readonly stats: Readonly<RecordingStats>;
  /**
   * Fills `batch` from its first row on and returns the number of rows; 0 at the end. A row is
   * valid until the next call. @throws FormatError where the input can't be read any further and
   * nothing after that place could be trusted.
   */
  read(batch: EventBatch): Promise<number>;
  /** Releases the file. Safe to call twice. */
  close(): Promise<void>;
}

/** How to read a recording. */
export interface ReadOptions {
  /** Kinds of events to deliver; all others are only counted. Default: all of the catalogue. */
  readonly only?: readonly EventName[];
  /**
   * Read a long recording in a thread of its own, where there are processors for it: the same rows in up
   * to half the time. The batches given to `read` then show memory of the recording, so they are
   * for this recording only. Default: false.
   */
  readonly ownThread?: boolean;
}

export function emptyStats(): RecordingStats {
  return {
    events: 0,
    lostEvents: 0n,
    gaps: 0,
    malformed: 0,
    firstMalformed: undefined,
    firstTimestamp: undefined,
    lastTimestamp: undefined,
  };
}
