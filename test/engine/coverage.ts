/** Which transitions were taken, and which guards answered what, by the actors of some worlds. */
import type { AnyTransitionDefinition, InspectionEvent } from 'xstate';
import { actorStepper, type Stepper } from '../../src/engine/index.ts';
import { MACHINES } from './configurations.ts';

interface StateNode {
  readonly id: string;
  readonly transitions: ReadonlyMap<string, readonly AnyTransitionDefinition[]>;
  readonly states: Readonly<Record<string, StateNode>>;
}

/** Every transition of a machine by name, `vm.masterclock UPDATE_COPY 2`: the third of its list. */
function namesOf(node: StateNode): [AnyTransitionDefinition, string][] {
  const own = [...node.transitions].flatMap(([signal, list]) =>
    list.map((transition, index): [AnyTransitionDefinition, string] => [
      transition,
      `${node.id} ${signal} ${index}`,
    ]),
  );
  return [...own, ...Object.values(node.states).flatMap(namesOf)];
}

type Guard = (...args: readonly unknown[]) => boolean;

/** What the machines can do, and how much of it was done. */
export class Coverage {
  readonly #names = new Map(
    Object.values(MACHINES).flatMap((machine) => namesOf(machine.root as unknown as StateNode)),
  );
  readonly #taken = new Set<string>();
  readonly #answers = new Set<string>();
  readonly #possible = this.#watchGuards();
  /** Actors that are watched. */
  readonly stepper: Stepper = actorStepper((event: InspectionEvent) => {
    if (event.type !== '@xstate.microstep') return;
    for (const transition of event._transitions) {
      const name = this.#names.get(transition);
      if (name !== undefined) this.#taken.add(name);
    }
  });

  /** Lets every guard of the machines note what it answered: `vm.joinsGeneration true`. */
  #watchGuards(): string[] {
    return Object.entries(MACHINES).flatMap(([machine, { implementations }]) => {
      const guards = implementations.guards as unknown as Record<string, Guard>;
      return Object.entries(guards).flatMap(([name, guard]) => {
        guards[name] = (...args) => {
          const answer = guard(...args);
          this.#answers.add(`${machine}.${name} ${answer}`);
          return answer;
        };
        return [`${machine}.${name} true`, `${machine}.${name} false`];
      });
    });
  }

  /** All transitions. */
  get transitions(): readonly string[] {
    return [...this.#names.values()].sort();
  }

  /** Each guard with each of its answers. */
  get answers(): readonly string[] {
    return this.#possible;
  }

  /** What was not done. */
  get missing(): readonly string[] {
    const done = new Set([...this.#taken, ...this.#answers]);
    return [...this.transitions, ...this.answers].filter((name) => !done.has(name));
  }

  /** The whole list, for whoever wants to know what the comparison saw. */
  get text(): string {
    return [
      `transitions taken (${this.transitions.length}):`,
      ...this.transitions.map((name) => `  ${name}`),
      `guards answered both ways (${this.answers.length / 2}):`,
      ...this.answers
        .filter((name) => name.endsWith(' true'))
        .map((name) => `  ${name.slice(0, -5)}`),
      '',
    ].join('\n');
  }
}
