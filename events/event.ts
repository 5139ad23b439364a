import type { EVENTS, EventName } from './catalog.ts';
import type { ScalarType } from './spec.ts';

/** `tsc_timestamp` → `tscTimestamp`: the one rule between the kernel's names and ours. */
export type CamelCase<S extends string> = S extends `${infer Head}_${infer Tail}`
  ? `${Head}${Capitalize<CamelCase<Tail>>}`
  : S;

/** The kernel's field name in the spelling of the typed events. */
export function camelCase<S extends string>(name: S): CamelCase<S> {
  return name.replace(/_(.)/g, (_, c: string) => c.toUpperCase()) as CamelCase<S>;
}

type Value<T extends ScalarType> = T extends 'u64' | 's64'
  ? bigint
  : T extends 'bool'
    ? boolean
    : number;

type Fields<N extends EventName> = {
  readonly [F in keyof (typeof EVENTS)[N]['fields'] as CamelCase<
    F & string
  >]: (typeof EVENTS)[N]['fields'][F] extends { readonly type: infer T extends ScalarType }
    ? Value<T>
    : never;
};

/** What every event says, whatever its kind. */
export interface EventHeader {
  /** Instant in ticks of the recording's clock: TSC cycles or nanoseconds (`Recording.clock`). */
  readonly timestamp: bigint;
  /** Host CPU on which it was recorded. */
  readonly cpu: number;
  /** Host thread id. */
  readonly tid: number;
  /** Host process id, where the recording shows it; otherwise 0. */
  readonly tgid: number;
  /** The thread's name. Anyone can choose it: treat it as hostile text. */
  readonly comm: string;
}

/** An event of kind `N`: its header and its fields, 64-bit ones as bigint. */
export type EventOf<N extends EventName> = EventHeader &
  Fields<N> & { readonly type: N } & ((typeof EVENTS)[N] extends { readonly text: true }
    ? { readonly text: string }
    : unknown);

/** Any event of a recording. `switch (event.type)` narrows it. */
export type TraceEvent = { [N in EventName]: EventOf<N> }[EventName];
