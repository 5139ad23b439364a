/** Compares what the model predicts with what the trace shows, field by field. */
import {
  CLOCK_EVENTS,
  type EventOf,
  type Observation,
  type TraceEvent,
} from '../../events/index.ts';

/** One of the clock's tracepoints, as recorded. */
export type ClockEvent = {
  [N in (typeof CLOCK_EVENTS)[number]]: EventOf<N>;
}[(typeof CLOCK_EVENTS)[number]];

const TYPES: readonly string[] = CLOCK_EVENTS;

/** Whether a recorded event is one of them. */
export const isClockEvent = (event: TraceEvent): event is ClockEvent => TYPES.includes(event.type);

/** Tracepoints among the observations. */
export type Predicted = Extract<Observation, { readonly type: ClockEvent['type'] }>;

/** Whether an observation is a tracepoint of the kernel's. */
export const isTracepoint = (observation: Observation): observation is Predicted =>
  TYPES.includes(observation.type);

const HEADER = new Set(['type', 'vm', 'vcpu']);

type Fields = Readonly<Record<string, bigint | number | boolean>>;

/** The fields of a tracepoint, without which machine it is of. */
const fieldsOf = (of: Predicted | ClockEvent): Fields => of as unknown as Fields;

/** How close two tracepoints are: `within` means that only a time differs, by 1 ns. */
export type Closeness = 'exact' | 'within' | 'wrong';

export function compareTracepoints(predicted: Predicted, recorded: ClockEvent): Closeness {
  if (predicted.type !== recorded.type) return 'wrong';
  let closeness: Closeness = 'exact';
  for (const [name, value] of Object.entries(fieldsOf(predicted))) {
    if (HEADER.has(name)) continue;
    const found = fieldsOf(recorded)[name];
    if (found === value) continue;
    if (name !== 'systemTime' || !isNear(value, found)) return 'wrong';
    closeness = 'within';
  }
  return closeness;
}

/** Whether two times are at most 1 ns apart. */
export const isNear = (a: unknown, b: unknown): boolean => {
  if (typeof a !== 'bigint' || typeof b !== 'bigint') return false;
  const apart = BigInt.asIntN(64, a - b);
  return apart >= -1n && apart <= 1n;
};

/** A tracepoint on one line. */
export function describe(of: Predicted | ClockEvent | undefined): string {
  if (of === undefined) return 'nothing';
  const names = Object.keys(of).filter(
    (name) => !HEADER.has(name) && !['timestamp', 'cpu', 'tid', 'tgid', 'comm'].includes(name),
  );
  return `${of.type} ${names.map((name) => `${name}=${fieldsOf(of)[name]}`).join(' ')}`;
}
