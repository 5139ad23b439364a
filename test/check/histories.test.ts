/** Whatever happens, the invariants hold: on every kernel and host that histories are made for. */
import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { Checker, INVARIANTS, type Violation } from '../../src/check/index.ts';
import { PROFILE_IDS, profile } from '../../src/profiles/index.ts';
import { HISTORY_PROFILES, histories, runs } from '../engine/arbitraries.ts';
import { type HistorySpec, newWorld, play } from '../engine/history.ts';

function violationsOf(spec: HistorySpec): Violation[] {
  const world = newWorld(spec);
  const checker = new Checker(world);
  const violations: Violation[] = [];
  play(
    spec,
    { after: (input, dispatched) => violations.push(...checker.after(input, dispatched)) },
    world,
  );
  return violations;
}

describe.each(HISTORY_PROFILES.map((id) => [id]))('on %s', (id) => {
  it('every invariant that holds there holds', () => {
    fc.assert(
      fc.property(histories(120, [id]), (spec) => {
        expect(violationsOf(spec)).toEqual([]);
      }),
      runs(80),
    );
  });
});

test('they hold on every kernel that has a profile, and on patches that are not merged', () => {
  fc.assert(
    fc.property(histories(120, PROFILE_IDS), (spec) => {
      expect(violationsOf(spec)).toEqual([]);
    }),
    runs(150),
  );
});

test('invariants say what they are about, and under which kernels', () => {
  expect(new Set(INVARIANTS.map(({ id }) => id)).size).toBe(INVARIANTS.length);
  for (const { id, name, statement, source, bound } of INVARIANTS) {
    expect(id).toMatch(/^V\d+[a-z]?$/);
    for (const text of [name, statement, source, bound]) expect(text.trim()).not.toBe('');
    expect(statement).toMatch(/[.)]$/);
  }
  const on = (release: string): string[] =>
    INVARIANTS.filter((v) => v.holdsUnder(profile(release).switches)).map(({ id }) => id);
  const newer = ['V5', 'V8', 'V12', 'V12e', 'V13v', 'V22', 'V23'];
  expect(on('v7.3').filter((id) => !on('v4.9').includes(id))).toEqual(newer);
  expect(on('v4.9').filter((id) => !on('v7.3').includes(id))).toEqual([]);
});
