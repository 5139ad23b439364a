/** What a machine is made of, found by walking its config: signals, guards and actions by name. */
import type { MachineName } from './configurations.ts';
import { MACHINES } from './configurations.ts';

interface TransitionConfig {
  readonly guard?: string;
  readonly actions?: string | readonly string[];
}

type Transitions = string | TransitionConfig | readonly (string | TransitionConfig)[];

interface StateConfig {
  readonly states?: Readonly<Record<string, StateConfig>>;
  readonly on?: Readonly<Record<string, Transitions>>;
}

/** Names used in a machine's config. */
export interface MachineParts {
  readonly signals: ReadonlySet<string>;
  readonly guards: ReadonlySet<string>;
  readonly actions: ReadonlySet<string>;
}

const listOf = <T>(one: T | readonly T[]): readonly T[] =>
  Array.isArray(one) ? (one as readonly T[]) : [one as T];

function collect(config: StateConfig, into: Record<keyof MachineParts, Set<string>>): void {
  for (const [signal, transitions] of Object.entries(config.on ?? {})) {
    into.signals.add(signal);
    for (const transition of listOf(transitions)) {
      if (typeof transition === 'string') continue;
      if (transition.guard !== undefined) into.guards.add(transition.guard);
      for (const action of listOf(transition.actions ?? [])) into.actions.add(action);
    }
  }
  for (const inner of Object.values(config.states ?? {})) collect(inner, into);
}

/** What a machine's config names. */
export function partsOf(name: MachineName): MachineParts {
  const parts = {
    signals: new Set<string>(),
    guards: new Set<string>(),
    actions: new Set<string>(),
  };
  collect(MACHINES[name].config as unknown as StateConfig, parts);
  return parts;
}
