/**
 * Shows that a machine is its regions side by side: for each signal, in every combination of the
 * states of the regions that react to it and for all answers of guards, XState runs the whole
 * machine and must come to what the tables of the regions come to together.
 *
 * All guards are asked before any recipe runs, and the regions' recipes run in their order.
 */
import type { AnyStateMachine, StateValue } from 'xstate';
import { leafPath, leafValue } from '../modes.ts';
import { DeriveError } from './derive-error.ts';
import { type Answers, Recorder } from './recorder.ts';
import type { Decision, MachineTable, Outcome } from './table.ts';

/** Active leaf state of each region. */
type Leaves = ReadonlyMap<string, string>;

const NOTHING: Outcome = { run: [] };

/** Every way to choose one leaf state of each of these regions. */
function combinations(table: MachineTable, regions: readonly string[]): Leaves[] {
  return regions.reduce<Leaves[]>(
    (chosen, region) =>
      chosen.flatMap((leaves) =>
        Object.keys(table.regions[region]!).map((leaf) => new Map([...leaves, [region, leaf]])),
      ),
    [new Map()],
  );
}

/** The outcome once the guards have answered, or the first guard that has not. */
function follow(decision: Decision, answers: Answers): Outcome | { readonly need: string } {
  if ('run' in decision) return decision;
  const answer = answers.get(decision.ask);
  if (answer === undefined) return { need: decision.ask };
  return follow(answer ? decision.yes : decision.no, answers);
}

/** One machine being compared with its table. */
class Joint {
  readonly #machine: AnyStateMachine;
  readonly #table: MachineTable;
  readonly #recorder: Recorder;

  constructor(machine: AnyStateMachine, table: MachineTable) {
    this.#machine = machine;
    this.#table = table;
    this.#recorder = new Recorder(machine);
  }

  /** Compares at one signal in one combination, for all answers beyond those given. */
  check(leaves: Leaves, signal: string, answers: Answers = new Map()): void {
    const outcomes: Outcome[] = [];
    for (const [region, leaf] of leaves) {
      const outcome = follow(this.#table.regions[region]![leaf]![signal] ?? NOTHING, answers);
      if ('need' in outcome) {
        this.check(leaves, signal, new Map([...answers, [outcome.need, true]]));
        this.check(leaves, signal, new Map([...answers, [outcome.need, false]]));
        return;
      }
      outcomes.push(outcome);
    }
    this.#compare(leaves, signal, answers, outcomes);
  }

  #compare(leaves: Leaves, signal: string, answers: Answers, outcomes: readonly Outcome[]): void {
    const value = Object.fromEntries([...leaves].map(([name, leaf]) => [name, leafValue(leaf)]));
    const recorded = this.#recorder.record(value, signal, answers);
    const expected = [
      ...outcomes.flatMap(({ run }) => run),
      ...[...leaves].map(([region, leaf], index) => `${region}.${outcomes[index]!.to ?? leaf}`),
    ].join(' ');
    const found = 'need' in recorded ? `the question ${recorded.need}` : textOf(recorded);
    if (found !== expected) {
      const at = `${this.#machine.id} on ${signal} in ${[...leaves.values()].join(' ')}`;
      throw new DeriveError(at, `independent regions: ${expected}`, found);
    }
  }
}

const textOf = (recorded: { run: readonly string[]; value: StateValue }): string =>
  [
    ...recorded.run,
    ...Object.entries(recorded.value as Readonly<Record<string, StateValue>>).map(
      ([region, value]) => `${region}.${leafPath(value)}`,
    ),
  ].join(' ');

/**
 * Compares a machine with its table.
 *
 * @throws DeriveError when the machine's regions depend on each other.
 */
export function checkJoint(machine: AnyStateMachine, table: MachineTable): void {
  const joint = new Joint(machine, table);
  const first = new Map(
    Object.entries(table.regions).map(([region, states]) => [region, Object.keys(states)[0]!]),
  );
  for (const signal of machine.events) {
    const reacting = Object.entries(table.regions)
      .filter(([, states]) => Object.values(states).some((row) => row[signal] !== undefined))
      .map(([region]) => region);
    // The regions that do not react stand in their first state.
    for (const leaves of combinations(table, reacting)) {
      joint.check(new Map([...first, ...leaves]), signal);
    }
  }
}
