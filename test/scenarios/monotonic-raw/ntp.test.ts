/** The first source mail, MONOTONIC_RAW behind the masterclock: what NTP has steered comes out at once. */
import { describe, expect, test } from 'vitest';
import type { Switches } from '../../../src/profiles/index.ts';
import type { PlayOptions } from '../../../src/scenarios/play.ts';
import { table } from '../table.ts';

const DAY_NS = 86_400_000_000_000n;

describe('ntp-hotplug', () => {
  test('v4.19: 20 ppm in 30 days are +51.84 s at once, and the 10 s of the bring-up are over', async () => {
    const { rows, hosts } = await table('ntp-hotplug');
    expect(rows).toEqual([
      {
        vCPU: 0,
        'jump (ns)': 51_840_000_000n,
        'uptime × NTP (ns)': 51_840_000_000n,
        'waited (ns)': 51_845_000_000n,
        'bring-up': 'fails',
      },
      expect.objectContaining({ vCPU: 1, 'jump (ns)': 51_840_000_000n }),
    ]);
    const jumps = hosts[0]!.findings.filter(({ rule }) => rule === 'jump');
    expect(jumps).toHaveLength(2);
    for (const jump of jumps) {
      expect(jump).toMatchObject({ severity: 'error', mechanism: 'base-rate', remainderNs: 0n });
      expect(jump.cause).toBe('vCPU 2 was created');
      expect(jump.reason).toContain('A CPU that the guest is bringing up fails');
    }
  });

  test('clocks run behind as well as ahead: −20 ppm step back, and the bring-up succeeds', async () => {
    const { rows } = await table('ntp-hotplug', { params: { ntpPpm: '-20' } });
    expect(rows[0]).toMatchObject({ 'jump (ns)': -51_840_000_000n, 'bring-up': 'succeeds' });
  });

  test.each([
    { uptime: '1d', ntpPpm: '20', jump: 1_728_000_000n, bringUp: 'succeeds' },
    { uptime: '27.8d', ntpPpm: '20', jump: 48_038_400_000n, bringUp: 'fails' },
    { uptime: '26.7h', ntpPpm: '500', jump: 48_060_000_000n, bringUp: 'fails' },
    { uptime: '365d', ntpPpm: '0.1', jump: 3_153_600_000n, bringUp: 'succeeds' },
    { uptime: '30d', ntpPpm: '-0.000001', jump: -2_592n, bringUp: 'succeeds' },
  ])('$uptime at $ntpPpm ppm: $jump ns', async ({ jump, bringUp, ...params }) => {
    const { rows } = await table('ntp-hotplug', { params });
    expect(rows[0]).toMatchObject({ 'jump (ns)': jump, 'uptime × NTP (ns)': jump });
    expect(rows[0]!['bring-up']).toBe(bringUp);
  });

  test.each([
    ['0', 0n],
    ['5ms', 5_000_000n],
    ['9s', 9_000_000_000n],
  ])(
    'a CPU that answers after %s: the guest has waited for the jump as well',
    async (answer, ns) => {
      const late = await table('ntp-hotplug', { params: { answer, ntpPpm: '1', uptime: '10d' } });
      expect(late.rows[0]).toMatchObject({
        'waited (ns)': 864_000_000n + ns,
        'bring-up': ns + 864_000_000n < 10_000_000_000n ? 'succeeds' : 'fails',
      });
    },
  );

  // The steered clock counts by the multiplier of MONOTONIC_RAW and what NTP adds: both errors sum.
  test.each([
    ['2500000', 51_840_000_000n - 30n * 5_129_725n],
    ['2400000', 51_840_000_000n + 30n * 4_127_920n],
    ['3000000', 51_840_000_000n - 30n * 5_129_725n],
  ])('at %s kHz the residue of MONOTONIC_RAW is part of it', async (tscKhz, about) => {
    const { rows } = await table('ntp-hotplug', { params: { tscKhz } });
    const off = (rows[0]!['jump (ns)'] as bigint) - about;
    // 30 days are rounded once, 30 times a day 30 times.
    expect(off >= -30n && off <= 30n).toBe(true);
  });

  test.each(['v5.5', 'v5.10', 'v6.1'])(
    '%s: a new reference, of a clock nobody steers',
    async (profile) => {
      const { rows, hosts } = await table('ntp-hotplug', { profile });
      expect(rows[0]).toMatchObject({ 'jump (ns)': 0n, 'bring-up': 'succeeds' });
      expect(hosts[0]!.summary.world.vms.get(0)!.cell.state.masterKernelNs).toBe(30n * DAY_NS);
      const residue = await table('ntp-hotplug', { profile, params: { tscKhz: '2500000' } });
      const jump = residue.rows[0]!['jump (ns)'] as bigint;
      const cycles = 30n * 86_400n * 2_500_000_000n;
      expect(jump).toBe(
        ((cycles * 6_710_886n) >> 24n) - (((cycles >> 1n) * 3_435_973_836n) >> 32n),
      );
    },
  );

  test('v6.8: a vCPU whose TSC matches takes no new reference at all', async () => {
    const { rows, hosts } = await table('ntp-hotplug', {
      profile: 'v6.8',
      params: { tscKhz: '2500000' },
    });
    expect(rows[0]).toMatchObject({ 'jump (ns)': 0n });
    expect(hosts[0]!.summary.world.vms.get(0)!.cell.state.masterKernelNs).toBe(0n);
  });

  test.each<[string, Partial<Switches>, bigint]>([
    ['v4.19', { masterBase: 'raw' }, 0n],
    ['v4.19', { mclkRequestOnTrack: 'toggle-or-generation' }, 0n],
    ['v5.10', { masterBase: 'boottime' }, 51_840_000_000n],
  ])('%s with %j: %s ns', async (profile, set, jump) => {
    const { rows } = await table('ntp-hotplug', { profile, set });
    expect(rows[0]!['jump (ns)']).toBe(jump);
  });
});

describe('ntp-triggers', () => {
  const restsOf = async (options: PlayOptions) =>
    (await table('ntp-triggers', options)).rows.map((row) => [
      row['update'],
      (row['jump (ns)'] as bigint) - (row['slept (ns)'] as bigint),
    ]);

  test.each([
    { uptime: '30d', ntpPpm: '20', steered: 51_840_000_000n },
    { uptime: '1d', ntpPpm: '-500', steered: -43_200_000_000n },
    { uptime: '2h', ntpPpm: '10', steered: 72_000_000n },
  ])('v4.19: each moves the clock by $steered ns', async ({ steered, ...params }) => {
    expect(await restsOf({ params })).toEqual(
      ['hv-reference-tsc', 'tsc-writes', 'suspend'].flatMap((update) => [
        [update, steered],
        [update, steered],
      ]),
    );
  });

  test('v5.10: none of them', async () => {
    const rests = await restsOf({ profile: 'v5.10' });
    expect(rests).toHaveLength(6);
    for (const [, rest] of rests) expect(rest).toBe(0n);
  });

  test('v5.5: what a suspend leaves without masterclock is still steered', async () => {
    const rests = await restsOf({ profile: 'v5.5' });
    expect(rests.map(([, rest]) => rest)).toEqual([
      0n,
      0n,
      0n,
      0n,
      51_840_000_000n,
      51_840_000_000n,
    ]);
  });

  test.each<[string, Partial<Switches>, readonly bigint[]]>([
    ['v4.19', { masterBase: 'raw' }, [0n, 0n, 51_840_000_000n]],
    ['v4.19', { otherBase: 'raw' }, [51_840_000_000n, 51_840_000_000n, 0n]],
    ['v5.10', { masterBase: 'boottime' }, [51_840_000_000n, 51_840_000_000n, 0n]],
  ])('%s with %j', async (profile, set, expected) => {
    const rests = await restsOf({ profile, set });
    expect(rests.map(([, rest]) => rest)).toEqual(expected.flatMap((rest) => [rest, rest]));
  });

  test('TSCs are written and do not move; a suspend turns the masterclock off for good', async () => {
    const { hosts } = await table('ntp-triggers');
    for (const { findings } of hosts) {
      expect(findings.filter(({ rule }) => rule === 'tsc-jump')).toEqual([]);
      for (const { remainderNs } of findings.filter(({ rule }) => rule === 'jump')) {
        expect(remainderNs).toBe(0n);
      }
    }
    const [, , suspended] = hosts;
    const lost = suspended!.findings.filter(({ rule }) => rule === 'masterclock-lost');
    expect(lost).toMatchObject([
      { severity: 'error', cause: 'the TSC went backwards over a suspend' },
    ]);
    expect(suspended!.findings.find(({ rule }) => rule === 'jump')).toMatchObject({
      mechanism: 'suspend',
      cause: 'the host resumed',
    });
  });
});
