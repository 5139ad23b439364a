/** The TSC deadline timer, by the formulas of its conversion. */
import { describe, expect, test } from 'vitest';
import type { Switches } from '../../src/profiles/index.ts';
import type { PlayOptions } from '../../src/scenarios/play.ts';
import { big, table } from './table.ts';

const SECOND_NS = 1_000_000_000n;
const HOUR_NS = 3_600n * SECOND_NS;
const KERNELS = ['v4.4', 'v4.19', 'v5.10', 'v6.1', 'v6.8', 'v7.3'];

/** What `start_sw_tscdeadline()` makes of so many cycles, ns. */
const converted = (cycles: bigint, khz: bigint): bigint =>
  BigInt.asUintN(64, cycles * 1_000_000n) / khz;

describe('deadline-overflow', () => {
  /** Of one deadline: three hours ahead unless `params` says otherwise. */
  const rowsOf = async (params: Record<string, string>, options: PlayOptions = {}) =>
    (await table('deadline-overflow', { ...options, params: { ahead: '3h', ...params } })).rows;

  test.each([
    ['3h', 3n * HOUR_NS, '2500000', 1n],
    ['5h', 5n * HOUR_NS, '2500000', 2n],
    ['3h', 3n * HOUR_NS, '5000000', 2n],
    ['30d', 720n * HOUR_NS, '2000000', 281n],
  ])('%s ahead (%s ns) at %s kHz: %s wraps early', async (ahead, ns, tscKhz, wraps) => {
    const [row] = await rowsOf({ ahead, tscKhz });
    const khz = BigInt(tscKhz);
    expect(row!['set for (ns)']).toBe(converted((ns * khz) / 1_000_000n, khz));
    expect(row!['wraps']).toBe(wraps);
    const early = (wraps << 64n) / khz;
    // MONOTONIC’s multiplier is rounded by up to 60 ppb of what was waited.
    const off = big(row!['early (ns)']) - early;
    const most = big(row!['set for (ns)']) / 10_000_000n + 2n;
    expect(off >= -most && off <= most, `${off} ns off`).toBe(true);
  });

  test.each([
    ['1250000', 1_250_000n],
    ['2400000', 2_400_000n],
    ['5000000', 5_000_000n],
  ])('--guest-khz %s: the guest’s cycles are what wraps', async (guestKhz, khz) => {
    const [row] = await rowsOf({ guestKhz, ahead: '5h' });
    const cycles = (5n * HOUR_NS * khz) / 1_000_000n;
    expect(row!['set for (ns)']).toBe(converted(cycles, khz));
    const wraps = (cycles * 1_000_000n) >> 64n;
    expect(row!['wraps']).toBe(wraps);
    const off = big(row!['early (ns)']) - (wraps << 64n) / khz;
    const most = big(row!['set for (ns)']) / 10_000_000n + 2n;
    expect(off >= -most && off <= most, `${off} ns off`).toBe(true);
  });

  test.each(['1250000', '2400000', '5000000'])(
    '--guest-khz %s: the preemption timer counts the host’s cycles',
    async (guestKhz) => {
      const [, row] = await rowsOf({ guestKhz, ahead: '10s' });
      expect(row!['set by']).toBe('preemption timer');
      // By a ratio of 48 bits, and rounded down to cycles.
      const off = big(row!['set for (ns)']) - 10n * SECOND_NS;
      expect(off >= -1n && off <= 1n, `${off} ns off`).toBe(true);
      expect(big(row!['early (ns)']) >= -1n && big(row!['early (ns)']) <= 2n).toBe(true);
    },
  );

  test.each([
    ['0', 0n],
    ['1us', 1_000n],
    ['5ms', 5_000_000n],
  ])('--advance %s: set and fired %s ns earlier', async (advance, ns) => {
    const rows = await rowsOf({ advance, ahead: '1s', tscKhz: '2000000' });
    for (const row of rows) {
      expect(row['set for (ns)']).toBe(SECOND_NS - ns);
      const off = big(row['early (ns)']) - ns;
      expect(off >= 0n && off <= 1n, `${off} ns off`).toBe(true);
    }
    const [wrapped] = await rowsOf({ advance });
    const khz = 2_500_000n;
    expect(wrapped!['set for (ns)']).toBe(converted((3n * HOUR_NS * 2_500n) / 1_000n, khz) - ns);
  });

  test('what is nearer than the advance fires at once', async () => {
    for (const row of await rowsOf({ advance: '1ms', ahead: '999us' })) {
      expect(row).toMatchObject({ 'set for (ns)': 0n, 'early (ns)': 999_000n });
    }
  });

  test.each<[string, Partial<Switches>, bigint]>([
    ['v4.9', {}, 0n],
    ['v4.19', {}, 1_000_000n],
    ['v7.3', { hvTimer: 'exact' }, 0n],
    ['v4.9', { hvTimer: 'advanced' }, 1_000_000n],
  ])('%s with %j: the preemption timer is %s ns early', async (profile, set, ns) => {
    const params = { advance: '1ms', ahead: '1s', tscKhz: '2000000' };
    const rows = await rowsOf(params, { profile, set });
    expect(rows.map((row) => row['early (ns)'])).toEqual([1_000_000n, ns]);
  });

  test('a product that leaves nothing fires at once', async () => {
    // 2^64 / 10^6 cycles at 2 GHz, and the rest is less than a nanosecond.
    const [row] = await rowsOf({ ahead: '9223372036855ns', tscKhz: '2000000' });
    expect(row).toMatchObject({ 'set for (ns)': 0n, 'early (ns)': 9_223_372_036_855n });
  });

  test.each(['1ms', '1s', '2h'])('%s ahead: on time', async (ahead) => {
    for (const row of await rowsOf({ ahead, tscKhz: '2000000' })) {
      expect(row['wraps']).toBe(0n);
      expect(big(row['early (ns)']) >= 0n && big(row['early (ns)']) <= 1n).toBe(true);
    }
  });

  test('2.4 GHz: CLOCK_MONOTONIC runs 48 ppb fast, and a timer set by it is as much early', async () => {
    const [row] = await rowsOf({ ahead: '2h', tscKhz: '2400000' });
    // The first ns at which cycles · 6,990,507 / 2^24, which is 2^24 / 2.4 rounded up, reads two hours.
    const cycles = (((2n * HOUR_NS) << 24n) + 6_990_506n) / 6_990_507n;
    const off = big(row!['early (ns)']) - (2n * HOUR_NS - (cycles * 10n) / 24n);
    expect(off >= -2n && off <= 2n, `${off} ns off`).toBe(true);
  });

  test.each([
    ['5', '54s', 'preemption timer'],
    ['5', '55s', 'hrtimer'],
    ['0', '1717ms', 'preemption timer'],
    ['0', '1718ms', 'hrtimer'],
    ['31', '1h', 'preemption timer'],
    ['31', '3h', 'preemption timer'],
  ])('rate %s, %s ahead: %s', async (rate, ahead, by) => {
    const [software, preemption] = await rowsOf({ rate, ahead });
    expect([software!['set by'], preemption!['set by']]).toEqual(['hrtimer', by]);
    if (by === 'preemption timer') expect(big(preemption!['early (ns)']) <= 1n).toBe(true);
  });

  test.each<[string, Partial<Switches>, string]>([
    ['v4.4', {}, 'hrtimer'],
    ['v4.9', {}, 'preemption timer'],
    ['v7.3', {}, 'preemption timer'],
    ['v7.3', { hvTimer: 'none' }, 'hrtimer'],
    ['v4.4', { hvTimer: 'exact' }, 'preemption timer'],
  ])('%s with %j: where the CPU has a preemption timer, by the %s', async (profile, set, by) => {
    const rows = await rowsOf({ ahead: '1s' }, { profile, set });
    expect(rows.map((row) => row['set by'])).toEqual(['hrtimer', by]);
  });

  test('hvTimer=none: rate 31 does not keep the product from wrapping', async () => {
    const params = { rate: '31', ahead: '3h' };
    const [, wrapped] = await rowsOf(params, { set: { hvTimer: 'none' } });
    const [, kept] = await rowsOf(params);
    expect(big(wrapped!['early (ns)']) / SECOND_NS).toBe(7_378n);
    expect(big(kept!['early (ns)']) <= 1n).toBe(true);
  });

  test('several deadlines, one after another, on each host', async () => {
    const { rows, verdict } = await table('deadline-overflow');
    expect(rows.map((row) => [row['host'], row['set by'], row['wraps']])).toEqual([
      ['software', 'hrtimer', 0n],
      ['software', 'hrtimer', 1n],
      ['preemption', 'preemption timer', 0n],
      ['preemption', 'hrtimer', 1n],
    ]);
    expect(verdict).toContain('3.0 h ahead fires 2.0 h early');
  });

  test.each(KERNELS)('%s has it', async (profile) => {
    const [row] = await rowsOf({}, { profile });
    expect(row!['wraps']).toBe(1n);
    expect(big(row!['early (ns)']) / SECOND_NS).toBe(7_378n);
  });
});

describe('deadline-offset', () => {
  test.each([
    ['500ms', 500_000_000n],
    ['-500ms', -500_000_000n],
    ['1ms', 1_000_000n],
    ['0', 0n],
  ])('set ahead by %s: late by %s ns in software, not in hardware', async (shift, ns) => {
    const { rows } = await table('deadline-offset', { params: { shift } });
    const [software, preemption] = rows;
    expect(software).toMatchObject({
      timer: 'hrtimer',
      'after the move (ns)': 'stays',
      'late (ns)': ns,
    });
    expect(preemption).toMatchObject({ timer: 'preemption timer', 'late (ns)': 0n });
    expect(preemption!['after the move (ns)']).toBe(SECOND_NS - ns);
  });

  test('a TSC that passes the deadline: the preemption timer fires as the vCPU moves', async () => {
    const { rows } = await table('deadline-offset', { params: { shift: '3s' } });
    expect(rows.map((row) => row['late (ns)'])).toEqual([3n * SECOND_NS, 2n * SECOND_NS]);
    expect(rows[1]!['after the move (ns)']).toBe(0n);
  });

  test.each(['1000000', '1500000', '4000000'])(
    '--guest-khz %s: late by as much of the guest’s time',
    async (guestKhz) => {
      const { rows } = await table('deadline-offset', { params: { guestKhz } });
      const late = rows.map((row) => big(row['late (ns)']));
      // A scaled TSC is read in whole cycles, and its ratio is rounded down.
      expect(late[0]! - 500_000_000n >= -1n && late[0]! - 500_000_000n <= 1n).toBe(true);
      expect(late[1]! >= -1n && late[1]! <= 1n).toBe(true);
      const again = big(rows[1]!['after the move (ns)']) - 500_000_000n;
      expect(again >= -1n && again <= 1n).toBe(true);
    },
  );

  test.each([
    ['0', 0n],
    ['10us', 10_000n],
    ['300ms', 300_000_000n],
  ])('--advance %s: both are set and fire %s ns earlier', async (advance, ns) => {
    const { rows } = await table('deadline-offset', { params: { advance } });
    expect(rows.map((row) => row['set for (ns)'])).toEqual([SECOND_NS - ns, SECOND_NS - ns]);
    expect(rows[1]!['after the move (ns)']).toBe(500_000_000n - ns);
    expect(rows.map((row) => row['late (ns)'])).toEqual([500_000_000n - ns, -ns]);
  });

  test.each(['10ms', '1s', '20s'])('%s ahead', async (ahead) => {
    const { rows } = await table('deadline-offset', { params: { ahead, shift: '5ms' } });
    expect(rows.map((row) => row['late (ns)'])).toEqual([5_000_000n, 0n]);
  });

  test.each(KERNELS)('%s', async (profile) => {
    const { rows } = await table('deadline-offset', { profile });
    const onPreemptionTimer = profile === 'v4.4' ? 500_000_000n : 0n;
    expect(rows.map((row) => row['late (ns)'])).toEqual([500_000_000n, onPreemptionTimer]);
  });

  test.each<[string, Switches['hvTimer'], bigint]>([
    ['v7.3', 'none', 500_000_000n],
    ['v4.4', 'exact', 0n],
    ['v4.4', 'advanced', 0n],
  ])('%s with hvTimer=%s: late by %s ns where the CPU has one', async (profile, hvTimer, ns) => {
    const { rows, verdict } = await table('deadline-offset', { profile, set: { hvTimer } });
    expect(rows[1]!['late (ns)']).toBe(ns);
    expect(verdict!.match(/hrtimer/g)).toHaveLength(hvTimer === 'none' ? 2 : 1);
  });
});

describe('deadline-restore', () => {
  const KHZ = 2_500_000n;
  const rowsOf = async (params: Record<string, string>, options: PlayOptions = {}) =>
    (await table('deadline-restore', { ...options, params })).rows;

  test.each([
    ['10s', '10ms', '100ms', 10_010_000_000n, 100_000_000n],
    ['1h', '10ms', '0', HOUR_NS + 10_000_000n, 0n],
    ['1d', '10ms', '1s', 24n * HOUR_NS + 10_000_000n, SECOND_NS],
    ['30d', '1s', '100ms', 720n * HOUR_NS + SECOND_NS, 100_000_000n],
  ])('a guest of %s, due in %s, in a VM of %s', async (age, due, boot, deadlineNs, bootNs) => {
    const [tscFirst, deadlineFirst] = await rowsOf({ age, due, boot });
    expect(tscFirst!['set for (ns)']).toBe(tscFirst!['due in (ns)']);
    expect(big(tscFirst!['late (ns)']) >= -1n && big(tscFirst!['late (ns)']) <= 60n).toBe(true);
    const cycles = ((deadlineNs - bootNs) * KHZ) / 1_000_000n;
    expect(deadlineFirst!['set for (ns)']).toBe(converted(cycles, KHZ));
    const late = big(deadlineFirst!['set for (ns)']) - big(deadlineFirst!['due in (ns)']);
    const off = big(deadlineFirst!['late (ns)']) - late;
    expect(off >= -1n && off <= late / 10_000_000n + 2n, `${off} ns off`).toBe(true);
  });

  test.each([
    ['1250000', 1_250_000n],
    ['2400000', 2_400_000n],
    ['5000000', 5_000_000n],
  ])('--guest-khz %s: by the guest’s cycles', async (guestKhz, khz) => {
    const [tscFirst, deadlineFirst] = await rowsOf({ guestKhz });
    expect(tscFirst!['set for (ns)']).toBe(10_000_000n);
    const lifeNs = 24n * HOUR_NS + 10_000_000n - 100_000_000n;
    const off = big(deadlineFirst!['set for (ns)']) - converted((lifeNs * khz) / 1_000_000n, khz);
    // What the new VM’s TSC has counted is rounded by its ratio.
    expect(off >= -1n && off <= 1n, `${off} ns off`).toBe(true);
  });

  test.each([
    ['0', 0n],
    ['2us', 2_000n],
    ['9ms', 9_000_000n],
  ])('--advance %s: set %s ns earlier, in either order', async (advance, ns) => {
    const exact = await rowsOf({});
    const rows = await rowsOf({ advance });
    for (const [i, row] of rows.entries()) {
      expect(row['set for (ns)']).toBe(big(exact[i]!['set for (ns)']) - ns);
    }
    const off = big(rows[0]!['late (ns)']) + ns;
    expect(off >= -1n && off <= 1n, `${off} ns off`).toBe(true);
  });

  test.each([
    ['2s', '10ms', '1min', '0', 10_000_000n, '10.000 ms'],
    ['2s', '57999999us', '1min', '0', 57_999_999_000n, '58.000 s'],
    ['30s', '1us', '1min', '5000000', 1_000n, '1.000 µs'],
    ['2s', '1s', '3500ms', '1250000', SECOND_NS, '1.000 s'],
    ['2s', '1s', '3500ms', '2400000', SECOND_NS, '1.000 s'],
  ])(
    'a guest of %s, due in %s, in a VM of %s, past its deadline: at once, as early as it was due',
    async (age, due, boot, guestKhz, ns, text) => {
      for (const advance of ['0', '20ms']) {
        const params = { age, due, boot, guestKhz, advance };
        const { rows, story, verdict } = await table('deadline-restore', { params });
        expect(rows[1]!['set for (ns)']).toBe('at once');
        // By the guest’s whole cycles, and what its ratio rounds of the TSC that was written.
        const early = -big(rows[1]!['late (ns)']);
        expect(early >= ns - 1n && early <= ns, `${early} ns`).toBe(true);
        if (guestKhz === '0') {
          expect(early).toBe(ns);
          expect(verdict).toContain(`fires ${text} early`);
          expect(story.at(-1)!.text).toBe(`its timer fires ${ns} ns early`);
        }
      }
    },
  );

  test('a TSC that KVM takes for one with its own is not put back, and the deadline is past', async () => {
    // 59.5 s are within a second of the 60 that the new VM has counted: so its TSC stays.
    const params = { age: '59500ms', due: '10ms', boot: '1min' };
    const { rows, verdict } = await table('deadline-restore', { params });
    expect(rows.map((row) => row['set for (ns)'])).toEqual(['at once', 'at once']);
    expect(rows.map((row) => row['late (ns)'])).toEqual([490_000_000n, 490_000_000n]);
    expect(verdict).toContain('fires 490.000 ms late');
  });

  test('set for half of what it is due in: it fires so much early', async () => {
    const params = { age: '10s', due: '4s', boot: '12s' };
    const { rows } = await table('deadline-restore', { params });
    expect(rows[1]!['set for (ns)']).toBe(2n * SECOND_NS);
    const off = big(rows[1]!['late (ns)']) + 2n * SECOND_NS;
    expect(off >= 0n && off <= 120n, `${off} ns off`).toBe(true);
  });

  test.each(KERNELS)('%s: in the wrong order 1 h 27 min late', async (profile) => {
    const [tscFirst, deadlineFirst] = await rowsOf({}, { profile });
    expect(big(tscFirst!['late (ns)']) < 60n).toBe(true);
    expect(big(deadlineFirst!['late (ns)']) / SECOND_NS).toBe(5_234n);
  });
});
