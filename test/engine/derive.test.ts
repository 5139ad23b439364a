/** Tables are what XState makes of the machines, and machines that no table can say are refused. */
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it, test } from 'vitest';
import { type AnyStateMachine, assign, raise, setup, stateIn } from 'xstate';
import { DeriveError, deriveModules, deriveTable } from '../../src/engine/derive/index.ts';
import { routeModule } from '../../src/engine/derive/route-code.ts';
import { tableCode } from '../../src/engine/derive/table-code.ts';
import { call, host } from '../../src/engine/phase.ts';
import { oneOf, struct } from '../../src/num/index.ts';

const TABLES = new URL('../../src/engine/tables/', import.meta.url);

describe('src/engine/tables', () => {
  const derived = deriveModules();

  it.each([...derived])('%s is current: npm run build', (file, text) => {
    expect(readFileSync(new URL(file, TABLES), 'utf8')).toBe(text);
  });

  it('has a table for each machine that a world steps and no others', () => {
    expect(readdirSync(TABLES).sort()).toEqual([...derived.keys()].sort());
  });
});

const base = setup({
  guards: { asked: () => true, inside: stateIn({ a: 'two' }) },
  actions: { recipe: assign({}), other: assign({}), raised: raise({ type: 'GO' }) },
});

/** What `createMachine` is given, of any shape: the types would refuse some before we can. */
type Config = Readonly<Record<string, unknown>>;

const machineOf = (config: Config): AnyStateMachine =>
  base.createMachine({ id: 'm', type: 'parallel', context: {}, ...config });

/** One region with one more member in its first state. */
const withMember = (member: Config): AnyStateMachine =>
  machineOf({ states: { a: { initial: 'one', states: { one: member, two: {} } } } });

const REFUSED: Readonly<Record<string, () => AnyStateMachine>> = {
  'an actor that a state invokes': () => withMember({ invoke: { src: 'x' } }),
  'a delay': () => withMember({ after: { 100: 'two' } }),
  'an eventless transition': () => withMember({ always: { guard: 'asked', target: 'two' } }),
  'an action at entry': () => withMember({ entry: 'recipe' }),
  'an action at exit': () => withMember({ exit: 'recipe' }),
  'a state that remembers': () => withMember({ type: 'history' }),
  'a final state': () => withMember({ type: 'final' }),
  'an inline guard': () => withMember({ on: { GO: { guard: () => true, target: 'two' } } }),
  'an inline action': () => withMember({ on: { GO: { actions: () => {} } } }),
  'a guard with parameters': () => withMember({ on: { GO: { guard: { type: 'asked' } } } }),
  'a guard about another region': () => withMember({ on: { GO: { guard: 'inside' } } }),
  'a guard that is not there': () => withMember({ on: { GO: { guard: 'nowhere' } } }),
  'an action that raises an event': () => withMember({ on: { GO: { actions: 'raised' } } }),
  'any signal': () => withMember({ on: { '*': 'two' } }),
  'a transition that enters anew': () =>
    withMember({ on: { GO: { target: 'two', reenter: true } } }),
  'several targets': () => withMember({ on: { GO: { target: ['one', 'two'] } } }),
  'a transition of the whole machine': () => machineOf({ on: { GO: {} }, states: { a: {} } }),
  'one region that moves another': () =>
    machineOf({
      states: {
        a: { initial: 'one', states: { one: { on: { GO: '#m.b.two' } }, two: {} } },
        b: { initial: 'one', states: { one: {}, two: {} } },
      },
    }),
};

describe('no table is derived from a machine with', () => {
  it.each(Object.entries(REFUSED))('%s', (_what, make) => {
    expect(() => deriveTable(make())).toThrow(DeriveError);
  });

  it('regions within regions', () => {
    const inner = { type: 'parallel', states: { x: {}, y: {} } };
    const machine = machineOf({ states: { a: { initial: 'one', states: { one: inner } } } });
    expect(() => deriveTable(machine)).toThrow(DeriveError);
  });
});

test('a refusal says where and what', () => {
  const machine = withMember({ on: { GO: { actions: 'raised' } } });
  expect(() => deriveTable(machine)).toThrow('m.a.one on GO: expected a recipe, found raised');
});

test('guards are asked in order, a state’s own before its region’s', () => {
  const machine = machineOf({
    states: {
      a: {
        initial: 'one',
        on: { GO: { actions: ['other', 'recipe'] } },
        states: {
          one: { on: { GO: { guard: 'asked', target: 'two', actions: 'recipe' } } },
          two: {},
        },
      },
    },
  });
  expect(deriveTable(machine).regions['a']).toEqual({
    one: {
      GO: { ask: 'asked', yes: { run: ['recipe'], to: 'two' }, no: { run: ['other', 'recipe'] } },
    },
    two: { GO: { run: ['other', 'recipe'] } },
  });
});

test('a region and a state that come to one constant are no code', () => {
  const type = struct('M', { a: oneOf('one', 'b'), aB: oneOf('x') });
  const table = { machine: 'm', regions: { a: { one: {}, b: {} }, aB: { x: {} } } };
  expect(() => tableCode(table, type)).toThrow(DeriveError);
});

test('two functions of one name that do different things are no code', () => {
  const routes = { a: [call('f', host('SUSPEND'))], b: [call('f', host('RESUME'))] };
  expect(() => routeModule(routes, new Map())).toThrow(DeriveError);
});
