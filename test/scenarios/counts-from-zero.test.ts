/** The mails on PVCLOCK_COUNTS_FROM_ZERO: the guest's own constant. */
import { describe, expect, test } from 'vitest';
import { scenarioOf } from '../../src/scenarios/all.ts';
import { type PlayOptions, play } from '../../src/scenarios/play.ts';

/** The rows of both guests: vCPUs 0 and 1, twice each. */
async function rowsOf(options: PlayOptions = {}) {
  const { table } = await play(scenarioOf('sched-clock'), options);
  const rows = table.rows.map(([guest, vcpu, stable, now, constant, sched, underflow]) => ({
    ...{ guest, vcpu, stable, underflow },
    now: now as bigint,
    constant: constant as bigint,
    sched: sched as bigint,
  }));
  return { first: rows.slice(0, 4), second: rows.slice(4) };
}

const KERNELS = ['v4.4', 'v4.19', 'v6.1', 'v7.3'];

describe('sched-clock', () => {
  test.each(KERNELS)('%s: the constant stays, whatever the clocksource', async (profile) => {
    const { first } = await rowsOf({ profile });
    expect(new Set(first.map(({ constant }) => constant)).size).toBe(1);
    for (const { now, constant, sched } of first) expect(sched).toBe(now - constant);
  });

  test.each(KERNELS)('%s: with and without STABLE', async (profile) => {
    const { first } = await rowsOf({ profile });
    expect(first.map(({ stable }) => stable)).toEqual([true, true, false, false]);
    expect(first.slice(0, 2).map(({ sched }) => sched)).toEqual([first[0]!.sched, first[0]!.sched]);
    expect(first.map(({ underflow }) => underflow)).toEqual([false, false, false, false]);
  });

  test.each([
    ['0', 0n],
    ['500ns', 500n],
    ['20us', 20_000n],
  ])('a task that changes vCPUs goes back by the gap: %s', async (gap, ns) => {
    const { first } = await rowsOf({ params: { gap } });
    const [, , ahead, behind] = first;
    expect(ahead!.sched - behind!.sched).toBe(ns);
    expect(ahead!.now - behind!.now).toBe(ns);
  });

  test.each([
    ['500ns', 500n],
    ['3ms', 3_000_000n],
    ['1s', 1_000_000_000n],
  ])('%s: underflows within the gap and not after it', async (gap, ns) => {
    const { second } = await rowsOf({ params: { gap } });
    expect(second.map(({ underflow }) => underflow)).toEqual([false, true, false, false]);
    expect(second.map(({ sched }) => sched)).toEqual([0n, 2n ** 64n - ns, ns, 0n]);
  });

  test('no gap, no underflow', async () => {
    const { second } = await rowsOf({ params: { gap: '0' } });
    expect(second.map(({ sched }) => sched)).toEqual([0n, 0n, 0n, 0n]);
  });
});
