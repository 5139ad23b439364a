/**
 * Which machines can become tables: those whose config says nothing but states, and transitions by
 * named guards that run named recipes.
 *
 * This is a list of what may be there, so that whatever XState has or will have besides is refused
 * instead of being turned into a wrong table. Eventless transitions and actions of states are left
 * out too: with them one region could act between two others.
 */
import type { AnyStateMachine } from 'xstate';
import { DeriveError } from './derive-error.ts';

/** `schemas` is what `setup` leaves of the types it was given. */
const MACHINE_KEYS: ReadonlySet<string> = new Set(['id', 'type', 'context', 'states', 'schemas']);
const STATE_KEYS: ReadonlySet<string> = new Set(['initial', 'on', 'states']);
const TRANSITION_KEYS: ReadonlySet<string> = new Set(['guard', 'target', 'actions']);

type Members = Readonly<Record<string, unknown>>;

const describe = (value: unknown): string =>
  typeof value === 'object' && value !== null ? 'an object' : typeof value;

function membersOf(value: unknown, at: string, allowed: ReadonlySet<string>): Members {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new DeriveError(at, `an object of ${[...allowed].join(', ')}`, describe(value));
  }
  for (const key of Object.keys(value)) {
    if (!allowed.has(key)) throw new DeriveError(at, `only ${[...allowed].join(', ')}`, key);
  }
  return value as Members;
}

const listOf = (value: unknown): readonly unknown[] =>
  Array.isArray(value) ? value : value === undefined ? [] : [value];

function nameOf(value: unknown, at: string, what: string): string {
  if (typeof value !== 'string') throw new DeriveError(at, `the name of ${what}`, describe(value));
  return value;
}

/** The named code that a machine has. */
interface Code {
  readonly guards: Members;
  readonly actions: Members;
}

function checkTransition(value: unknown, at: string, code: Code): void {
  if (typeof value === 'string') return;
  const { guard, target, actions } = membersOf(value, at, TRANSITION_KEYS);
  if (target !== undefined) nameOf(target, at, 'one target');
  if (guard !== undefined) {
    const name = nameOf(guard, at, 'a guard');
    const known = code.guards[name];
    if (typeof known !== 'function' || 'check' in known) {
      throw new DeriveError(at, 'a guard that is a function of its own', name);
    }
  }
  for (const action of listOf(actions)) {
    const name = nameOf(action, at, 'a recipe');
    const known = code.actions[name];
    // What `bind` makes of a recipe; raise, sendTo, spawnChild and the like are of other types.
    if (typeof known !== 'function' || !('type' in known) || known.type !== 'xstate.assign') {
      throw new DeriveError(at, 'a recipe', name);
    }
  }
}

function checkState(value: unknown, at: string, code: Code): void {
  const { on = {}, states = {} } = membersOf(value, at, STATE_KEYS);
  for (const [signal, transitions] of Object.entries(on as Members)) {
    if (signal.includes('*')) throw new DeriveError(at, 'a signal by its whole name', signal);
    for (const transition of listOf(transitions)) {
      checkTransition(transition, `${at} on ${signal}`, code);
    }
  }
  for (const [name, inner] of Object.entries(states as Members)) {
    checkState(inner, `${at}.${name}`, code);
  }
}

/**
 * Checks that a machine is one of those.
 *
 * @throws DeriveError for the first thing that is not.
 */
export function checkSubset(machine: AnyStateMachine): void {
  const { id, type, states } = membersOf(machine.config, machine.id, MACHINE_KEYS);
  if (id === undefined || type !== 'parallel') {
    throw new DeriveError(machine.id, 'a parallel machine with an id', String(type));
  }
  for (const [region, config] of Object.entries(states as Members)) {
    checkState(config, `${machine.id}.${region}`, machine.implementations as unknown as Code);
  }
}
