import { describe, expect, test } from 'vitest';
import {
  isSwitchName,
  isSwitchValue,
  originOf,
  PROFILE_IDS,
  PROFILES,
  profile,
  SWITCH_NAMES,
  SWITCHES,
  UnknownProfileError,
} from '../../src/profiles/index.ts';
import { compareReleases } from '../../src/profiles/release.ts';
import { KERNELS, TABLE } from './table.ts';

test('the profiles are those of the reference, kernels first and in order', () => {
  expect(PROFILE_IDS).toEqual(['v4.2-cfz', ...KERNELS, 'precise-tsc', 'rfc-v3', 'series-v6']);
});

test('every profile has every switch, with a value that the switch has', () => {
  for (const id of PROFILE_IDS) {
    const { switches } = PROFILES[id];
    expect(Object.keys(switches).toSorted(), id).toEqual([...SWITCH_NAMES].toSorted());
    for (const name of SWITCH_NAMES) {
      expect(isSwitchValue(name, switches[name]), `${id} ${name}=${switches[name]}`).toBe(true);
    }
  }
});

describe('the switch matrix', () => {
  test.each(SWITCH_NAMES)('%s', (name) => {
    const { kernels, rfc, v6, precise } = TABLE[name];
    const expected = KERNELS.map((_, i) => kernels[i] ?? kernels.at(-1));
    expect(KERNELS.map((id) => PROFILES[id].switches[name])).toEqual(expected);
    expect(PROFILES['rfc-v3'].switches[name]).toBe(rfc);
    expect(PROFILES['series-v6'].switches[name]).toBe(v6);
    const { 'precise-tsc': posted, 'v5.10': base } = PROFILES;
    expect(posted.switches[name]).toBe(precise ?? base.switches[name]);
  });
});

test('v4.2 is v4.4 with a clock that counts from zero', () => {
  const { 'v4.2-cfz': cfz, 'v4.4': next } = PROFILES;
  expect(cfz.switches).toEqual({ ...next.switches, countsFromZero: true });
});

/** Values that a later posting or a mail brought, and no profile stands for. */
const NO_PROFILE: readonly string[] = [
  'clockGuestIoctls=after-v6',
  'tscStateIoctls=v2',
  'tscAdjustSynchronizes=true',
  'eventInjCheck=posted-2020',
];

test('every value of every switch is some profile’s, or named as none’s', () => {
  const unused = SWITCH_NAMES.flatMap((name) => {
    const used = new Set<unknown>(PROFILE_IDS.map((id) => PROFILES[id].switches[name]));
    const values: readonly unknown[] = SWITCHES[name].values;
    return values.filter((value) => !used.has(value)).map((value) => `${name}=${String(value)}`);
  });
  expect(unused).toEqual(NO_PROFILE);
});

test('the kernels’ ranges leave no release out, and each describes one of its own', () => {
  const ranges = ['v4.2-cfz' as const, ...KERNELS].map((id) => PROFILES[id].covers!);
  expect(ranges[0]).toEqual(['v4.2', 'v4.2']);
  expect(ranges.at(-1)).toEqual(['v7.3', 'v7.3']);
  const successor = { 'v5.19': 'v6.0', 'v6.19': 'v7.0' } as Record<string, string>;
  for (const [i, [first]] of ranges.entries()) {
    if (i === 0) continue;
    const [major, minor] = ranges[i - 1]![1].slice(1).split('.');
    const last = `v${major}.${minor}`;
    expect(first).toBe(successor[last] ?? `v${major}.${Number(minor) + 1}`);
  }
  for (const id of KERNELS) {
    const { covers, release } = PROFILES[id];
    expect(compareReleases(covers![0], release)).toBeLessThanOrEqual(0);
    expect(compareReleases(release, covers![1])).toBeLessThanOrEqual(0);
  }
  expect(PROFILES['rfc-v3'].covers).toBeUndefined();
});

test('what changed from one kernel to the next came with a release between them', () => {
  for (const [i, id] of KERNELS.entries()) {
    if (i === 0) continue;
    const [before, after] = [PROFILES[KERNELS[i - 1]!], PROFILES[id]];
    for (const name of SWITCH_NAMES) {
      if (before.switches[name] === after.switches[name]) continue;
      const origin = originOf(id, name);
      if (origin?.kind !== 'commit' && origin?.kind !== 'release') {
        expect.unreachable(`${id}: ${name} came from no kernel`);
      }
      const when = `${id}: ${name} came with ${origin.release}`;
      expect(compareReleases(before.release, origin.release), when).toBeLessThan(0);
      expect(compareReleases(origin.release, after.release), when).toBeLessThanOrEqual(0);
    }
  }
});

test('a value’s origin is the change that brought it last', () => {
  expect(originOf('v4.4', 'masterBase')).toBeUndefined();
  expect(originOf('v5.5', 'otherBase')).toBeUndefined();
  expect(originOf('v7.3', 'masterBase')).toMatchObject({ commit: '53fafdbb8b21', release: 'v5.5' });
  expect(originOf('v5.10', 'xenCpuidLeaf')).toBeUndefined();
  expect(originOf('v7.3', 'xenCpuidLeaf')).toMatchObject({ commit: '7d3bd21e457b' });
  expect(originOf('rfc-v3', 'catchupFormula')).toEqual({
    kind: 'patch',
    series: 'rfc-v3',
    patches: [10],
    verified: true,
  });
});

test('profiles and switches cannot be changed', () => {
  expect(() => Object.assign(PROFILES, { 'v4.4': PROFILES['v7.3'] })).toThrow(TypeError);
  expect(() => Object.assign(PROFILES['v6.1'].switches, { masterBase: 'boottime' })).toThrow(
    TypeError,
  );
  expect(() => Object.assign(SWITCHES.getClock, { values: [] })).toThrow(TypeError);
});

test('a profile is found by its id', () => {
  expect(profile('v6.8')).toBe(PROFILES['v6.8']);
  expect(PROFILES['v6.8']).toMatchObject({ id: 'v6.8', overridden: [] });
});

test.each([
  ['v6.2', 'v6.1'],
  ['V6.15 ', 'v6.15'],
  ['series', 'series-v6'],
  ['rfcv3', 'rfc-v3'],
])('no profile %s: the error names %s first', (id, likeliest) => {
  const find = () => profile(id);
  expect(find).toThrow(UnknownProfileError);
  expect(find).toThrow(`profile: expected ${likeliest} or `);
});

test.each(['constructor', '__proto__', 'toString', ''])('%j is neither profile nor switch', (n) => {
  expect(() => profile(n)).toThrow(UnknownProfileError);
  expect(isSwitchName(n)).toBe(false);
});
