/** The first source mail: MONOTONIC_RAW behind the masterclock, by the worked numbers. */
import { describe, expect, test } from 'vitest';
import type { Switches } from '../../src/profiles/index.ts';
import { scenarioOf } from '../../src/scenarios/all.ts';
import { type PlayOptions, play } from '../../src/scenarios/play.ts';

/** The cells of a scenario's table by their columns. */
async function table(name: string, options: PlayOptions = {}) {
  const { table, ...played } = await play(scenarioOf(name), options);
  const rows = table.rows.map((row) =>
    Object.fromEntries(row.map((cell, i) => [table.columns[i]!, cell])),
  );
  return { ...played, rows };
}

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

describe('set-clock-order', () => {
  const offOf = async (options: PlayOptions) =>
    (await table('set-clock-order', options)).rows[0]!['off by (ns)'];

  test.each([
    { uptime: '30d', ntpPpm: '20', off: 51_840_000_000n },
    { uptime: '10d', ntpPpm: '-20', off: -17_280_000_000n },
    { uptime: '1h', ntpPpm: '1', off: 3_600_000n },
  ])('v4.9: against the old reference, off by $off ns', async ({ off, ...params }) => {
    expect(await offOf({ params: { ...params, delay: '0' } })).toBe(off);
  });

  test.each(['0', '1us', '250us'])(
    'v4.19: late by the time between two readings, %s',
    async (delay) => {
      const ns = { '0': 0n, '1us': 1_000n, '250us': 250_000n }[delay];
      expect(await offOf({ profile: 'v4.19', params: { delay } })).toBe(-ns!);
      expect(await offOf({ profile: 'v5.10', params: { delay } })).toBe(-ns!);
    },
  );

  test.each(['v4.4', 'v5.15', 'v7.3'])('%s: exact', async (profile) => {
    expect(await offOf({ profile })).toBe(0n);
  });

  test('the switch decides, in either kernel', async () => {
    expect(await offOf({ set: { setClockOrder: 'update-then-now' } })).toBe(-1_000n);
    const set = { setClockOrder: 'now-then-update' } as const;
    expect(await offOf({ profile: 'v4.19', set })).toBe(51_840_000_000n);
  });
});

describe('raw-residue', () => {
  const jumpOf = async (params: Record<string, string>, options: PlayOptions = {}) => {
    const { rows, hosts } = await table('raw-residue', { ...options, params });
    expect(rows[1]!['jump (ns)']).toBe(rows[0]!['jump (ns)']);
    expect(rows[0]!['RAW − page (ns)']).toBe(rows[0]!['jump (ns)']);
    const jumps = hosts[0]!.findings.filter(({ rule }) => rule === 'jump');
    for (const { predictedNs, deltaNs } of jumps) expect(predictedNs).toBe(deltaNs);
    return rows[0]!['jump (ns)'];
  };

  /** The notes round a rate times a day; the clocks round each reading down. */
  const expectAbout = (jump: unknown, expected: bigint) => {
    const off = (jump as bigint) - expected;
    expect(off >= -1n && off <= 1n, `${String(jump)}, expected ${expected}`).toBe(true);
  };

  test.each([
    ['2500000', '0', -5_129_725n],
    ['2400000', '0', 4_127_920n],
    ['3000000', '2500000', -39_705_075n],
  ])('%s kHz, guest %s: %s ns a day, to the nanosecond', async (tscKhz, guestKhz, jump) => {
    expect(await jumpOf({ tscKhz, guestKhz })).toBe(jump);
  });

  // The project's notes, §2.10, pvclock − RAW a day.
  test.each([
    ['2000000', 0n],
    ['2100000', 5_132_742n],
    ['2194843', 3_708_827n],
    ['2400000', -4_127_920n],
    ['2500000', 5_129_725n],
    ['2593906', 3_052_558n],
    ['2893299', -3_492_195n],
    ['2995200', -7_411_137n],
    ['3000000', 5_129_725n],
    ['3700000', 13_360_418n],
  ])('%s kHz: −(%s) ns a day', async (tscKhz, ahead) => {
    expectAbout(await jumpOf({ tscKhz }), -ahead);
  });

  // The project's notes, §5.2, B (kHz) − A a day.
  test.each([
    ['3000000', '2500000', 39_705_075n],
    ['2500000', '3000000', 33_946_708n],
    ['2600000', '2500000', 39_705_075n],
    ['2400000', '2345678', 32_696_142n],
    ['3000000', '1500000', 5_129_725n],
  ])('%s kHz scaled to %s: −%s ns a day', async (tscKhz, guestKhz, ahead) => {
    expectAbout(await jumpOf({ tscKhz, guestKhz }), -ahead);
  });

  test.each(['12h', '1d', '100d'])('grows with the uptime: %s', async (uptime) => {
    const days = { '12h': 1n, '1d': 2n, '100d': 200n }[uptime]!;
    const jump = (await jumpOf({ uptime, tscKhz: '2500000' })) as bigint;
    const off = jump * 2n + days * 5_129_725n;
    expect(off >= -days && off <= days).toBe(true);
  });

  test.each(['v5.5', 'v5.10', 'v6.1', 'v6.8', 'v7.2', 'v7.3'])(
    '%s still has it',
    async (profile) => {
      expect(await jumpOf({}, { profile })).toBe(-5_129_725n);
    },
  );

  test('the page’s frequency is cut to kHz: 2,499,999,000 Hz', async () => {
    const params = { tscKhz: '3000000', guestKhz: '2500000' };
    const { rows } = await table('raw-residue', { params });
    expect(rows[0]!['page’s TSC (Hz)']).toBe(2_499_999_000n);
  });

  test.each(['hz', 'hz-u32'] as const)('with pvScaleUnit=%s it is not', async (pvScaleUnit) => {
    const params = { tscKhz: '3000000', guestKhz: '2500000' };
    const { rows } = await table('raw-residue', { params, set: { pvScaleUnit } });
    // hvclock_to_hz() rounds down: 2,499,999,999 Hz went in.
    expect(rows[0]!['page’s TSC (Hz)']).toBe(2_499_999_998n);
    expect(rows[0]!['page']).toContain('3435973839');
    expect(rows[0]!['jump (ns)']).toBe(rows[0]!['RAW − page (ns)']);
    expect(rows[0]!['jump (ns)']).toBe(-5_205_161n);
  });

  test('a steered base has no part in it', async () => {
    expect(await jumpOf({}, { profile: 'v4.19' })).toBe(-5_129_725n);
  });
});
