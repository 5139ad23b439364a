/** Instants of a trace as host TSC, whatever clock stamped it, and the window of each action. */
import { isBefore } from '../../src/num/index.ts';
import type { Action, HostTimes } from './action.ts';
import type { CheckedRecording } from './recording.ts';

/** A span of host TSC in which something happened. */
export interface TscWindow {
  readonly least: bigint;
  readonly most: bigint;
}

/** A place where trace time and host TSC are both known. */
interface Anchor {
  readonly timestamp: bigint;
  readonly tsc: bigint;
}

/** Turns a trace's timestamps into host TSC. */
export class Instants {
  readonly #isTsc: boolean;
  readonly #anchors: Anchor[] = [];

  constructor(recording: CheckedRecording) {
    this.#isTsc = recording.isTscClock;
    const actions = new Map(recording.actions.map((action) => [action.index, action]));
    for (const event of recording.events) {
      if (event.type !== 'marker') continue;
      const action = actions.get(Number(/^op (\d+) /.exec(event.text)?.[1] ?? -1));
      if (action === undefined) continue;
      this.#anchors.push({ timestamp: event.timestamp, tsc: action.before.tsc });
    }
  }

  /** The host TSC at a timestamp: itself, or in proportion between the driver's reads. */
  tscAt(timestamp: bigint): bigint {
    if (this.#isTsc) return timestamp;
    const anchors = this.#anchors;
    const next = anchors.findIndex((anchor) => anchor.timestamp > timestamp);
    const place = next < 0 ? anchors.length - 1 : Math.max(1, next);
    const before = anchors[place - 1];
    const after = anchors[place];
    if (before === undefined || after === undefined) return before?.tsc ?? after?.tsc ?? 0n;
    const span = after.timestamp - before.timestamp;
    if (span <= 0n) return before.tsc;
    const tsc = before.tsc + ((timestamp - before.timestamp) * (after.tsc - before.tsc)) / span;
    return tsc > 0n ? tsc : 0n;
  }
}

/** A span of one of the host's clocks, ns. */
export interface TimeSpan {
  readonly least: bigint;
  readonly most: bigint;
}

/**
 * How far the driver's reads of its clocks can be from each other, ns: six reads, between which an
 * emulated CPU may be taken away for a while.
 */
const READ_SLACK_NS = 2_000_000n;

/** The base clock of kvmclock as the driver read it, or CLOCK_REALTIME. */
const timeOf = (times: HostTimes, clock: 'raw' | 'boottime' | 'realtime'): bigint => {
  if (clock === 'realtime') return times.real;
  return clock === 'raw' ? times.raw + times.boot - times.mono : times.boot;
};

/** Between which times of a clock something happened that lies between two of the driver's reads. */
export const timesBetween = (
  from: HostTimes,
  to: HostTimes,
  clock: 'raw' | 'boottime' | 'realtime',
): TimeSpan => ({
  least: timeOf(from, clock) - READ_SLACK_NS,
  most: timeOf(to, clock) + READ_SLACK_NS,
});

/** Whether a value of the host's TSC lies in a window. */
export const isWithin = (value: bigint, window: TscWindow): boolean =>
  value >= window.least && value <= window.most;

/** The span of an action; of all of them when a step has none of its own. */
export const spanOf = (action: Action | undefined, all: readonly Action[]): TscWindow => {
  const first = action ?? all[0];
  const last = action ?? all.at(-1);
  return { least: first?.before.tsc ?? 0n, most: last?.after.tscEnd ?? 0n };
};

/** The earlier of two instants on the host's TSC. */
export const earlier = (a: bigint, b: bigint): bigint => (isBefore(a, b) ? a : b);

/** The later of two instants on the host's TSC. */
export const later = (a: bigint, b: bigint): bigint => (isBefore(a, b) ? b : a);
