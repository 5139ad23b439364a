/** PVCLOCK_COUNTS_FROM_ZERO, and the constant that took its place. */
import { describe, expect, test } from 'vitest';
import type { PlayOptions } from '../../src/scenarios/play.ts';
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

  test('findings say so, at the instants that the table has: vCPU 1’s clock goes back 100 ms later', async () => {
    const { hosts } = await table('counts-from-zero');
    for (const { findings } of hosts) {
      const jumps = findings.filter(({ rule }) => rule === 'jump');
      expect(jumps.map(({ vcpu, deltaNs, timeNs }) => [vcpu, deltaNs, timeNs])).toEqual([
        [0, -HOUR_NS, HOUR_NS],
        [1, -HOUR_NS, HOUR_NS + 100_000_000n],
      ]);
    }
    for (const { findings } of hosts) {
      const mechanisms = findings.flatMap((f) => (f.rule === 'jump' ? [f.mechanism] : []));
      expect(mechanisms).toEqual(['counts-from-zero', 'counts-from-zero']);
    }
  });

  test('SLES 10 boots by the old MSR: it never has the masterclock that it could lose', async () => {
    const { hosts, rows } = await table('counts-from-zero');
    const [rewrite] = hosts;
    expect(rewrite!.findings.map(({ rule }) => rule)).not.toContain('masterclock-lost');
    expect(rows.map((row) => Number(row['flags']) & 1)).toEqual([0, 0, 1, 1]);
    const { entries } = rewrite!.simulation;
    const written = entries.flatMap((it) =>
      it.kind === 'input' && it.input.type === 'wrmsr' ? [it.input.index] : [],
    );
    expect(written).toEqual([0x12, 0x12, 0x12]);
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

  const SYNC_S = 300n;
  const NS: Readonly<Record<string, bigint>> = {
    '0': 0n,
    '500ns': 500n,
    '1ms': 1_000_000n,
  };
  /** What a clock gains in so many seconds, by parts per million: a microsecond for each. */
  const gained = (ppm: string, seconds: bigint): bigint => BigInt(ppm) * seconds * 1_000n;

  const apartBy = async (params: Record<string, string>, options: PlayOptions = {}) => {
    const { rows, ...played } = await table('sched-clock', { profile: 'v4.4', ...options, params });
    const [younger, older] = rows.filter((row) => row['case'] === 'tsc to hpet');
    expect([younger!['vCPU'], older!['vCPU']]).toEqual([1, 0]);
    expect([younger!['STABLE'], older!['STABLE']]).toEqual([false, false]);
    const apart = (younger![plain] as bigint) - (older![plain] as bigint);
    // vCPU 0 is read after vCPU 1, and does not go back behind it.
    expect(older![clock]).toBe(apart > 0n ? younger![clock] : older![plain]);
    return { ...played, apart };
  };

  // All pages are written each 300 s of the VM’s life; what is due at that instant comes after it.
  test.each([
    ['1h', 3_600n, '30min', 1_800n, '20', '500ns'],
    ['1h', 3_600n, '250s', 250n, '20', '0'],
    ['1h', 3_600n, '1799s', 1_799n, '20', '0'],
    ['1000s', 1_000n, '110s', 110n, '100', '1ms'],
    ['1000s', 1_000n, '40000s', 40_000n, '-500', '500ns'],
    ['1d', 86_400n, '1d', 86_400n, '500', '500ns'],
  ])(
    'tsc → hpet after %s (%s s), and %s (%s s) with NTP at %s ppm, a gap of %s',
    async (uptime, uptimeS, hpet, hpetS, ntpPpm, gap) => {
      const { apart } = await apartBy({ uptime, hpet, ntpPpm, gap });
      const sinceSync = (uptimeS + hpetS) % SYNC_S || SYNC_S;
      const since = sinceSync < hpetS ? sinceSync : hpetS;
      expect(apart).toBe(gained(ntpPpm, since) + NS[gap]!);
      const without = await apartBy({ uptime, hpet, ntpPpm, gap, periodicSync: 'off' });
      expect(without.apart).toBe(gained(ntpPpm, hpetS) + NS[gap]!);
    },
  );

  test('the work is in the log, once every 300 s without the masterclock', async () => {
    const { apart, hosts } = await apartBy({});
    expect(apart).toBe(6_000_500n);
    const { entries } = hosts.find(
      ({ simulation }) => simulation.name === 'tsc to hpet',
    )!.simulation;
    const inputs = entries.flatMap((it) => (it.kind === 'input' ? [it.input] : []));
    const works = inputs.filter(({ type }) => type === 'kvmclock_sync_work');
    // At 2 GHz, 3900 s to 5100 s.
    const at = [3_900n, 4_200n, 4_500n, 4_800n, 5_100n].map((s) => s * 2_000_000_000n);
    expect(works.map(({ tsc }) => tsc)).toEqual(at);
  });

  test('periodicSync=none: nothing writes vCPU 0’s page meanwhile', async () => {
    expect((await apartBy({}, { set: { periodicSync: 'none' } })).apart).toBe(36_000_500n);
  });

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
