/** Parameters beside those that a scenario is about: what each moves, by its formula, or that it moves nothing. */
import { describe, expect, test } from 'vitest';
import { scaleDelta, scaleTsc, timeScale } from '../../src/num/index.ts';
import { big, table } from './table.ts';

const SECOND_NS = 1_000_000_000n;
const DAY_NS = 86_400n * SECOND_NS;

const rowsOf = async (name: string, params: Record<string, string>, profile?: string) =>
  (await table(name, { params, ...(profile === undefined ? {} : { profile }) })).rows;

/** Whole cycles a nanosecond, so that nothing is rounded. */
const FREQUENCIES = ['1000000', '2000000', '4000000'];

describe('moves no number', () => {
  test.each([
    ['xen-timer-calls', 'tscKhz', FREQUENCIES],
    ['xen-timer-calls', 'uptime', ['1s', '1h', '30d']],
    ['hv-set-clock', 'tscKhz', FREQUENCIES],
    ['hv-set-clock', 'uptime', ['1min', '1h', '30d']],
    ['hv-stimer', 'tscKhz', FREQUENCIES],
    ['hv-stimer', 'delay', ['0', '1us', '10us']],
    ['hv-stimer-restore', 'tscKhz', FREQUENCIES],
    ['hv-stimer-restore', 'uptime', ['1s', '1min', '30d']],
    ['deadline-offset', 'tscKhz', FREQUENCIES],
    ['deadline-offset', 'uptime', ['30s', '1min', '30d']],
    ['steal-backwards', 'tscKhz', FREQUENCIES],
    ['xen-runstate', 'tscKhz', FREQUENCIES],
    ['event-injection', 'tscKhz', FREQUENCIES],
    ['nested-tsc', 'uptime', ['1s', '10s', '1d']],
  ])('%s --%s', async (name, param, values) => {
    const usual = await rowsOf(name, {});
    expect(usual.length).toBeGreaterThan(0);
    for (const value of values)
      expect(await rowsOf(name, { [param]: value }), value).toEqual(usual);
  });
});

test.each(['1us', '100ms', '1s'])('xen-timer-calls --past %s', async (past) => {
  const ns = { '1us': 1_000n, '100ms': 100_000_000n, '1s': SECOND_NS }[past]!;
  const [rows, usual] = [
    await rowsOf('xen-timer-calls', { past }),
    await rowsOf('xen-timer-calls', {}),
  ];
  const fires = (its: typeof rows) => its.map((row) => row['fires after (ns)']);
  expect(fires(rows)).toEqual(fires(usual));
  expect(rows.map((row) => row['when'])).toContain(`now − ${ns} ns`);
  expect(rows[2]!['when']).toBe(`−${ns} ns`);
});

describe('xen-timer-pairs', () => {
  test.each([
    ['10us', 10_000n],
    ['100us', 100_000n],
    ['10ms', 10_000_000n],
  ])('--sleep %s is longer by as much', async (sleep, ns) => {
    for (const row of await rowsOf('xen-timer-pairs', { sleep })) {
      if (row['latency (ns)'] === '') continue;
      expect(row['latency (ns)']).toBe(ns + 3_243n);
      // Over the sleep itself the guest’s clock gains up to 730 ppb.
      const gained = 3_243n - big(row['clock (ns)']);
      expect(gained >= -1n && gained <= 2n + (ns * 73n) / 100_000_000n, `${gained}`).toBe(true);
    }
  });

  test.each([
    ['2600000', '2500000', 'vmx', 48n],
    ['2600000', '2500000', 'svm', 32n],
    ['2400000', '2345678', 'vmx', 48n],
    ['3700000', '1000001', 'vmx', 48n],
    ['2900000', '3000000', 'svm', 32n],
  ] as const)(
    '%s kHz, guest %s, %s: clocks are apart by it, less what is gained in a sleep',
    async (...its) => {
      const [hostKhz, guestKhz, vendor, frac] = its;
      const [row] = await rowsOf('xen-timer-pairs', { hostKhz, guestKhz, vendor });
      const khz = BigInt(hostKhz);
      const ratio = ((1n << frac) * BigInt(guestKhz)) / khz;
      expect(row!['ratio']).toBe(ratio);
      const guest = timeScale(SECOND_NS, scaleTsc(khz, ratio, Number(frac)) * 1000n);
      const host = timeScale(SECOND_NS, khz * 1000n);
      const apart = (cycles: bigint): bigint =>
        scaleDelta(scaleTsc(cycles, ratio, Number(frac)), guest.mul, guest.shift) -
        scaleDelta(cycles, host.mul, host.shift);
      const cycles = (big(row!['uptime (ns)']) * khz) / 1_000_000n;
      expect(apart(cycles) - 3_243n).toBeGreaterThanOrEqual(-2n);
      expect(apart(cycles) - 3_243n).toBeLessThanOrEqual(1n);
    },
  );
});

describe('hv-stimer', () => {
  test.each([
    ['10s', 10n],
    ['1min', 60n],
    ['1d', 86_400n],
  ])('--uptime %s: reference time starts from it', async (uptime, seconds) => {
    const [row] = await rowsOf('hv-stimer', { uptime });
    const off = big(row!['reference time (100 ns)']) - (seconds * SECOND_NS) / 100n - 100_000n;
    expect(off >= -2n && off <= 0n, `${off}`).toBe(true);
  });

  test.each([
    ['0', 0n],
    ['1us', 1_000n],
    ['10us', 10_000n],
  ])('v5.10, --delay %s: set that much later, late by as much more', async (delay, ns) => {
    const rows = await rowsOf('hv-stimer', { delay, step: '-100ms' }, 'v5.10');
    const off = big(rows[2]!['against its period (ns)']) - 100_000_000n - ns;
    expect(off >= -200n && off <= 200n, `${off}`).toBe(true);
  });
});

describe('deadline-restore', () => {
  test.each(['1000000', '2400000', '5000000'])('--tsc-khz %s', async (tscKhz) => {
    const khz = BigInt(tscKhz);
    const [, row] = await rowsOf('deadline-restore', { tscKhz });
    const cycles = ((DAY_NS + 10_000_000n - 100_000_000n) * khz) / 1_000_000n;
    expect(row!['set for (ns)']).toBe(BigInt.asUintN(64, cycles * 1_000_000n) / khz);
  });

  test.each([
    ['1ms', 1_000_000n],
    ['10ms', 10_000_000n],
    ['1s', SECOND_NS],
  ])('--due %s', async (due, ns) => {
    const [first, second] = await rowsOf('deadline-restore', { due });
    expect(first).toMatchObject({ 'due in (ns)': ns, 'set for (ns)': ns });
    const cycles = (DAY_NS + ns - 100_000_000n) * 5n;
    expect(second!['set for (ns)']).toBe(
      BigInt.asUintN(64, (cycles / 2n) * 1_000_000n) / 2_500_000n,
    );
  });
});

describe('xen-runstate', () => {
  test.each([
    ['1ms', '250', 1_000_000n, 250n],
    ['4ms', '1', 4_000_000n, 1n],
    ['10ms', '1000', 10_000_000n, 1_000n],
  ])('ticks of %s, %s of them', async (tick, ticks, ns, times) => {
    const rows = await rowsOf('xen-runstate', { tick, ticks });
    const span = ns * times;
    const entered = rows.map((row) => big(row['entered at (ns)']));
    const steps = entered.slice(1).map((at, i) => at - entered[i]!);
    // Each look takes the ticks; then it waits 1 s, while the clock is set back by 4, or 4 s go by.
    expect(steps).toEqual([span - 3n * SECOND_NS, span + SECOND_NS, span + 5n * SECOND_NS]);
    expect(rows[1]).toMatchObject({
      'stolen, Linux (ns)': span,
      'stolen, RFC v3 21/21 (ns)': ns,
    });
  });
});

describe('nested', () => {
  test.each(['1000000', '3000000', '4000000'])(
    'nested-tsc --tsc-khz %s: L1’s ratio',
    async (tscKhz) => {
      const rows = await rowsOf('nested-tsc', { tscKhz });
      const ratios = rows.filter((row) => row['moment'] === 'before').map((row) => row['ratio']);
      const of = (frac: bigint): bigint => ((1n << frac) * 1_500_000n) / BigInt(tscKhz);
      expect(ratios).toEqual([of(48n), of(32n)]);
    },
  );

  test.each([
    ['1000000', '10s', 10_000_000_000n],
    ['3000000', '1h', 10_800_000_000_000n],
    ['4000000', '30d', 10_368_000_000_000_000n],
  ])('nested-tsc-write --tsc-khz %s --uptime %s: L1’s TSC', async (tscKhz, uptime, cycles) => {
    const [before, , , after] = await rowsOf('nested-tsc-write', { tscKhz, uptime });
    expect(before!['TSC (cycles)']).toBe(cycles);
    expect(after!['TSC (cycles)']).toBe(cycles - (1n << 48n) - (1n << 32n));
  });
});
