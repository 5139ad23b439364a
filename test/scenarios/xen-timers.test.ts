/** Xen’s timers, by formulas reckoned here with scales from the project’s notes. */
import { describe, expect, test } from 'vitest';
import type { Switches } from '../../src/profiles/index.ts';
import type { PlayOptions } from '../../src/scenarios/play.ts';
import { big, table } from './table.ts';

const DAY_NS = 86_400_000_000_000n;

/** Page’s scale under VMX of guest kHz on host kHz, and KVM’s of the host: (shift right, multiplier). */
const SCALES = {
  '3000000 2500000': { ratio: 234_562_480_592_213n, page: [1n, 3_435_975_211n] },
  '3000000 1500000': { ratio: 1n << 47n, page: [0n, 2_863_311_530n] },
} as const;
const HOST_MUL = 2_863_311_530n;

/** Guest’s clock minus KVM_GET_CLOCK’s, so many ns after the reference on a host of 3 GHz. */
function ahead(pair: keyof typeof SCALES, ns: bigint): bigint {
  const { ratio, page } = SCALES[pair];
  const cycles = ns * 3n;
  const guest = (cycles * ratio) >> 48n;
  return (((guest >> page[0]) * page[1]) >> 32n) - (((cycles >> 1n) * HOST_MUL) >> 32n);
}

const lastRow = async (params: Record<string, string>, options: PlayOptions = {}) =>
  (await table('xen-timerlat', { ...options, params })).rows.at(-1)!;

describe('xen-timerlat', () => {
  test.each([
    ['1s', 1_000_000_000n, 400n],
    ['1d', DAY_NS, 34_575_350n],
    ['30d', 30n * DAY_NS, 1_037_260_500n],
  ])('v6.1: 3.0 to 2.5 GHz, late by the drift of %s', async (uptimes, ns, about) => {
    const row = await lastRow({ uptimes });
    const drift = ahead('3000000 2500000', ns);
    expect(row['guest − KVM_GET_CLOCK (ns)']).toBe(drift);
    expect(row['clock (ns)']).toBe(drift);
    expect(drift > about - 60n && drift < about + 60n).toBe(true);
    // Counted by the guest’s clock, which is 400 ppb fast; rounded at each step.
    const more = big(row['late (ns)']) - drift;
    expect(more >= 0n && more <= 2n + drift / 2_000_000n, `${more} ns more`).toBe(true);
  });

  test.each([
    ['2500000', '3000000', 28_816_983n],
    ['2600000', '2500000', 34_579_374n],
    ['2400000', '2345678', 36_824_061n],
    ['3000000', '1500000', 0n],
  ])(
    'v6.1: a day from %s to %s kHz: about %s ns, B − C of the notes',
    async (tscKhz, guestKhz, ns) => {
      const row = await lastRow({ tscKhz, guestKhz, uptimes: '1d' });
      const off = big(row['clock (ns)']) - ns;
      expect(off >= -2n && off <= 2n, `${off} ns off`).toBe(true);
    },
  );

  test('SVM’s ratio has fewer bits', async () => {
    const row = await lastRow({ vendor: 'svm', uptimes: '1d' });
    const off = big(row['clock (ns)']) - 34_567_304n;
    expect(off >= -2n && off <= 2n).toBe(true);
  });

  test('an unscaled guest has no error of the clock', async () => {
    const row = await lastRow({ guestKhz: '0', uptimes: '30d' });
    expect([row['clock (ns)'], row['late (ns)']]).toEqual([0n, 0n]);
  });

  test.each([
    ['0', 0n],
    ['1us', 1_000n],
    ['3243ns', 3_243n],
    ['50us', 50_000n],
  ])('v6.1: late by the time between two readings, %s', async (gap, ns) => {
    // 2 GHz: CLOCK_MONOTONIC’s multiplier is exact.
    const row = await lastRow({ gap, tscKhz: '2000000', guestKhz: '0', uptimes: '0' });
    expect([row['gap (ns)'], row['late (ns)']]).toEqual([ns, ns]);
    const both = await lastRow({ gap, uptimes: '1d' });
    const late = ns + ahead('3000000 2500000', DAY_NS);
    const more = big(both['late (ns)']) - late;
    expect(more >= -1n && more <= 20n, `${more}`).toBe(true);
  });

  test.each(['10us', '100us', '10ms'])('a sleep of %s is late by as much', async (sleep) => {
    const row = await lastRow({ sleep, uptimes: '1h' });
    const short = await lastRow({ uptimes: '1h' });
    expect(row['clock (ns)']).toBe(short['clock (ns)']);
    expect(big(row['late (ns)']) - big(short['late (ns)']) <= 6n).toBe(true);
  });

  test.each(['v6.8', 'v7.3', 'series-v6'])(
    '%s: on time whatever uptime and gap',
    async (profile) => {
      const { rows } = await table('xen-timerlat', { profile, params: { gap: '5us' } });
      for (const row of rows) {
        expect([row['clock (ns)'], row['gap (ns)'], row['late (ns)']]).toEqual([0n, 0n, 0n]);
      }
      expect(rows).toHaveLength(6);
    },
  );

  test('v5.15 has none: the VMM’s', async () => {
    const { rows, verdict } = await table('xen-timerlat', { profile: 'v5.15' });
    expect(rows).toEqual([]);
    expect(verdict).toContain('no Xen timers');
  });

  test.each<[string, Switches['xenTimer'], boolean]>([
    ['v6.1', 'guest-scale', true],
    ['v6.1', 'guest-page', true],
    ['v7.3', 'host-scale', false],
  ])('%s with xenTimer=%s: exact is %s', async (profile, xenTimer, exact) => {
    const row = await lastRow({ uptimes: '1d', gap: '1us' }, { profile, set: { xenTimer } });
    expect(big(row['late (ns)']) === 0n).toBe(exact);
    if (!exact) expect(row['gap (ns)']).toBe(1_000n);
  });

  test('pvScaleUnit=hz: nothing is cut to kHz, and KVM’s clock is all but the guest’s', async () => {
    const row = await lastRow({ uptimes: '1d' }, { set: { pvScaleUnit: 'hz' } });
    // (0.640 + 0.233) ppb of a day.
    const off = big(row['clock (ns)']) - 75_427n;
    expect(off > -100n && off < 100n, `${off}`).toBe(true);
  });
});

describe('what KVM_GET_CLOCK answers while the guest reads its clock', () => {
  const CUT = 34_575_350n;
  const HERTZ = 75_427n;

  test.each<[string, Partial<Switches>, bigint]>([
    ['v6.1', {}, CUT],
    ['v6.8', {}, CUT],
    ['v7.3', {}, CUT],
    ['rfc-v3', {}, 0n],
    ['series-v6', {}, 0n],
    ['rfc-v3', { getClock: 'host-scale' }, HERTZ],
    ['series-v6', { getClock: 'host-scale' }, HERTZ],
    ['v7.3', { getClock: 'guest-scale' }, CUT - HERTZ],
    ['v7.3', { getClock: 'guest-scale', pvScaleUnit: 'hz' }, 0n],
  ])('KVM_GET_CLOCK under %s with %j: behind by %s ns after a day', async (profile, set, ns) => {
    const row = await lastRow({ uptimes: '1d' }, { profile, set });
    const off = big(row['guest − KVM_GET_CLOCK (ns)']) - ns;
    const most = ns === 0n ? 1n : 100n;
    expect(off >= -most && off <= most, `${off} ns off`).toBe(true);
  });

  test.each(['1s', '1h', '30d'])('rfc-v3, after %s: within a nanosecond', async (uptimes) => {
    const row = await lastRow({ uptimes }, { profile: 'rfc-v3' });
    const off = big(row['guest − KVM_GET_CLOCK (ns)']);
    expect(off >= -1n && off <= 1n, `${off} ns`).toBe(true);
  });
});

describe('xen-timer-pairs', () => {
  const rowsOf = async (params: Record<string, string>, options: PlayOptions = {}) =>
    (await table('xen-timer-pairs', { ...options, params })).rows;

  test.each(['1us', '3243ns', '1ms'])('%s: each pair’s sleep is late by it then', async (late) => {
    const ns = { '1us': 1_000n, '3243ns': 3_243n, '1ms': 1_000_000n }[late]!;
    for (const row of await rowsOf({ late })) {
      if (row['uptime (ns)'] === 'never') {
        expect(row['latency (ns)']).toBe('');
        continue;
      }
      const off = big(row['clock (ns)']) - ns;
      expect(off >= -2n && off <= 1n, `${row['host (kHz)']} ${row['guest (kHz)']}`).toBe(true);
      expect(row['latency (ns)']).toBe(100_000n + ns);
    }
  });

  test.each<[string, Record<string, string>, number]>([
    ['103243', {}, 7],
    ['103242', { late: '3242ns' }, 7],
    ['100001', { late: '1ns' }, 7],
    ['1000100000', { late: '1s' }, 7],
    // The guest’s clock gains 0.7 ns a millisecond meanwhile.
    ['1000003243', { sleep: '1s' }, 7],
    ['3601000000000', { sleep: '1h', late: '1s' }, 7],
    ['3600000003243', { sleep: '1h' }, 0],
    ['101001', { late: '1001ns', vendor: 'svm', guestKhz: '500000,4999999' }, 4],
  ])(
    'a sleep of %s ns, as %j, is that of the pairs that are counted',
    async (ns, params, times) => {
      const { rows, verdict } = await table('xen-timer-pairs', { params });
      const latencies = rows.map((row) => row['latency (ns)']).filter((its) => its !== '');
      expect(latencies).toEqual(new Array<bigint>(times).fill(BigInt(ns)));
      expect(verdict).toContain(`${times} of ${rows.length} pairs`);
    },
  );

  test('3.0 to 2.5 GHz: the sleep at its uptime, reckoned here', async () => {
    const params = { hostKhz: '3000000', guestKhz: '2500000' };
    for (const late of ['1ns', '3243ns', '1ms']) {
      const [row] = await rowsOf({ ...params, late });
      const { ratio, page } = SCALES['3000000 2500000'];
      const guest = (ns: bigint): bigint =>
        ((((ns * 3n * ratio) >> 48n) >> page[0]) * page[1]) >> 32n;
      // CLOCK_MONOTONIC’s multiplier, nearest to 2^24 / 3.
      const monotonic = (ns: bigint): bigint => (ns * 3n * 5_592_405n) >> 24n;
      const from = big(row!['uptime (ns)']);
      const due = monotonic(from) + 100_000n + ahead('3000000 2500000', from);
      let to = from;
      while (monotonic(to) < due) to += due - monotonic(to);
      while (monotonic(to - 1n) >= due) to--;
      expect(big(row!['latency (ns)'])).toBe(guest(to) - guest(from));
    }
  });

  test('3.0 to 2.5 GHz: after 8.1 s; to 1.5 GHz: never', async () => {
    const rows = await rowsOf({ hostKhz: '3000000', guestKhz: '2500000,1500000' });
    const uptime = big(rows[0]!['uptime (ns)']);
    const off = ahead('3000000 2500000', uptime) - 3_243n;
    expect(off >= -1n && off <= 0n, `${off}`).toBe(true);
    expect(uptime > 8_100_000_000n && uptime < 8_110_000_000n).toBe(true);
    expect(rows[0]!['ratio']).toBe(234_562_480_592_213n);
    expect(rows[1]!['uptime (ns)']).toBe('never');
  });

  test('rfc-v3: KVM goes the guest’s way, and no pair ever comes to it', async () => {
    const rows = await rowsOf({}, { profile: 'rfc-v3' });
    expect(new Set(rows.map((row) => row['uptime (ns)']))).toEqual(new Set(['never']));
  });

  test.each(['v6.8', 'v7.3'])('%s: after the fix no pair’s sleep is ever late', async (profile) => {
    const { rows, verdict } = await table('xen-timer-pairs', { profile });
    expect(new Set(rows.map((row) => row['uptime (ns)']))).toEqual(new Set(['never']));
    expect(verdict).toContain('0 of 8 pairs');
  });
});

describe('xen-timer-calls', () => {
  const outcomes = async (options: PlayOptions = {}) =>
    (await table('xen-timer-calls', options)).rows.map((row) => row['fires after (ns)']);
  const returns = async (options: PlayOptions = {}) =>
    (await table('xen-timer-calls', options)).rows.map((row) => row['returns']);

  test('v6.1: 14 days are 2^50 ns or more, and become 100 ms', async () => {
    expect(await outcomes()).toEqual([
      100_000_000n,
      'at once',
      100_000_000n,
      14n * DAY_NS,
      'at once',
      'never',
      'never',
      '',
    ]);
  });

  test.each([
    ['13d', 13n * DAY_NS],
    ['1125899906842623ns', (1n << 50n) - 1n],
    ['1125899906842624ns', 100_000_000n],
    ['365d', 100_000_000n],
  ])('set_timer_op %s ahead', async (ahead, ns) => {
    expect((await outcomes({ params: { ahead } }))[0]).toBe(ns);
  });

  test('xenTimerPast: -ETIME until v6.8, fires from then on', async () => {
    expect((await returns())[5]).toBe(-62);
    expect((await returns({ profile: 'v6.8' }))[5]).toBe(0);
    expect((await outcomes({ set: { xenTimerPast: 'fires' } }))[5]).toBe('at once');
    expect((await returns({ profile: 'v7.3', set: { xenTimerPast: 'etime' } }))[5]).toBe(-62);
  });

  test('v5.15: all of them are the VMM’s; periodic ones always', async () => {
    const { rows } = await table('xen-timer-calls', { profile: 'v5.15' });
    expect(rows.map((row) => row['by'])).toEqual(rows.map(() => 'VMM'));
    expect((await table('xen-timer-calls', { profile: 'v7.3' })).rows.at(-1)!['by']).toBe('VMM');
  });
});
