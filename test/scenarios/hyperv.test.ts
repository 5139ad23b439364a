/** Hyper-V’s reference time, by the formulas of its page. */
import { describe, expect, test } from 'vitest';
import type { Switches } from '../../src/profiles/index.ts';
import type { PlayOptions } from '../../src/scenarios/play.ts';
import { big, table } from './table.ts';

const CENTURIES = (1n << 64n) / 100n;

describe('hv-set-clock', () => {
  const offs = async (params: Record<string, string>, options: PlayOptions = {}) =>
    (await table('hv-set-clock', { ...options, params })).rows.map((row) => row['off by (100 ns)']);

  test.each([
    ['0', '1us', -1_000n, 10n],
    ['500ns', '1us', -500n, 10n],
    ['99999ns', '100us', -1n, 1_000n],
  ])(
    'v5.10: set to %s in %s, system_time is %s ns: 584 years in the page',
    async (clock, delay, ns, behind) => {
      const { rows, verdict } = await table('hv-set-clock', { params: { clock, delay } });
      expect(rows.map((row) => row['system_time (ns)'])).toEqual([ns, ns, ns]);
      const [page, msr, kvmclock] = rows.map((row) => big(row['off by (100 ns)']));
      // 2^64 ns too much, and behind by the moment; the page’s two parts are rounded down each.
      const off = page! - CENTURIES + behind;
      expect(off >= -2n && off <= 2n, `${off}`).toBe(true);
      expect(msr).toBe(page);
      expect(kvmclock! + behind).toBe(0n);
      expect(verdict).toContain('584.5 years');
    },
  );

  test.each([
    ['1us', '1us'],
    ['1s', '10ms'],
    ['0', '0'],
  ])('v5.10: set to %s in %s, the moment is not longer: no leap', async (clock, delay) => {
    for (const off of await offs({ clock, delay })) {
      expect(big(off) <= 0n && big(off) > -100_002n).toBe(true);
    }
  });

  test.each([
    ['v4.9', true],
    ['v4.19', false],
    ['v5.15', true],
    ['v7.3', true],
  ])('%s: as asked for is %s', async (profile, exact) => {
    const [page] = await offs({}, { profile });
    expect(big(page) >= -12n && big(page) <= 0n).toBe(exact);
  });

  test('v4.4 has no page, and its MSR reads as asked for', async () => {
    const { rows } = await table('hv-set-clock', { profile: 'v4.4' });
    expect(rows[0]!['reads (100 ns)']).toBe('off');
    expect(big(rows[1]!['off by (100 ns)'])).toBe(0n);
  });

  test.each<[string, Partial<Switches>, boolean]>([
    ['v5.10', { setClockOrder: 'update-then-reference' }, true],
    ['v7.3', { setClockOrder: 'update-then-now' }, false],
  ])('%s with %j', async (profile, set, exact) => {
    const [page] = await offs({}, { profile, set });
    expect(big(page) < CENTURIES / 2n).toBe(exact);
  });
});

describe('hv-page', () => {
  const of = async (column: string, options: PlayOptions = {}) =>
    (await table('hv-page', options)).rows.map((row) => row[column]);

  test('v7.3: status and sequence of each step', async () => {
    expect(await of('status')).toEqual([
      'set',
      'set',
      'broken',
      'broken',
      'set',
      'set',
      'set',
      'unset',
    ]);
    const sequence = (await of('sequence')) as number[];
    expect(sequence.map((it) => it !== 0)).toEqual([
      true,
      true,
      false,
      false,
      true,
      true,
      true,
      true,
    ]);
    expect(sequence[1]).toBeGreaterThan(sequence[0]!);
    expect(sequence[5]).toBe(sequence[4]);
    expect(sequence[6]).toBeGreaterThan(sequence[5]!);
  });

  test.each([
    ['2000000', '0', (1n << 32n) * 2_147_483_648n],
    ['2500000', '0', (1n << 31n) * 3_435_973_836n],
    ['3000000', '0', (1n << 31n) * 2_863_311_530n],
    ['3000000', '2500000', (1n << 31n) * 3_435_975_211n],
  ])('%s kHz, guest %s: scale is 2^(32 + shift) · mul / 100', async (tscKhz, guestKhz, by100) => {
    const [scale] = await of('scale', { params: { tscKhz, guestKhz } });
    expect(scale).toBe(by100 / 100n);
  });

  test.each(['0', '1s', '1h'])(
    'while TSCs are emulated the page stays behind by --step %s',
    async (step) => {
      const ns = { '0': 0n, '1s': 1_000_000_000n, '1h': 3_600_000_000_000n }[step]!;
      const ahead = await of('page − kvmclock (100 ns)', { params: { step } });
      const off = big(ahead[5]) + ns / 100n;
      expect(off >= -2n && off <= 2n, `${off}`).toBe(true);
      const after = big(ahead[6]);
      expect(after >= -2n && after <= 2n).toBe(true);
    },
  );

  test.each(['1ms', '1s', '1d'])(
    'MSR and page agree whenever the page is on, --pause %s',
    async (pause) => {
      for (const row of (await table('hv-page', { params: { pause } })).rows) {
        if (row['page (100 ns)'] === 'off') continue;
        expect(row['MSR (100 ns)']).toBe(row['page (100 ns)']);
      }
    },
  );

  // Within 250 ppm of the host’s a guest’s frequency is the one that it was told, not scaled to.
  test.each([
    ['0', '2000000000'],
    ['2000100', '2000100000'],
    ['1234567', '1234567000'],
  ])('guest at %s kHz: TSC_FREQUENCY is what it was told, %s Hz', async (guestKhz, hz) => {
    const { story } = await table('hv-page', { params: { guestKhz } });
    expect(story[0]!.text).toContain(` reads ${hz} Hz`);
  });

  test('hvPage=sequence: the next stable update mends the page', async () => {
    const reads = await of('page (100 ns)', { set: { hvPage: 'sequence' } });
    expect(reads[2]).toBe('off');
    expect(typeof reads[3]).toBe('bigint');
    const old = await of('page (100 ns)', { profile: 'v4.9' });
    expect(old.map((it) => it === 'off')).toEqual(reads.map((it) => it === 'off'));
  });

  test('hvPage=none: never', async () => {
    expect(new Set(await of('page (100 ns)', { profile: 'v4.4' }))).toEqual(new Set(['off']));
    expect(new Set(await of('page (100 ns)', { set: { hvPage: 'none' } }))).toEqual(
      new Set(['off']),
    );
  });

  test('hvPageFrom=vcpu0: the request writes 0 first, and the sequence starts over', async () => {
    expect((await of('sequence', { profile: 'v5.15' }))[1]).toBe(1);
    expect((await of('sequence', { set: { hvPageFrom: 'vcpu0' } }))[1]).toBe(1);
  });
});

describe('hv-stimer', () => {
  const against = async (params: Record<string, string>, options: PlayOptions = {}) =>
    (await table('hv-stimer', { ...options, params })).rows.map((row) =>
      big(row['against its period (ns)']),
    );
  const isAbout = (ns: bigint, wanted: bigint): boolean =>
    ns - wanted >= -200n && ns - wanted <= 200n;

  test.each([
    ['-1s', 1_000_000_000n],
    ['-25ms', 25_000_000n],
    ['-3ms', 3_000_000n],
    ['-0.001ms', 1_000n],
  ])('set by %s: late by %s ns, once', async (step, ns) => {
    const [, , first, ...rest] = await against({ step });
    expect(isAbout(first!, ns), `${first}`).toBe(true);
    for (const later of rest) expect(isAbout(later, 0n), `${later}`).toBe(true);
  });

  test.each([
    ['3ms', -3_000_000n],
    ['13ms', -3_000_000n],
    ['1s', 0n],
  ])('set ahead by %s: on time, then %s ns in the old grid', async (step, ns) => {
    const [, , first, second, third] = await against({ step });
    expect(isAbout(first!, 0n)).toBe(true);
    expect(isAbout(second!, ns), `${second}`).toBe(true);
    expect(isAbout(third!, 0n)).toBe(true);
  });

  test.each(['100us', '10ms', '1s'])('a period of %s', async (period) => {
    for (const ns of await against({ period, step: '0' })) expect(isAbout(ns, 0n)).toBe(true);
  });

  test('v4.4 has no synthetic timers', async () => {
    const { rows, verdict } = await table('hv-stimer', { profile: 'v4.4' });
    expect({ rows, verdict }).toEqual({ rows: [], verdict: 'this kernel has no synthetic timers' });
  });

  test('a clock that would be less than 0 is refused, and what can be asked for named', async () => {
    await expect(against({ step: '-60.025000001s' })).rejects.toThrow(
      '--step: expected at least -60.025s, as the clock reads 60.025s by then, found -60.025000001s',
    );
    await expect(against({ step: '-1h' })).rejects.toThrow(/ found -1h$/);
    await expect(against({ step: '-60min' })).rejects.toThrow(/ found -60min$/);
    await expect(against({ uptime: '1s', period: '1ms', step: '-1.0025s' })).resolves.toHaveLength(
      5,
    );
  });

  test('setClockOrder=update-then-now: set to 0 the page leaps ahead, and no timer waits', async () => {
    // What has passed until then: a minute, two periods and a half.
    const params = { step: '-60.025s' };
    const waits = (await against(params))[2]!;
    expect(isAbout(waits, 60_025_000_000n), `${waits}`).toBe(true);
    const leapt = await against(params, { set: { setClockOrder: 'update-then-now' } });
    expect(isAbout(leapt[2]!, 0n)).toBe(true);
    expect((await against(params, { profile: 'v5.10' }))[2]).toBe(leapt[2]);
  });
});

describe('hv-stimer-restore', () => {
  const rowsOf = async (params: Record<string, string>, options: PlayOptions = {}) =>
    (await table('hv-stimer-restore', { ...options, params })).rows;

  test.each<[string, Partial<Switches>, number]>([
    ['v4.9', {}, 1],
    ['v6.1', {}, 1],
    ['v6.1', { hvStimerByHost: false }, 0],
    ['v6.8', {}, 0],
    ['v7.3', {}, 0],
    ['v7.3', { hvStimerByHost: true }, 1],
  ])('%s with %j: what has expired expires %i times, CONFIG first', async (profile, set, times) => {
    const [configFirst, countFirst] = await rowsOf({}, { profile, set });
    expect(configFirst).toMatchObject({ on: times === 1, expires: times });
    expect(configFirst!['after (ns)']).toBe(times === 1 ? 0n : '');
    expect(countFirst).toMatchObject({ on: false, expires: 0, 'after (ns)': '' });
  });

  test.each([
    ['10ms', '4ms', 6_000_000n],
    ['1s', '999900us', 100_000n],
    ['100us', '0', 100_000n],
  ])('%s ahead, run for %s: %s ns are left, in either order', async (ahead, ran, ns) => {
    for (const profile of ['v6.1', 'v7.3']) {
      for (const row of await rowsOf({ ahead, ran }, { profile })) {
        expect(row).toMatchObject({ on: true, expires: 1 });
        for (const column of ['left (ns)', 'after (ns)']) {
          const off = big(row[column]) - ns;
          expect(off > -200n && off <= 0n, `${profile}, ${column}: ${off} ns off`).toBe(true);
        }
      }
    }
  });

  // By a page whose numbers are cut the instant at which it is due reads one unit of 100 ns less: its
  // hrtimer, which fires then, is set once more, for that unit.
  test.each([
    ['10ms', '10ms', 0n],
    ['10ms', '10000001ns', -1n],
    ['10ms', '10000099ns', -99n],
    ['1s', '1s', 0n],
    ['1min', '1min', 0n],
    ['30min', '30min', 0n],
    ['1h', '1h', 0n],
  ])('%s ahead, stopped after %s: due, not expired, and expires once', async (ahead, ran, left) => {
    for (const profile of ['v6.1', 'v6.8', 'v7.3']) {
      const params = { ahead, ran };
      const { rows, verdict } = await table('hv-stimer-restore', { profile, params });
      expect(rows).toHaveLength(2);
      for (const row of rows) {
        expect(row).toMatchObject({ 'left (ns)': left, 'had expired': false });
        expect(row).toMatchObject({ on: true, expires: 1, 'after (ns)': 0n });
      }
      const due = `a timer due ${-left} ns before the guest was stopped, which had not expired`;
      expect(verdict).toBe(`${due}, restored CONFIG, COUNT, expires after 0 ns`);
    }
  });

  test.each([
    ['10ms', '10000100ns', -100n, '100 ns'],
    ['10ms', '15ms', -5_000_000n, '5.000 ms'],
    ['1s', '1h', -3_599_000_000_000n, '3599.000 s'],
  ])('%s ahead, stopped after %s: it had expired', async (ahead, ran, left, ago) => {
    const { rows, verdict } = await table('hv-stimer-restore', { params: { ahead, ran } });
    expect(rows.map((row) => row['had expired'])).toEqual([true, true]);
    expect(rows.map((row) => row['left (ns)'])).toEqual([left, left]);
    expect(rows.map((row) => row['expires'])).toEqual([1, 0]);
    const due = `a timer due ${ago} before the guest was stopped, which had expired`;
    expect(verdict).toBe(`${due}, restored CONFIG, COUNT, expires again after 0 ns`);
  });

  test.each(['0', '1s', '1d'])('away for %s: the clock stood still', async (away) => {
    const [row] = await rowsOf({ ran: '4ms', away });
    expect(big(row!['after (ns)']) - 6_000_000n).toBeGreaterThan(-200n);
  });

  test('v4.4 has no synthetic timers', async () => {
    const { rows, verdict } = await table('hv-stimer-restore', { profile: 'v4.4' });
    expect({ rows, verdict }).toEqual({ rows: [], verdict: 'this kernel has no synthetic timers' });
  });
});
