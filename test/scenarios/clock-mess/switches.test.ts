/** “Cleaning up the KVM clock mess”: each patch shows by its switches alone. */
import { describe, expect, test } from 'vitest';
import {
  PROFILE_IDS,
  PROFILES,
  type ProfileId,
  type Switches,
  type SwitchName,
} from '../../../src/profiles/index.ts';
import { kernelsOf } from '../../../src/scenarios/clock-mess/clock-mess.ts';
import { PATCHES, SERIES, switchesOf } from '../../../src/scenarios/clock-mess/patches.ts';
import { cli } from '../../cli/run.ts';
import { patchSeen } from './patch.ts';

const SILENT = [4, 5, 11, 12];

test('there are 21 rows, in order', () => {
  expect(PATCHES.map(({ number }) => number)).toEqual(Array.from({ length: 21 }, (_, i) => i + 1));
});

const valuesOf = (names: readonly SwitchName[], from: Switches): Partial<Switches> =>
  Object.assign({}, ...names.map((name) => ({ [name]: from[name] })));

const showing = SERIES.flatMap((series) =>
  PATCHES.filter((patch) => switchesOf(patch, series).length > 0).map((patch) => {
    const kernels = kernelsOf(PROFILES['v6.8'], patch, { series });
    return { series, patch, number: patch.number, ...kernels };
  }),
);

/** A series' patches, each with a switch that it sets. */
const flips = showing.flatMap(({ patch, series, ...rest }) =>
  switchesOf(patch, series).map((name) => ({ series, name, ...rest })),
);

describe('a patch shows by its switches and by nothing else', () => {
  test.each(showing)('$series: $number', async ({ series, patch, number, before, after }) => {
    const params = { series };
    const plain = await patchSeen(number, { params });
    expect(plain.after).not.toEqual(plain.before);
    const names = switchesOf(patch, series);
    const off = await patchSeen(number, { params, set: valuesOf(names, before.switches) });
    expect(off).toMatchObject({ before: plain.before, after: plain.before });
    const on = await patchSeen(number, { params, set: valuesOf(names, after.switches) });
    expect(on).toMatchObject({ before: plain.after, after: plain.after });
  });

  test.each(flips)('$series: $number by $name', async ({ series, number, name, before, after }) => {
    expect(after.switches[name]).not.toBe(before.switches[name]);
    const params = { series };
    const plain = await patchSeen(number, { params });
    const without = await patchSeen(number, { params, set: valuesOf([name], before.switches) });
    expect(without.after).not.toEqual(plain.after);
  });

  test.each(SILENT)(
    '%s changes no behaviour: neither what is seen nor the digest',
    async (patch) => {
      for (const series of ['rfc-v3', 'series-v6']) {
        const { before, after, hosts } = await patchSeen(patch, { params: { series } });
        expect(after).toEqual(before);
        const [one, other] = hosts.map(({ summary }) => summary.digests.all);
        expect(other).toBe(one);
      }
    },
  );

  const kernels: readonly ProfileId[] = ['v4.4', 'v5.10', 'v7.3', 'series-v6'];
  test.each(kernels)('every one plays under %s', async (profile) => {
    expect(PROFILE_IDS).toContain(profile);
    for (const { number } of PATCHES) {
      const { hosts } = await patchSeen(number, { profile, params: { uptime: '1h' } });
      for (const { summary } of hosts) expect(summary.impossible).toBe(0);
    }
  });
});

describe('a kernel that has the patch is without it before', () => {
  test.each(SERIES)('1, merged in v7.3: %s', async (series) => {
    const { before, after } = await patchSeen(1, { profile: 'v7.3', params: { series } });
    const moves = 'kvmclock moves by (ns)';
    expect([before[moves], after[moves]]).toEqual([-39_705_075n, 0n]);
  });

  // Merged as v6 has it; v3 has it otherwise.
  test.each([
    ['v7.3', 'rfc-v3'],
    ['v7.3', 'series-v6'],
    ['series-v6', 'rfc-v3'],
    ['rfc-v3', 'series-v6'],
  ] as const)('20: %s, %s', async (profile, series) => {
    const { before, after } = await patchSeen(20, { profile, params: { series } });
    const blocked = 'time it was blocked (ns)';
    expect([before[blocked], after[blocked]]).toEqual([2n ** 64n - 1_000_000_000n, 0n]);
  });

  test('19: the work that v6.19 removed is no patch’s of v6', () => {
    const { before } = kernelsOf(PROFILES['series-v6'], PATCHES[18]!, { series: 'rfc-v3' });
    expect(before.switches.periodicSync).toBe('none');
  });
});

test.each([
  ['--patch', '22', /--patch: expected a whole number, 1 to 21, found "22"\n$/],
  ['--series', 'v6', /--series: expected rfc-v3 or series-v6, found "v6"\n$/],
  ['--ptch', '2', /expected --patch or .*, found --ptch\n$/],
  ['--set', 'pvScaleUnit=mhz', /pvScaleUnit: expected .*khz.*, found "mhz"\n$/],
])('%s %s names what is valid', async (option, value, message) => {
  const { code, stderr } = await cli('simulate', 'clock-mess', option, value);
  expect(code).toBe(2);
  expect(stderr).toMatch(message);
});
