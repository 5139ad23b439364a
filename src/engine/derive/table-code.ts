/**
 * Decision tables as code: a class with a method for each signal, which asks and does what the table
 * says, on the bytes that stand for the active states in the header of the struct.
 *
 * In a machine of several regions all of those that react decide before any acts, and the states
 * change when all have acted.
 */
import type { AnyStructType } from '../../num/index.ts';
import { regionOffset, stateByte } from '../modes.ts';
import { DeriveError } from './derive-error.ts';
import { type Branch, branches, inside } from './lines.ts';
import type { Decision, MachineTable, Outcome, RegionTable } from './table.ts';

/** `off.unmatched` of `masterclock`: `MASTERCLOCK_OFF_UNMATCHED`. */
const constant = (...names: readonly string[]): string =>
  names.map((name) => name.replace(/[A-Z]/g, '_$&').replaceAll('.', '_').toUpperCase()).join('_');

const doesNothing = ({ run, to }: Outcome): boolean => run.length === 0 && to === undefined;

const callsOf = ({ run }: Outcome): string[] => run.map((name) => `recipes.${name}(self, ctx);`);

/** States of a region that decide the same. */
interface Group {
  readonly states: string[];
  readonly decision: Decision;
}

/** What one region does at one signal; states that decide nothing are left out. */
interface Reaction {
  readonly region: string;
  readonly groups: readonly Group[];
  /** All states decide the same. */
  readonly always: boolean;
}

function grouped(decisions: readonly (readonly [state: string, Decision])[]): Group[] {
  const groups = new Map<string, Group>();
  for (const [state, decision] of decisions) {
    const key = JSON.stringify(decision);
    const group = groups.get(key) ?? { states: [], decision };
    groups.set(key, group);
    group.states.push(state);
  }
  return [...groups.values()];
}

/** The decision, with the state to be in afterwards said also where that is the one before. */
const withTarget = (decision: Decision, state: string): Decision =>
  'ask' in decision
    ? {
        ask: decision.ask,
        yes: withTarget(decision.yes, state),
        no: withTarget(decision.no, state),
      }
    : { run: decision.run, to: decision.to ?? state };

/**
 * States that decide the same, word by word or in what they come to: to stay in a state and to go
 * there from others is one thing, to write its byte.
 */
function groupsOf(decisions: readonly (readonly [state: string, Decision])[]): readonly Group[] {
  const alike = grouped(decisions);
  const lone = alike.filter(({ states }) => states.length === 1);
  const merged = grouped(
    lone.map(({ states, decision }) => [states[0]!, withTarget(decision, states[0]!)] as const),
  ).filter(({ states }) => states.length > 1);
  const taken = new Set(merged.flatMap(({ states }) => states));
  return [...alike.filter(({ states }) => !taken.has(states[0]!)), ...merged];
}

function reactionOf(region: string, states: RegionTable, signal: string): Reaction | undefined {
  const decisions = Object.entries(states).flatMap(([state, { [signal]: decision }]) =>
    decision === undefined ? [] : [[state, decision] as const],
  );
  if (decisions.length === 0) return undefined;
  const groups = groupsOf(decisions);
  const always = groups[0]!.states.length === Object.keys(states).length;
  return { region, groups, always };
}

/** The questions of a decision, and what `act` makes of each outcome. */
function decisionLines(
  decision: Decision,
  depth: number,
  act: (outcome: Outcome) => readonly string[],
): string[] {
  const chain: Branch[] = [];
  let rest = decision;
  while ('ask' in rest) {
    const { ask, yes, no } = rest;
    chain.push({ when: [`guards.${ask}(self, ctx)`], body: decisionLines(yes, depth + 1, act) });
    rest = no;
  }
  const otherwise = act(rest);
  if (chain.length === 0) return [...otherwise];
  return branches(
    otherwise.length === 0 ? chain : [...chain, { when: [], body: otherwise }],
    depth,
  );
}

/** By the state that a region is in. */
function reactionLines(
  { region, groups, always }: Reaction,
  depth: number,
  act: (outcome: Outcome) => readonly string[],
): string[] {
  const place = constant(region);
  if (always) return decisionLines(groups[0]!.decision, depth, act);
  return branches(
    groups.map(({ states, decision }) => ({
      when: states.map((state) => `u8[at + ${place}] === ${constant(region, state)}`),
      body: decisionLines(decision, depth + 1, act),
    })),
    depth,
  );
}

const change = (region: string, to: string | undefined): string[] =>
  to === undefined ? [] : [`u8[at + ${constant(region)}] = ${constant(region, to)};`];

/** A region that reacts by itself acts as soon as it has decided. */
const alone = (reaction: Reaction, depth: number): string[] =>
  reactionLines(reaction, depth, (outcome) => [
    ...callsOf(outcome),
    ...change(reaction.region, outcome.to),
  ]);

/** Several regions: what each decides is a number until all have decided. */
function together(reactions: readonly Reaction[], depth: number): string[] {
  const decide: string[] = [];
  const act: string[] = [];
  const settle: string[] = [];
  for (const reaction of reactions) {
    const { region } = reaction;
    const outcomes: Outcome[] = [];
    decide.push(
      `let ${region} = 0;`,
      ...reactionLines(reaction, depth, (outcome) =>
        doesNothing(outcome) ? [] : [`${region} = ${outcomes.push(outcome)};`],
      ),
    );
    const chosen = (of: (outcome: Outcome) => readonly string[]): string[] =>
      branches(
        outcomes
          .map((outcome, i) => ({ when: [`${region} === ${i + 1}`], body: of(outcome) }))
          .filter(({ body }) => body.length > 0),
        depth,
      );
    act.push(...chosen(callsOf));
    settle.push(...chosen(({ to }) => change(region, to)));
  }
  return [...decide, ...act, ...settle];
}

/** A machine's table as code. */
export interface TableCode {
  /** Where in the struct each region's state stands, and the byte of each state. */
  readonly constants: ReadonlyMap<string, number>;
  /** The body of each signal's method, which has `ctx` and the machine as `this`. */
  readonly methods: ReadonlyMap<string, readonly string[]>;
}

/** What a body needs of the struct. */
function structLines(body: readonly string[]): string[] {
  const uses = (text: string): boolean => body.some((line) => line.includes(text));
  const self = uses('(self') ? ['const self = this.state;'] : [];
  const from = self.length > 0 ? 'self' : 'this.state';
  return uses('u8[') ? [...self, `const { at, u8 } = ${from};`] : self;
}

/** How deep the bodies of methods stand. */
const DEPTH = 2;

/**
 * The code of a table, on structs of a type.
 *
 * @throws TypeError when the struct has no field for a region; DeriveError when two names of regions
 * and states come to one constant.
 */
export function tableCode({ machine, regions }: MachineTable, type: AnyStructType): TableCode {
  const signals = new Set(
    Object.values(regions).flatMap((states) => Object.values(states).flatMap(Object.keys)),
  );
  const methods = new Map<string, string[]>();
  for (const signal of [...signals].sort()) {
    const reactions = Object.entries(regions)
      .map(([region, states]) => reactionOf(region, states, signal))
      .filter((reaction) => reaction !== undefined);
    const [first] = reactions;
    const body = reactions.length === 1 ? alone(first!, DEPTH) : together(reactions, DEPTH);
    methods.set(signal, [...structLines(body), ...body]);
  }
  const text = [...methods.values()].flat().join('\n');
  const constants = Object.entries(regions).flatMap(([region, states]) => [
    [constant(region), regionOffset(type, region)] as const,
    ...Object.keys(states).map(
      (state) => [constant(region, state), stateByte(type, region, state)] as const,
    ),
  ]);
  const names = new Set(constants.map(([name]) => name));
  if (names.size !== constants.length) {
    throw new DeriveError(machine, 'regions and states whose constants differ', [...names].join());
  }
  const used = constants.filter(([name]) => new RegExp(`\\b${name}\\b`).test(text));
  return { constants: new Map(used), methods };
}

const titled = (name: string): string => `${name[0]!.toUpperCase()}${name.slice(1)}`;

/** The module that is committed. */
export function tableModule(table: MachineTable, type: AnyStructType): string {
  const { machine } = table;
  const name = titled(machine);
  const { constants, methods } = tableCode(table, type);
  const lines = [...methods].flatMap(([signal, body]) => {
    const usesCtx = body.some((line) => line.includes('ctx'));
    return ['', `${signal}(${usesCtx ? 'ctx: Ctx' : ''}): void {`, ...inside(body), '}'];
  });
  const codes = ['Guard', 'Recipe'].map((kind) => ({ kind, all: `${machine}${kind}s` }));
  const types = [
    'type Ctx',
    ...codes.map(({ kind }) => `type ${name}${kind}`),
    `type ${name}State`,
  ];
  return [
    `/** What the machine ${machine} does at each signal. Derived from it by XState: \`npm run build\`. */`,
    'import {',
    ...inside([...types, ...codes.map(({ all }) => all)].map((line) => `${line},`)),
    "} from '../../clock/index.ts';",
    `import type { ${name}Cell } from '../stepper.ts';`,
    '',
    ...codes.map(
      ({ kind, all }) =>
        `const ${kind.toLowerCase()}s: Readonly<Record<keyof typeof ${all}, ${name}${kind}>> = ${all};`,
    ),
    '',
    '// Where in the struct the state of a region stands, and the bytes that stand for its states.',
    ...[...constants].map(([constantName, value]) => `const ${constantName} = ${value};`),
    '',
    `/** A machine ${machine} on its live struct. */`,
    `export class ${name}Table implements ${name}Cell {`,
    `  readonly state: ${name}State;`,
    '',
    `  constructor(state: ${name}State) {`,
    '    this.state = state;',
    '  }',
    ...inside(lines),
    '}',
    '',
  ].join('\n');
}
