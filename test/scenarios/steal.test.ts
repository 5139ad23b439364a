/** Stolen time that goes back: what KVM counts, and what guests make of it. */
import { describe, expect, test } from 'vitest';
import type { Switches } from '../../src/profiles/index.ts';
import type { PlayOptions } from '../../src/scenarios/play.ts';
import { big, table } from './table.ts';

const SECOND_NS = 1_000_000_000n;
const LINUX = 'stolen, Linux (ns)';
const PATCHED = 'stolen, RFC v3 21/21 (ns)';

describe('steal-backwards', () => {
  const rowsOf = async (params: Record<string, string>, options: PlayOptions = {}) =>
    (await table('steal-backwards', { ...options, params })).rows;

  test.each([
    ['10s', '2s', 2n * SECOND_NS],
    ['1ms', '0', 0n],
    ['1d', '23h', 82_800n * SECOND_NS],
  ])(
    '%s waited, then a thread with %s: Linux is stolen from all the time, RFC v3 a tick',
    async (waited, other, ns) => {
      const [before, moved, later] = await rowsOf({ waited, other });
      expect([before![LINUX], before![PATCHED]]).toEqual([0n, 0n]);
      expect(moved!['steal clock (ns)']).toBe(ns);
      expect([moved![LINUX], moved![PATCHED]]).toEqual([SECOND_NS, 4_000_000n]);
      expect([later![LINUX], later![PATCHED]]).toEqual([SECOND_NS, 0n]);
    },
  );

  test.each([
    ['1ms', '1000', SECOND_NS],
    ['10ms', '3', 30_000_000n],
    ['4ms', '1', 4_000_000n],
  ])('ticks of %s, %s of them', async (tick, ticks, span) => {
    const [, moved] = await rowsOf({ tick, ticks });
    expect(moved!['ticks (ns)']).toBe(span);
    expect(moved![LINUX]).toBe(span);
    expect(moved![PATCHED]).toBe(span / BigInt(ticks));
  });

  test('a thread that waited longer: Linux reports it over ticks, RFC v3 one tick of it', async () => {
    const [, moved, later] = await rowsOf({ waited: '1s', other: '1500ms' });
    expect([moved![LINUX], moved![PATCHED]]).toEqual([SECOND_NS / 2n, 4_000_000n]);
    expect([later![LINUX], later![PATCHED]]).toEqual([0n, 0n]);
  });

  test.each(['v4.4', 'v5.10', 'v6.1', 'v7.3'])('%s: KVM’s record goes back', async (profile) => {
    const [before, moved] = await rowsOf({}, { profile });
    expect(big(moved!['steal clock (ns)']) - big(before!['steal clock (ns)'])).toBe(
      -8n * SECOND_NS,
    );
  });
});

describe('the most ticks', () => {
  test.each(['steal-backwards', 'xen-runstate'])('%s: 2000 of 10 ms, and no more', async (name) => {
    const params = { tick: '10ms', ticks: '2000' };
    const { rows } = await table(name, { params });
    // All of 20 s is stolen once the steal clock went back.
    expect(rows[1]![LINUX]).toBe(20n * SECOND_NS);
    expect(rows[1]![PATCHED]).toBe(10_000_000n);
    await expect(table(name, { params: { ticks: '2001' } })).rejects.toThrow(
      '--ticks: expected a whole number, 1 to 2000, found "2001"',
    );
  });
});

describe('xen-runstate', () => {
  const rowsOf = async (
    xenRunstateClamp: Switches['xenRunstateClamp'],
    params: Record<string, string> = {},
    profile = 'v7.2',
  ) => (await table('xen-runstate', { profile, set: { xenRunstateClamp }, params })).rows;
  const runnableOf = (rows: Awaited<ReturnType<typeof rowsOf>>): bigint[] =>
    rows.map((row) => BigInt.asIntN(64, big(row['runnable (ns)'])));

  test.each([
    ['4s', -3n * SECOND_NS],
    ['1001ms', -1_000_000n],
    ['10s', -9n * SECOND_NS],
  ])('none: back by %s, runnable moves by %s ns and all time is stolen', async (back, ns) => {
    const rows = await rowsOf('none', { back });
    const [before, after] = runnableOf(rows);
    expect(after! - before!).toBe(ns);
    expect([rows[1]![LINUX], rows[1]![PATCHED]]).toEqual([SECOND_NS, 4_000_000n]);
    // What is counted as runnable wraps only where it was less than was taken off.
    expect(big(rows[1]!['runnable (ns)']) > 1n << 63n).toBe(SECOND_NS + ns < 0n);
  });

  test.each([
    ['0', SECOND_NS],
    ['400ms', 600_000_000n],
    ['1s', 0n],
  ])('none: back by %s, less than was waited: %s ns are reported', async (back, ns) => {
    const rows = await rowsOf('none', { back });
    const [before, after] = runnableOf(rows);
    expect(after! - before!).toBe(ns);
    expect(rows[1]![LINUX]).toBe(ns);
  });

  test.each(['1001ms', '4s', '10s'])(
    'clamp: back by %s, the state changes and nothing is added',
    async (back) => {
      const rows = await rowsOf('clamp', { back });
      const [before, after] = runnableOf(rows);
      expect(after).toBe(before);
      expect(rows[1]).toMatchObject({ state: 'running', [LINUX]: 0n, [PATCHED]: 0n });
      expect(rows[1]!['entered at (ns)']).toBe(13n * SECOND_NS);
      // The clock has caught up: what is waited counts again.
      expect(runnableOf(rows)[3]! > after!).toBe(true);
      expect(rows[3]!['state']).toBe('running');
    },
  );

  test.each(['3500ms', '4s', '10s'])(
    'skip: back by %s, runnable until the clock has caught up, which counts as waited',
    async (back) => {
      const rows = await rowsOf('skip', { back });
      expect(rows.map((row) => row['state'])).toEqual([
        'running',
        'runnable',
        'runnable',
        'running',
      ]);
      const [, after, , last] = runnableOf(rows);
      const entered = rows.map((row) => big(row['entered at (ns)']));
      expect(last! - after!).toBe(entered[3]! - entered[1]!);
      expect(rows[3]!['running (ns)']).toBe(rows[1]!['running (ns)']);
    },
  );

  test('set back to 0: the whole of the clock is taken off', async () => {
    const { rows, verdict } = await table('xen-runstate', { params: { back: '14s' } });
    expect(rows[1]!['entered at (ns)']).toBe(0n);
    expect(verdict).toContain('runnable time went by -13000000000 ns');
  });

  test.each([
    [{ back: '1d' }, '14s', '1d'],
    [{ back: '14.000000001s' }, '14s', '14.000000001s'],
    [{ back: '60min', ran: '1min', waited: '0' }, '62s', '60min'],
    [{ ran: '1s', waited: '0', tick: '1ms', ticks: '1' }, '2.001s', '4s, the default'],
  ])(
    '%j: the clock reads %s ns by then, and cannot be set back by %s',
    async (params, most, found) => {
      await expect(table('xen-runstate', { params })).rejects.toThrow(
        `--back: expected at most ${most}, which the clock reads by then, found ${found}`,
      );
    },
  );

  test('v7.2 as none, v7.3 as clamp, the RFC as skip; v5.10 has none', async () => {
    for (const [profile, as] of [
      ['v6.1', 'none'],
      ['v7.2', 'none'],
      ['v7.3', 'clamp'],
      ['rfc-v3', 'skip'],
    ] as const) {
      const { rows } = await table('xen-runstate', { profile });
      expect(rows, profile).toEqual(await rowsOf(as));
    }
    const { verdict } = await table('xen-runstate', { profile: 'v5.10' });
    expect(verdict).toBe('this kernel has no runstates');
    const off = await table('xen-runstate', { set: { xenRunstate: false } });
    expect(off.verdict).toBe(verdict);
  });

  test.each([
    ['1s', '500ms'],
    ['20s', '1s'],
    ['2s', '2s'],
  ])('ran %s, waited %s', async (ran, waited) => {
    const [first] = await rowsOf('none', { ran, waited });
    const ns = {
      '500ms': 500_000_000n,
      '1s': SECOND_NS,
      '2s': 2n * SECOND_NS,
      '20s': 20n * SECOND_NS,
    };
    expect(first).toMatchObject({
      'running (ns)': ns[ran as keyof typeof ns],
      'runnable (ns)': ns[waited as keyof typeof ns],
    });
  });
});
