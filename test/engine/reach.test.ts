/**
 * Which states are reached, and that a world in any configuration can be persisted: each time some
 * machine is in a configuration not seen before, the world goes through JSON and both go on.
 */
import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { persist, restore, type World } from '../../src/engine/index.ts';
import { HISTORY_PROFILES, histories, runs } from './arbitraries.ts';
import { configurationsOf, type MachineName, statesOf } from './configurations.ts';
import { Teller } from './directed.ts';
import { seen } from './future.ts';
import { play } from './history.ts';
import { bytesOf } from './snapshot.ts';
import { STORIES, STORY_HOST } from './told.ts';

/** Configurations met so far, by all tests of this file. */
const met = new Set<string>();

/** Whether some machine is in a configuration that was not met before. */
function meets(world: World): boolean {
  const before = met.size;
  for (const configuration of configurationsOf(world)) met.add(configuration);
  return met.size > before;
}

const copyOf = (world: World): World => restore(JSON.parse(JSON.stringify(persist(world))));

/** How many inputs a copy goes along with its original. */
const TOGETHER = 6;

describe('a world in any reachable configuration', () => {
  it.each(HISTORY_PROFILES.map((id) => [id]))('comes back from JSON and goes on: %s', (id) => {
    fc.assert(
      fc.property(histories(120, [id]), (spec) => {
        let copies: { world: World; left: number }[] = [];
        play(spec, {
          after: (input, dispatched, world) => {
            for (const copy of copies) {
              expect(seen(copy.world.dispatch(input))).toBe(seen(dispatched));
              copy.left -= 1;
              if (copy.left === 0) expect(bytesOf(copy.world)).toEqual(bytesOf(world));
            }
            copies = copies.filter(({ left }) => left > 0);
            if (meets(world)) copies.push({ world: copyOf(world), left: TOGETHER });
          },
        });
      }),
      runs(40),
    );
  });
});

describe.each(Object.entries(STORIES))('a world with %s', (_what, tell) => {
  it.each(HISTORY_PROFILES.map((id) => [id]))('comes back from JSON: %s', (id) => {
    const t = new Teller(id, STORY_HOST).boot(1);
    t.heard = () => {
      if (meets(t.world)) expect(bytesOf(copyOf(t.world))).toEqual(bytesOf(t.world));
    };
    tell(t);
    expect(bytesOf(copyOf(t.world))).toEqual(bytesOf(t.world));
  });
});

/** A struct exists from its creation to its end. */
const NOT_REACHED = [
  'vcpu life.absent',
  'vcpu life.destroyed',
  'vm life.absent',
  'vm life.destroyed',
];

const statesMet = (): Set<string> =>
  new Set(
    [...met].flatMap((configuration) => {
      const [machine, ...states] = configuration.split(' ');
      return states.map((state) => `${machine} ${state}`);
    }),
  );

test('every state of host, VM and vCPU was reached in these histories', () => {
  const machines: readonly MachineName[] = ['host', 'vm', 'vcpu'];
  const all = machines.flatMap((machine) =>
    statesOf(machine).map((state) => `${machine} ${state}`),
  );
  const reached = statesMet();
  expect(all.filter((state) => !reached.has(state)).sort()).toEqual(NOT_REACHED);
  expect([...reached].filter((state) => !all.includes(state))).toEqual([]);
  // As many combinations of them as the generator has always reached, and it may reach more.
  expect(met.size).toBeGreaterThan(90);
});
