/** “RFC: Precise TSC migration”: TSCs with the time at which they were read, and which are synchronised. */
import { describe, expect, test } from 'vitest';
import type { PlayOptions } from '../../src/scenarios/play.ts';
import { table } from './table.ts';

describe('precise-tsc', () => {
  const found = async (options: PlayOptions = {}) => {
    const { rows } = await table('precise-tsc', options);
    return (clocksource: string, way: string) => {
      const row = rows.find(
        (it) => it['clocksource'] === clocksource && it['put back by'] === way,
      )!;
      const cells = ['vCPU 0 off by (cycles)', 'vCPU 1 off by (cycles)', 'its TSC_ADJUST'];
      return cells.map((name) => row[name]);
    };
  };

  test.each([
    ['1ms', 1_000_000n],
    ['10s', 10_000_000_000n],
    ['1d', 86_400_000_000_000n],
  ])('away for %s: TSCs go on; as MSRs they lose it, and vCPU 1 its lead', async (pause, ns) => {
    const at = await found({ params: { pause } });
    expect(at('tsc', 'TSC_STATE')).toEqual([0n, 0n, 1_000_000n]);
    const lost = ns * 2n;
    expect(at('tsc', 'MSRs')).toEqual([-lost, -lost - 1_000_000n, 1_000_000n]);
  });

  test.each([
    ['0', 0n],
    ['500ns', 1_000n],
    ['1ms', 2_000_000n],
  ])('hpet: the time is read %s after the TSC, which is behind by it', async (late, cycles) => {
    const at = await found({ params: { late } });
    expect(at('hpet', 'TSC_STATE')).toEqual([-cycles, -cycles, 1_000_000n]);
    expect(at('tsc', 'TSC_STATE')).toEqual([0n, 0n, 1_000_000n]);
  });

  test.each([
    ['20', '10s', 400_000n],
    ['-100', '10s', -2_000_000n],
    ['500', '1h', 3_600_000_000n],
  ])('NTP at %s ppm for %s: off by %s cycles', async (ntpPpm, pause, cycles) => {
    const [first] = (await found({ params: { ntpPpm, pause } }))('tsc', 'TSC_STATE');
    // The clock is read in whole nanoseconds, twice.
    const rest = (first as bigint) - cycles;
    expect(rest >= -4n && rest <= 4n, String(first)).toBe(true);
  });

  test('a vCPU plugged in later gets the TSC of before: the record of writes is not touched', async () => {
    const { rows } = await table('precise-tsc');
    const ahead = rows.map((row) => row['vCPU 2, new, ahead of vCPU 0 (cycles)']);
    const lost = 172_820_000_000_000n;
    expect(ahead).toEqual([-lost, 0n, -lost + 1000n, 0n]);
  });

  test.each([
    ['precise-tsc', { tscStateIoctls: 'none' }],
    ['v5.10', {}],
    ['v7.3', {}],
  ] as const)('%s with %j has no such ioctls', async (profile, set) => {
    const { rows } = await table('precise-tsc', { profile, set });
    const returned = rows.map((row) => [row['put back by'], row['returns']]);
    expect(returned.slice(0, 2)).toEqual([
      ['TSC_STATE', -22],
      ['MSRs', 0],
    ]);
  });
});

describe('tsc-sync', () => {
  const HALF = 1_000_000_000n;
  const found = async (options: PlayOptions = {}) => {
    const { rows } = await table('tsc-sync', options);
    const cells = ['ahead of vCPU 0’s (cycles)', 'its TSC_ADJUST', 'masterclock'];
    return Object.fromEntries(
      rows.map((row) => [
        row['vCPU 1’s TSC'],
        [...cells.map((name) => row[name]), row['KVM_CLOCK_TSC_STABLE']],
      ]),
    );
  };

  test('a vCPU that is plugged in is synchronised, a guest’s TSC_ADJUST is not seen', async () => {
    expect(await found()).toEqual({
      'plugged in': [0n, 0n, 'on', true],
      'its guest writes TSC_ADJUST': [HALF, HALF, 'on', true],
      '… and so does vCPU 0’s': [0n, HALF, 'on', true],
      'userspace writes both': [0n, 0n, 'on', true],
      '… without the quirk': [HALF, HALF, 'on', true],
    });
  });

  test('with TSC_ADJUST in the heuristics the flag is right again', async () => {
    const seen = await found({ set: { tscAdjustSynchronizes: true } });
    expect(seen).toMatchObject({
      'its guest writes TSC_ADJUST': [HALF, HALF, 'off.unmatched', false],
      '… and so does vCPU 0’s': [0n, HALF, 'on', true],
    });
  });

  test('without the quirk’s switch userspace’s write stays a try to synchronise', async () => {
    const seen = await found({ set: { tscHostAccessQuirk: false } });
    expect(seen['… without the quirk']).toEqual([0n, 0n, 'on', true]);
  });

  test.each([
    ['1us', 2_000n, true],
    ['999ms', 1_998_000_000n, true],
    ['1500ms', 3_000_000_000n, false],
  ])('moved by %s: undone within a second', async (moved, cycles, undone) => {
    const seen = await found({ params: { moved } });
    expect(seen['userspace writes both']).toEqual(
      undone ? [0n, 0n, 'on', true] : [cycles, 0n, 'off.unmatched', false],
    );
    expect(seen['… without the quirk']).toEqual([cycles, cycles, 'on', true]);
  });

  test('series-v6 has a masterclock with TSCs apart', async () => {
    const { 'userspace writes both': seen } = await found({
      profile: 'series-v6',
      params: { moved: '1500ms' },
    });
    expect(seen).toEqual([3_000_000_000n, 0n, 'on', true]);
  });
});

describe('tsc-reliable', () => {
  const found = async (options: PlayOptions = {}) => {
    const { rows } = await table('tsc-reliable', options);
    const cells = ['brought up', 'TSC_ADJUST', 'then ahead of vCPU 0 (cycles)', 'masterclock'];
    return rows.map((row) => cells.map((name) => row[name]));
  };

  test.each([
    ['2s', 4_000_000_000n],
    ['5s', 10_000_000_000n],
    ['1min', 120_000_000_000n],
  ])('a vCPU %s behind: moved on by its guest, or left as it is', async (behind, cycles) => {
    expect(await found({ params: { behind } })).toEqual([
      ['synchronised', 0n, 0n, 'on'],
      ['adjusted', cycles, 0n, 'off.unmatched'],
      ['skipped', 0n, 0n, 'on'],
      ['skipped', 0n, -cycles, 'off.unmatched'],
    ]);
  });

  test('series-v6: the masterclock stays through it', async () => {
    const rows = await found({ profile: 'series-v6' });
    expect(rows.map((row) => row.at(-1))).toEqual(['on', 'on', 'on', 'on']);
  });
});
