/**
 * Derives decision tables from machines: XState itself computes what each leaf state of each region
 * does at each signal, for every way in which the guards it asks can answer.
 *
 * Each region is taken by itself; that the machine is no more than its regions side by side is then
 * shown by XState too (`joint.ts`).
 */
import { type AnyStateMachine, createMachine, type StateValue } from 'xstate';
import { leafPath, leafValue } from '../modes.ts';
import { DeriveError } from './derive-error.ts';
import { checkJoint } from './joint.ts';
import { type Answers, Recorder } from './recorder.ts';
import { checkSubset } from './subset.ts';
import type { Decision, MachineTable, RegionTable } from './table.ts';

interface StateConfig {
  readonly states?: Readonly<Record<string, StateConfig>>;
}

const leavesOf = ({ states = {} }: StateConfig, prefix = ''): string[] =>
  Object.entries(states).flatMap(([name, inner]) =>
    inner.states === undefined ? [`${prefix}${name}`] : leavesOf(inner, `${prefix}${name}.`),
  );

/** The machine with one region only. */
function regionOf(machine: AnyStateMachine, region: string): AnyStateMachine {
  const { states } = machine.config as { states: Readonly<Record<string, object>> };
  try {
    return createMachine(
      { id: machine.id, type: 'parallel', states: { [region]: states[region]! } },
      machine.implementations as object,
    );
  } catch (error) {
    throw new DeriveError(
      `${machine.id}.${region}`,
      'a region that stands by itself',
      error instanceof Error ? error.message : String(error),
    );
  }
}

/** One region being derived. */
class Region {
  readonly #name: string;
  readonly #recorder: Recorder;

  constructor(machine: AnyStateMachine, name: string) {
    this.#name = name;
    this.#recorder = new Recorder(regionOf(machine, name));
  }

  /** What is decided, given what is known; where more has to be asked, both answers are followed. */
  decide(leaf: string, signal: string, answers: Answers): Decision {
    const before: StateValue = { [this.#name]: leafValue(leaf) };
    const recorded = this.#recorder.record(before, signal, answers);
    if ('need' in recorded) {
      const { need } = recorded;
      const given = (answer: boolean): Decision =>
        this.decide(leaf, signal, new Map([...answers, [need, answer]]));
      return { ask: need, yes: given(true), no: given(false) };
    }
    const after = leafPath((recorded.value as Readonly<Record<string, StateValue>>)[this.#name]!);
    return after === leaf ? { run: recorded.run } : { run: recorded.run, to: after };
  }
}

const doesNothing = (decision: Decision): boolean =>
  'run' in decision && decision.run.length === 0 && decision.to === undefined;

function deriveRegion(machine: AnyStateMachine, name: string): RegionTable {
  const region = new Region(machine, name);
  const { states } = machine.config as { states: Readonly<Record<string, StateConfig>> };
  const signals = [...machine.events].sort();
  const rowOf = (leaf: string): readonly (readonly [string, Decision])[] =>
    signals
      .map((signal) => [signal, region.decide(leaf, signal, new Map())] as const)
      .filter(([, decision]) => !doesNothing(decision));
  return Object.fromEntries(
    leavesOf(states[name]!).map((leaf) => [leaf, Object.fromEntries(rowOf(leaf))]),
  );
}

/**
 * The decision table of a machine.
 *
 * @throws DeriveError when the machine says what no table can, or its regions depend on each other.
 */
export function deriveTable(machine: AnyStateMachine): MachineTable {
  checkSubset(machine);
  const regions = Object.keys(machine.states).map((name) => [name, deriveRegion(machine, name)]);
  const table: MachineTable = { machine: machine.id, regions: Object.fromEntries(regions) };
  checkJoint(machine, table);
  return table;
}
