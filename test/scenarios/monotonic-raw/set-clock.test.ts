/** The first source mail, MONOTONIC_RAW behind the masterclock: KVM_SET_CLOCK, and a sleep that the TSC counts. */
import { describe, expect, test } from 'vitest';
import type { PlayOptions } from '../../../src/scenarios/play.ts';
import { big, table } from '../table.ts';

describe('suspend-counts', () => {
  const jumpsOf = async (options: PlayOptions) => {
    const { rows } = await table('suspend-counts', options);
    for (const row of rows) expect(row['at resume (ns)']).toBe(0n);
    return rows.map((row) => big(row['jump (ns)']));
  };

  test.each([
    { asleep: '10s', rtc: '9600ms', jump: -400_000_000n },
    { asleep: '8h', rtc: '28801s', jump: 1_000_000_000n },
    { asleep: '5s', rtc: '5s', jump: 0n },
  ])('the next reference moves by RTC − TSC: $rtc − $asleep', async ({ jump, ...params }) => {
    expect(await jumpsOf({ params })).toEqual([jump, jump]);
  });

  test.each(['1d', '2d', '10d'])('to which the residue of %s is added', async (uptime) => {
    const days = { '1d': 1n, '2d': 2n, '10d': 10n }[uptime]!;
    const params = { uptime, tscKhz: '2500000', awake: '0', asleep: '1s', rtc: '2s' };
    for (const jump of await jumpsOf({ params })) {
      const off = jump - 1_000_000_000n + 5_129_725n * days;
      expect(off >= -days - 1n && off <= days + 1n, String(off)).toBe(true);
    }
  });

  test.each([
    ['0', 0n],
    ['1d', 1n],
    ['10d', 10n],
  ])('and that of %s until it is taken', async (awake, days) => {
    const params = { uptime: '1s', tscKhz: '2500000', asleep: '1s', rtc: '1s', awake };
    for (const jump of await jumpsOf({ params })) {
      const off = jump + 5_129_725n * days;
      expect(off >= -days - 60n && off <= days + 1n, String(off)).toBe(true);
    }
  });

  test('whether there is a reference is mclkRequestOnTrack’s to say', async () => {
    expect(await jumpsOf({ profile: 'v6.8' })).toEqual([0n, 0n]);
    const set = { mclkRequestOnTrack: 'toggle-or-generation' } as const;
    expect(await jumpsOf({ set })).toEqual([0n, 0n]);
    const as61 = { mclkRequestOnTrack: 'active-or-matched' } as const;
    expect(await jumpsOf({ profile: 'v6.8', set: as61 })).toEqual([-400_000_000n, -400_000_000n]);
  });

  test('all that the guest is told is GUEST_STOPPED, and until v5.14 not even that', async () => {
    const flagsOf = async (profile: string) => {
      const { hosts } = await table('suspend-counts', { profile });
      expect(hosts[0]!.findings.some(({ rule }) => rule === 'masterclock-lost')).toBe(false);
      return hosts[0]!.findings.filter(({ rule }) => rule === 'flags').length;
    };
    expect(await flagsOf('v6.1')).toBe(2);
    expect(await flagsOf('v5.10')).toBe(0);
  });
});

describe('set-clock-order', () => {
  const offOf = async (options: PlayOptions) =>
    (await table('set-clock-order', options)).rows[0]!['off by (ns)'];

  test.each([
    { uptime: '30d', ntpPpm: '20', off: 51_840_000_000n },
    { uptime: '10d', ntpPpm: '-20', off: -17_280_000_000n },
    { uptime: '1h', ntpPpm: '1', off: 3_600_000n },
  ])('v4.9: against the old reference, off by $off ns', async ({ off, ...params }) => {
    expect(await offOf({ params: { ...params, delay: '0' } })).toBe(off);
  });

  test.each(['0', '1us', '250us'])(
    'v4.19: late by the time between two readings, %s',
    async (delay) => {
      const ns = { '0': 0n, '1us': 1_000n, '250us': 250_000n }[delay];
      expect(await offOf({ profile: 'v4.19', params: { delay } })).toBe(-ns!);
      expect(await offOf({ profile: 'v5.10', params: { delay } })).toBe(-ns!);
    },
  );

  test.each(['v4.4', 'v5.15', 'v7.3'])('%s: exact', async (profile) => {
    expect(await offOf({ profile })).toBe(0n);
  });

  test('the switch decides, in either kernel', async () => {
    expect(await offOf({ set: { setClockOrder: 'update-then-now' } })).toBe(-1_000n);
    const set = { setClockOrder: 'now-then-update' } as const;
    expect(await offOf({ profile: 'v4.19', set })).toBe(51_840_000_000n);
  });
});
