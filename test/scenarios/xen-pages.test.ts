/** Xen’s pages: what placing them asks for, and what is then in the guest’s memory. */
import { describe, expect, test } from 'vitest';
import type { Switches } from '../../src/profiles/index.ts';
import type { PlayOptions } from '../../src/scenarios/play.ts';
import type { Cell } from '../../src/scenarios/scenario.ts';
import { big, table } from './table.ts';

type Params = Record<string, string>;

/** The rows by their steps. */
async function steps(params: Params = {}, options: PlayOptions = {}) {
  const { rows, verdict } = await table('xen-pages', { ...options, params });
  const of = (step: string): Record<string, Cell> => rows.find((row) => row['step'] === step)!;
  return { rows, verdict, of };
}

const isAbout = (cell: Cell | undefined, ns: bigint, most = 60n): void => {
  const off = big(cell) - ns;
  expect(off >= -most && off <= most, `${off} ns off ${ns}`).toBe(true);
};

/** ns a day, of the notes: base clock − guest’s (A − B), base clock − host’s scale (A − C). */
const A_DAY = [
  ['3000000', '2500000', -39_705_075n, -5_129_725n],
  ['2500000', '3000000', -33_946_708n, -5_129_725n],
  ['2400000', '2345678', -32_696_142n, 4_127_919n],
  ['3000000', '1500000', -5_129_725n, -5_129_725n],
] as const;

describe('placing shared_info', () => {
  test.each(A_DAY)('v6.1, %s to %s kHz: the clock moves by %s ns a day', async (...its) => {
    const [tscKhz, guestKhz, jump, wall] = its;
    const { of } = await steps({ tscKhz, guestKhz });
    isAbout(of('shared_info')['jump (ns)'], jump);
    isAbout(of('shared_info')['wall clock off (ns)'], wall);
  });

  test.each([
    ['1h', 24n],
    ['12h', 2n],
    ['1d', 1n],
  ])('after %s: a day’s, divided by %s', async (uptime, parts) => {
    const { of } = await steps({ uptime });
    isAbout(of('shared_info')['jump (ns)'], -39_705_075n / parts);
    isAbout(of('shared_info')['wall clock off (ns)'], -5_129_725n / parts);
  });

  test.each<[string, Partial<Switches>, bigint, number]>([
    ['v5.15', {}, -39_705_075n, 2],
    ['v7.2', {}, -39_705_075n, 2],
    ['v7.3', {}, 0n, 0],
    ['rfc-v3', {}, 0n, 0],
    ['v7.2', { mclkUpdateOnXenSharedInfo: false }, 0n, 0],
    ['v7.3', { mclkUpdateOnXenSharedInfo: true }, -39_705_075n, 2],
  ])(
    '%s with %j: the clock moves by %s ns, %i references asked for',
    async (profile, set, ns, asked) => {
      const { of } = await steps({}, { profile, set });
      isAbout(of('shared_info')['jump (ns)'], ns);
      expect(of('shared_info')['MASTERCLOCK_UPDATE']).toBe(asked);
    },
  );

  test.each([1, 3, 8])('%i vCPUs are asked, each', async (vcpus) => {
    const { of } = await steps({ vcpus: String(vcpus) });
    expect(of('shared_info')['MASTERCLOCK_UPDATE']).toBe(vcpus);
    expect(of('vcpu_info')).toMatchObject({ MASTERCLOCK_UPDATE: 0, CLOCK_UPDATE: 1 });
  });

  test.each<[string, Partial<Switches>, bigint]>([
    ['v6.1', {}, -5_129_725n],
    ['v7.3', {}, 34_575_350n],
    ['v7.3', { wallClock: 'guest-scale' }, 34_499_914n],
    ['v7.3', { wallClock: 'guest-scale', pvScaleUnit: 'hz' }, 0n],
    ['rfc-v3', {}, 0n],
    ['rfc-v3', { wallClock: 'single-tsc' }, 75_436n],
  ])('%s with %j: the time of day is off by %s ns', async (profile, set, ns) => {
    const { of } = await steps({}, { profile, set });
    isAbout(of('shared_info')['wall clock off (ns)'], ns, 100n);
  });

  test('the guest’s mode moves the wall clock, not its value', async () => {
    const [long, short] = [await steps(), await steps({ mode: '32-bit' })];
    expect(short.rows).toEqual(long.rows);
  });
});

describe('the pages in memory', () => {
  test('v7.3: versions and flags, step by step', async () => {
    const { rows } = await steps({}, { profile: 'v7.3' });
    expect(rows.map((row) => [row['step'], row['vcpu_info'], row['vcpu_time_info']])).toEqual([
      ['vcpu_info', '2 STABLE, 0x310000', 'none, nowhere'],
      ['vcpu_time_info', '4 STABLE, 0x310000', '2 STABLE, 0x320000'],
      ['shared_info', '4 STABLE, 0x310000', '2 STABLE, 0x320000'],
      ['KVM_KVMCLOCK_CTRL', '6 STABLE, 0x310000', '4 STABLE, 0x320000'],
      ['PVCLOCK_TSC_UNSTABLE', '8, 0x310000', '6, 0x320000'],
      ['vcpu_info away', '8, nowhere', '6, 0x320000'],
      ['KVM_SET_CLOCK', '8, nowhere', '8, 0x320000'],
    ]);
    expect(rows.at(-1)!['kvmclock']).toMatch(/^\d+ STABLE STOPPED$/);
  });

  test.each<[string, Partial<Switches>, boolean]>([
    ['v6.1', {}, true],
    ['v6.15', {}, false],
    ['v6.1', { pvStoppedInCache: false }, false],
    ['v6.15', { pvStoppedInCache: true }, true],
  ])('%s with %j: STOPPED in Xen’s pages is %s', async (profile, set, stopped) => {
    const { of } = await steps({}, { profile, set });
    const row = of('KVM_KVMCLOCK_CTRL');
    expect(row['kvmclock']).toContain('STOPPED');
    expect(String(row['vcpu_info']).includes('STOPPED')).toBe(stopped);
    expect(String(row['vcpu_time_info']).includes('STOPPED')).toBe(stopped);
  });

  test.each<[string, Partial<Switches>, boolean]>([
    ['v6.1', {}, true],
    ['v6.8', {}, false],
    ['v6.8', { xenTscUnstableFlag: false }, true],
    ['v6.1', { xenTscUnstableFlag: true }, false],
  ])('%s with %j: STABLE stays in Xen’s pages: %s', async (profile, set, stable) => {
    const { of } = await steps({}, { profile, set });
    const row = of('PVCLOCK_TSC_UNSTABLE');
    expect(row['kvmclock']).toContain('STABLE');
    expect(String(row['vcpu_info']).includes('STABLE')).toBe(stable);
    expect(String(row['vcpu_time_info']).includes('STABLE')).toBe(stable);
  });

  test.each([
    ['1s', 1_000_000_000n],
    ['1us', 1_000n],
    ['1h', 3_600_000_000_000n],
  ])('a page that was taken away does not see KVM_SET_CLOCK by %s', async (move, ns) => {
    const { rows, of } = await steps({ move });
    for (const row of rows.slice(0, -1)) expect(row['vcpu_info − kvmclock (ns)']).toBe(0n);
    const last = of('KVM_SET_CLOCK');
    expect(last['vcpu_info − kvmclock (ns)']).toBe(-ns);
    expect(last['jump (ns)']).toBe(ns);
    const before = big(of('vcpu_info away')['wall clock off (ns)']);
    expect(big(last['wall clock off (ns)'])).toBe(before + ns);
  });
});

test.each<[string, Partial<Switches>]>([
  ['v4.4', {}],
  ['v5.10', {}],
  ['v7.3', { xenAttributes: false }],
])('%s with %j knows nothing of Xen’s pages', async (profile, set) => {
  const { rows, verdict } = await steps({}, { profile, set });
  expect({ rows, verdict }).toEqual({
    rows: [],
    verdict: 'this kernel knows nothing of Xen’s pages',
  });
});
