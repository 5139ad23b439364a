/**
 * Lets XState compute what a machine does, without any of the machine's code running: guards are
 * answered as told, recipes are only noted, and the context may not be looked at.
 */
import { type AnyStateMachine, type StateValue, transition } from 'xstate';
import { DeriveError } from './derive-error.ts';

/** What is known of the guards; one that is asked twice in a step answers the same. */
export type Answers = ReadonlyMap<string, boolean>;

/** What a step came to, or the guard without whose answer it goes no further. */
export type Recorded =
  | { readonly need: string }
  | { readonly run: readonly string[]; readonly value: StateValue };

/** Nothing that a table says may depend on a context. */
const NO_CONTEXT: object = new Proxy(
  {},
  {
    get(_target, key) {
      throw new DeriveError('context', 'no look at the context', String(key));
    },
    ownKeys() {
      throw new DeriveError('context', 'no look at the context', 'a list of its keys');
    },
  },
);

/** A machine whose steps are recorded. */
export class Recorder {
  readonly #machine: AnyStateMachine;
  #answers: Answers = new Map();
  #need: string | undefined;

  constructor(machine: AnyStateMachine) {
    const { guards, actions } = machine.implementations;
    const oracle = (name: string) => (): boolean => {
      const answer = this.#answers.get(name);
      if (answer !== undefined) return answer;
      this.#need ??= name;
      throw new DeriveError(machine.id, 'an answer', name);
    };
    const noted = (): void => {};
    this.#machine = machine.provide({
      guards: Object.fromEntries(Object.keys(guards).map((name) => [name, oracle(name)])),
      actions: Object.fromEntries(Object.keys(actions).map((name) => [name, noted])),
    });
  }

  /** The machine's reaction to a signal in the states that `value` says. */
  record(value: StateValue, signal: string, answers: Answers): Recorded {
    this.#answers = answers;
    this.#need = undefined;
    const before = this.#machine.resolveState({ value, context: NO_CONTEXT });
    try {
      const [after, actions] = transition(this.#machine, before, { type: signal });
      return { run: actions.map(({ type }) => type), value: after.value };
    } catch (error) {
      // XState wraps what a guard throws; the guard itself has said what it was.
      if (this.#need !== undefined) return { need: this.#need };
      throw error;
    }
  }
}
