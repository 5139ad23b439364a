/** The first source mail, MONOTONIC_RAW behind the masterclock: what it leaves, by the worked numbers. */
import { describe, expect, test } from 'vitest';
import type { PlayOptions } from '../../../src/scenarios/play.ts';
import { table } from '../table.ts';

const DAY_NS = 86_400_000_000_000n;

describe('raw-residue', () => {
  const jumpOf = async (params: Record<string, string>, options: PlayOptions = {}) => {
    const { rows, hosts } = await table('raw-residue', { ...options, params });
    expect(rows[1]!['jump (ns)']).toBe(rows[0]!['jump (ns)']);
    expect(rows[0]!['RAW − page (ns)']).toBe(rows[0]!['jump (ns)']);
    const jumps = hosts[0]!.findings.filter(({ rule }) => rule === 'jump');
    for (const { predictedNs, deltaNs } of jumps) expect(predictedNs).toBe(deltaNs);
    return rows[0]!['jump (ns)'];
  };

  /** The notes round a rate times a day; the clocks round each reading down. */
  const expectAbout = (jump: unknown, expected: bigint) => {
    const off = (jump as bigint) - expected;
    expect(off >= -1n && off <= 1n, `${String(jump)}, expected ${expected}`).toBe(true);
  };

  test.each([
    ['2500000', '0', -5_129_725n],
    ['2400000', '0', 4_127_920n],
    ['3000000', '2500000', -39_705_075n],
  ])('%s kHz, guest %s: %s ns a day, to the nanosecond', async (tscKhz, guestKhz, jump) => {
    expect(await jumpOf({ tscKhz, guestKhz })).toBe(jump);
  });

  // The project's notes, §2.10, pvclock − RAW a day.
  test.each([
    ['2000000', 0n],
    ['2100000', 5_132_742n],
    ['2194843', 3_708_827n],
    ['2400000', -4_127_920n],
    ['2500000', 5_129_725n],
    ['2593906', 3_052_558n],
    ['2893299', -3_492_195n],
    ['2995200', -7_411_137n],
    ['3000000', 5_129_725n],
    ['3700000', 13_360_418n],
  ])('%s kHz: −(%s) ns a day', async (tscKhz, ahead) => {
    expectAbout(await jumpOf({ tscKhz }), -ahead);
  });

  // The project's notes, §5.2, B (kHz) − A a day.
  test.each([
    ['3000000', '2500000', 39_705_075n],
    ['2500000', '3000000', 33_946_708n],
    ['2600000', '2500000', 39_705_075n],
    ['2400000', '2345678', 32_696_142n],
    ['3000000', '1500000', 5_129_725n],
  ])('%s kHz scaled to %s: −%s ns a day', async (tscKhz, guestKhz, ahead) => {
    expectAbout(await jumpOf({ tscKhz, guestKhz }), -ahead);
  });

  test.each(['12h', '1d', '100d'])('grows with the uptime: %s', async (uptime) => {
    const days = { '12h': 1n, '1d': 2n, '100d': 200n }[uptime]!;
    const jump = (await jumpOf({ uptime, tscKhz: '2500000' })) as bigint;
    const off = jump * 2n + days * 5_129_725n;
    expect(off >= -days && off <= days).toBe(true);
  });

  test.each(['v5.5', 'v5.10', 'v6.1', 'v6.8', 'v7.2', 'v7.3'])(
    '%s still has it',
    async (profile) => {
      expect(await jumpOf({}, { profile })).toBe(-5_129_725n);
    },
  );

  // What the hardware's ratio of 48 bits makes of the host's kHz, or Hz.
  test.each([
    ['2500000', '0', 2_500_000_000n, 2_500_000_000n],
    ['3000000', '2500000', 2_499_999_000n, 2_499_999_999n],
    ['4999999', '4999998', 4_999_999_000n, 4_999_999_000n],
    ['2400000', '2345678', 2_345_677_000n, 2_345_677_999n],
  ])('%s kHz, guest %s: KVM takes it for %s Hz, from Hz for %s', async (host, guest, khz, hz) => {
    const params = { tscKhz: host, guestKhz: guest };
    const takenFor = async (options: PlayOptions) =>
      (await table('raw-residue', { ...options, params })).rows.map(
        (row) => row['TSC by KVM (Hz)'],
      );
    expect(await takenFor({})).toEqual([khz, khz]);
    expect(await takenFor({ profile: 'series-v6' })).toEqual([hz, hz]);
    const [ratio, one] = [((1n << 48n) * BigInt(guest)) / BigInt(host), 1n << 48n];
    const isScaled = guest !== '0' && host !== '4999999';
    expect([khz, hz]).toEqual(
      isScaled
        ? [((BigInt(host) * ratio) / one) * 1000n, (BigInt(host) * 1000n * ratio) / one]
        : [BigInt(host) * 1000n, BigInt(host) * 1000n],
    );
  });

  test.each(['hz', 'hz-u32'] as const)('with pvScaleUnit=%s it is not cut', async (pvScaleUnit) => {
    const params = { tscKhz: '3000000', guestKhz: '2500000' };
    const { rows } = await table('raw-residue', { params, set: { pvScaleUnit } });
    expect(rows[0]!['TSC by KVM (Hz)']).toBe(2_499_999_999n);
    expect(rows[0]!['page']).toContain('3435973839');
    expect(rows[0]!['jump (ns)']).toBe(rows[0]!['RAW − page (ns)']);
    expect(rows[0]!['jump (ns)']).toBe(-5_205_161n);
  });

  // A page that is made from f + d kHz instead of f counts d / (f + d) too slowly.
  test.each([
    ['2500009', 1n],
    ['2499998', 1n],
    ['2500009', 10n],
  ])('a frequency that KVM copied: %s kHz, %s days', async (kvmKhz, days) => {
    const jump = (await jumpOf({ kvmKhz, uptime: `${days}d` })) as bigint;
    const copy = BigInt(kvmKhz);
    const counted = (days * DAY_NS * (copy - 2_500_000n)) / copy;
    const off = jump - counted + 5_129_725n * days;
    // Both pages’ multipliers are cut, each by up to 0.4657 ppb.
    const most = (days * DAY_NS * 4_657n) / 10_000_000_000_000n;
    expect(off >= -most && off <= most, String(off)).toBe(true);
    expect(await jumpOf({ kvmKhz, uptime: `${days}d` }, { profile: 'v6.8' })).toBe(
      await jumpOf({ uptime: `${days}d` }, { profile: 'v6.8' }),
    );
  });

  test('a steered base has no part in it', async () => {
    expect(await jumpOf({}, { profile: 'v4.19' })).toBe(-5_129_725n);
  });
});
