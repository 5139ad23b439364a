/** PVCLOCK_COUNTS_FROM_ZERO, and the constant that took its place. */
import { describe, expect, test } from 'vitest';
import { table } from './table.ts';

const HOUR_NS = 3_600_000_000_000n;

describe('counts-from-zero', () => {
  test.each([
    ['1h', '1d', HOUR_NS],
    ['2h', '0', 2n * HOUR_NS],
    ['30d', '365d', 720n * HOUR_NS],
  ])('up for %s on a host up for %s: all of it is lost', async (uptime, hostUptime, ns) => {
    const { rows } = await table('counts-from-zero', { params: { uptime, hostUptime } });
    expect(rows.map((row) => row['vCPU 0 registers again'])).toEqual([
      'rewrite',
      'rewrite',
      'replug',
      'replug',
    ]);
    for (const row of rows) {
      const isFirst = row['vCPU'] === 0;
      expect(row['kvmclock before (ns)']).toBe(ns);
      // vCPU 1 hears of it 100 ms later.
      expect(row['moved at once (ns)']).toBe(isFirst ? -ns : 0n);
      expect(row['moved 100 ms later (ns)']).toBe(-ns);
      expect(Number(row['flags']) & 4).toBe(4);
    }
  });

  test('findings say so: each vCPU’s clock jumps back by it', async () => {
    const { hosts } = await table('counts-from-zero');
    const [rewrite] = hosts;
    const jumps = rewrite!.findings.filter(({ rule }) => rule === 'jump');
    expect(jumps.map(({ vcpu, deltaNs }) => [vcpu, deltaNs])).toEqual([
      [0, -HOUR_NS],
      [1, -HOUR_NS],
    ]);
    expect(rewrite!.findings.map(({ rule }) => rule)).toContain('masterclock-lost');
    for (const { findings } of hosts) {
      const mechanisms = findings.flatMap((f) => (f.rule === 'jump' ? [f.mechanism] : []));
      expect(mechanisms).toEqual(['counts-from-zero', 'counts-from-zero']);
    }
  });

  test.each([
    ['v4.2-cfz', { countsFromZero: false }],
    ['v4.4', {}],
  ] as const)('%s with %j: nothing is lost, and bit 2 means nothing', async (profile, set) => {
    const { rows } = await table('counts-from-zero', { profile, set });
    for (const row of rows) {
      expect(row['moved at once (ns)']).toBe(0n);
      expect(row['moved 100 ms later (ns)']).toBe(0n);
      expect(Number(row['flags']) & 4).toBe(0);
    }
  });

  test('v4.4 with the switch does as v4.2', async () => {
    const { rows } = await table('counts-from-zero', {
      profile: 'v4.4',
      set: { countsFromZero: true },
    });
    for (const row of rows) expect(row['moved 100 ms later (ns)']).toBe(-HOUR_NS);
  });
});

describe('sched-clock', () => {
  const clock = 'sched_clock (ns)';
  const plain = 'kvmclock less the constant (ns)';
  const caseOf = async (name: string, params: Record<string, string> = {}, profile = 'v4.4') => {
    const { rows } = await table('sched-clock', { params, profile });
    const found = rows.filter((row) => row['case'] === name);
    expect(found).toHaveLength(2);
    return found;
  };

  test.each(['register again', 'no STABLE bit'])('%s: nothing is lost', async (name) => {
    for (const [uptime, ns] of [
      ['10s', 10_000_000_000n],
      ['1h', HOUR_NS],
      ['30d', 720n * HOUR_NS],
    ] as const) {
      for (const row of await caseOf(name, { uptime })) expect(row[clock]).toBe(ns);
    }
  });

  test.each([
    ['1h', '20', '0', 36_000_000n],
    ['2h', '100', '1ms', 361_000_000n],
    ['1d', '500', '500ns', 21_600_000_500n],
  ])(
    'tsc → hpet after half of %s, NTP at %s ppm, a gap of %s',
    async (uptime, ntpPpm, gap, apart) => {
      const [younger, older] = await caseOf('tsc to hpet', { uptime, ntpPpm, gap });
      expect([younger!['vCPU'], older!['vCPU']]).toEqual([1, 0]);
      expect([younger!['STABLE'], older!['STABLE']]).toEqual([false, false]);
      // Without the clamp the guest would go back by it when it moves from vCPU 1 to vCPU 0.
      expect((younger![plain] as bigint) - (older![plain] as bigint)).toBe(apart);
      expect(older![clock]).toBe(younger![clock]);
    },
  );

  test.each(['v5.10', 'v6.1', 'v7.3'])('%s: NTP parts no vCPUs, the gap does', async (profile) => {
    const [younger, older] = await caseOf('tsc to hpet', {}, profile);
    expect((younger![plain] as bigint) - (older![plain] as bigint)).toBe(500n);
    expect(older![clock]).toBe(younger![clock]);
  });

  test.each([
    ['1us', 1_000n],
    ['1ms', 1_000_000n],
    ['1h', HOUR_NS],
  ])('vCPU 1 %s behind: it underflows by that, unless it is clamped', async (behind, ns) => {
    const [, trusting] = await caseOf('vCPU 1 behind', { behind });
    expect(trusting![clock]).toBe(-ns);
    const [, clamped] = await caseOf('vCPU 1 behind, no STABLE bit', { behind });
    expect([clamped![plain], clamped![clock]]).toEqual([-ns, 0n]);
  });

  test('from v5.15 on TSC_ADJUST renews the page: no such case', async () => {
    const [, row] = await caseOf('vCPU 1 behind', {}, 'v5.15');
    expect(row![clock]).toBe(0n);
  });

  test.each([true, false])('tscAdjustRaisesClockUpdate=%s decides that', async (value) => {
    const { rows } = await table('sched-clock', {
      set: { tscAdjustRaisesClockUpdate: value },
    });
    const row = rows.find((it) => it['case'] === 'vCPU 1 behind' && it['vCPU'] === 1);
    expect(row![clock]).toBe(value ? 0n : -1_000_000n);
  });
});
