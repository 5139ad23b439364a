/**
 * The tables do what the actors do: at every step of generated and told histories the two worlds have
 * the same bytes and show the same. These histories take every transition of host, VM and vCPU
 * and have every guard answer both ways; the list is printed.
 */
import fc from 'fast-check';
import { afterAll, describe, expect, it, test } from 'vitest';
import { tellStory } from '../check/story.ts';
import { HISTORY_PROFILES, histories, runs } from './arbitraries.ts';
import { Coverage } from './coverage.ts';
import { PLAIN_HOST, Teller } from './directed.ts';
import { Footsteps } from './footsteps.ts';
import { newWorld, play } from './history.ts';
import { type NewTeller, STORIES, STORY_HOST, tellRareThings } from './told.ts';
import { Twin } from './twins.ts';

const coverage = new Coverage();
let compared = 0;

/** A teller whose world has a twin. */
const twinTeller: NewTeller = (id, host = PLAIN_HOST) => {
  const steps = new Footsteps(coverage.stepper);
  const t = new Teller(id, host, steps.stepper);
  const twin = new Twin(t.world, steps);
  t.heard = (input, dispatched) => {
    twin.follow(input, dispatched);
    compared += 1;
  };
  return t;
};

describe('tables and actors are the same at every step', () => {
  it.each(HISTORY_PROFILES.map((id) => [id]))('of generated histories: %s', (id) => {
    fc.assert(
      fc.property(histories(120, [id]), (spec) => {
        const steps = new Footsteps(coverage.stepper);
        const world = newWorld(spec, steps.stepper);
        const twin = new Twin(world, steps);
        play(spec, { after: twin.follow }, world);
        compared += twin.compared;
      }),
      runs(90),
    );
  });

  it('of rare things', () => {
    tellRareThings(twinTeller);
  });

  it.each(HISTORY_PROFILES.map((id) => [id]))('of told histories: %s', (id) => {
    tellStory(twinTeller(id));
    for (const tell of Object.values(STORIES)) {
      tell(twinTeller(id, STORY_HOST).boot(1));
    }
  });
});

test('every transition is taken, and every guard answers both ways', () => {
  expect(coverage.missing).toEqual([]);
  expect(coverage.transitions.length).toBeGreaterThan(100);
  expect(compared).toBeGreaterThan(30_000);
});

afterAll(() => {
  process.stdout.write(`${coverage.text}inputs compared: ${compared}\n`);
});
