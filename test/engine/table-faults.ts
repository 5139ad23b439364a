/** Every way to spoil a table by one mistake, generated from the tables of the machines. */
import {
  type Decision,
  deriveTable,
  type MachineTable,
  type Outcome,
} from '../../src/engine/derive/index.ts';
import { MACHINES, type MachineName } from './configurations.ts';

/** The tables of the machines that a world steps. */
export type Tables = Readonly<Record<MachineName, MachineTable>>;

/** As XState derives them. */
export const TABLES: Tables = {
  host: deriveTable(MACHINES.host),
  vm: deriveTable(MACHINES.vm),
  vcpu: deriveTable(MACHINES.vcpu),
};

/** A place in the tables. */
export interface Spot {
  readonly machine: keyof Tables;
  readonly region: string;
  readonly state: string;
  readonly signal: string;
  /** The answers that lead to a part of the decision: `yn`. */
  readonly path: string;
}

/** A place as text; those below it begin with the same text. */
export const spotText = ({ machine, region, state, signal, path }: Spot): string =>
  `${machine}.${region}.${state} ${signal} ${path}`;

/** One mistake. */
export interface TableFault {
  readonly kind:
    | 'answers swapped'
    | 'recipe dropped'
    | 'recipes swapped'
    | 'target'
    | 'entry dropped';
  readonly spot: Spot;
  /** More exactly what is wrong. */
  readonly what: string;
  readonly tables: Tables;
  /** The recipes that changed places. */
  readonly swapped?: readonly [string, string];
}

type Change = Pick<TableFault, 'kind' | 'what' | 'swapped'> & { readonly to: Decision | undefined };

/** The decision with the part at a path put in its place. */
function replaced(decision: Decision, path: string, part: Decision): Decision {
  if (path === '') return part;
  if (!('ask' in decision)) throw new TypeError(`no question before ${path}`);
  const rest = path.slice(1);
  return path.startsWith('y')
    ? { ...decision, yes: replaced(decision.yes, rest, part) }
    : { ...decision, no: replaced(decision.no, rest, part) };
}

function withDecision(spot: Spot, decision: Decision | undefined): Tables {
  const table = TABLES[spot.machine];
  const states = table.regions[spot.region]!;
  const { [spot.signal]: _old, ...rest } = states[spot.state]!;
  const row = decision === undefined ? rest : { ...rest, [spot.signal]: decision };
  const regions = { ...table.regions, [spot.region]: { ...states, [spot.state]: row } };
  return { ...TABLES, [spot.machine]: { ...table, regions } satisfies MachineTable };
}

function* outcomeChanges(outcome: Outcome, spot: Spot): Generator<Change> {
  const { run } = outcome;
  for (const [index, recipe] of run.entries()) {
    const others = run.filter((_, i) => i !== index);
    yield { kind: 'recipe dropped', what: recipe, to: { ...outcome, run: others } };
    const next = run[index + 1];
    if (next === undefined) continue;
    const order = run.with(index, next).with(index + 1, recipe);
    const what = `${recipe} and ${next}`;
    yield {
      kind: 'recipes swapped',
      what,
      to: { ...outcome, run: order },
      swapped: [recipe, next],
    };
  }
  const final = outcome.to ?? spot.state;
  for (const state of Object.keys(TABLES[spot.machine].regions[spot.region]!)) {
    if (state === final) continue;
    const target = state === spot.state ? { run } : { run, to: state };
    yield { kind: 'target', what: `${state} instead of ${final}`, to: target };
  }
}

function* changesOf(decision: Decision, spot: Spot): Generator<[Spot, Change]> {
  if ('run' in decision) {
    for (const change of outcomeChanges(decision, spot)) yield [spot, change];
    return;
  }
  const { ask, yes, no } = decision;
  // Answers that come to the same are no mistake to exchange.
  if (JSON.stringify(yes) !== JSON.stringify(no)) {
    yield [spot, { kind: 'answers swapped', what: ask, to: { ask, yes: no, no: yes } }];
  }
  yield* changesOf(yes, { ...spot, path: `${spot.path}y` });
  yield* changesOf(no, { ...spot, path: `${spot.path}n` });
}

/** Every entry of the tables. */
function* cellsOf(tables: Tables): Generator<[Spot, Decision]> {
  for (const machine of ['host', 'vm', 'vcpu'] as const) {
    for (const [region, states] of Object.entries(tables[machine].regions)) {
      for (const [state, row] of Object.entries(states)) {
        for (const [signal, decision] of Object.entries(row)) {
          yield [{ machine, region, state, signal, path: '' }, decision];
        }
      }
    }
  }
}

/** All of them. */
export function* tableFaults(): Generator<TableFault> {
  for (const [cell, decision] of cellsOf(TABLES)) {
    const dropped = { kind: 'entry dropped', what: '', to: undefined } as const;
    for (const [spot, change] of [[cell, dropped] as const, ...changesOf(decision, cell)]) {
      const { to, ...rest } = change;
      const whole = to === undefined ? undefined : replaced(decision, spot.path, to);
      yield { ...rest, spot, tables: withDecision(cell, whole) };
    }
  }
}
