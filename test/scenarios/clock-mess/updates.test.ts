/** “Cleaning up the KVM clock mess”, patches 1 and 16 to 19: updates that are not needed. */
import { describe, expect, test } from 'vitest';
import { clocksAfter, DAY_S, patchSeen } from './patch.ts';

describe('1: Xen’s shared_info', () => {
  test.each([
    ['1d', 2_500_000, DAY_S],
    ['2d', 2_500_000, 2n * DAY_S],
    ['10d', 1_500_000, 10n * DAY_S],
  ])('after %s at %s kHz', async (uptime, guestKhz, seconds) => {
    const params = { uptime, guestKhz: String(guestKhz) };
    const { before, after } = await patchSeen(1, { params });
    const { pv, raw } = clocksAfter(seconds * 3_000_000_000n, guestKhz);
    expect(before['kvmclock moves by (ns)']).toBe(raw - pv);
    expect(after['kvmclock moves by (ns)']).toBe(0n);
    expect(after['the reference moves by (host cycles)']).toBe(0n);
  });

  test('−39,705,075 ns a day under 3.0 → 2.5 GHz', async () => {
    expect((await patchSeen(1)).before['kvmclock moves by (ns)']).toBe(-39_705_075n);
  });
});

describe('updates that are not needed, by how often something is repeated', () => {
  test.each([1, 5, 20])('%s times', async (times) => {
    const params = { times: String(times) };
    const asked = 'references asked for';
    const old = await patchSeen(16, { params });
    expect([old.before[asked], old.after[asked]]).toEqual([times, 0]);
    expect(old.after['masterclock']).toBe('off.oldKvmclock');
    const register = 'vCPU 1’s page: its version moves by';
    const msr = await patchSeen(17, { params });
    expect([msr.before[register], msr.after[register]]).toEqual([2 * times, 0]);
    const plug = 'vCPU 0’s page: its version moves by';
    const load = await patchSeen(18, { params });
    expect([load.before[plug], load.after[plug]]).toEqual([2 * times, 0]);
    expect(load.after['masterclock']).toBe('on');
  });

  // 2^31 · 4/3: what a nanosecond is of cycles of 3.0 GHz, two at a time.
  test.each([
    ['v6.8', 'rfc-v3', [10, 0, 2_863_311_530], [0, 0, 0]],
    ['v6.8', 'series-v6', [10, 0, 2_863_311_530], [0, 10, 2_863_311_530]],
    // Up to v5.15 a new vCPU of VMX is on a CPU already, so that its first load asks for nothing.
    ['v4.19', 'rfc-v3', [0, 0, 2_863_311_530], [0, 0, 2_863_311_530]],
    // Of ten a second one is the boot CPU's; what is over the limit is renewed alone.
    ['v7.3', 'rfc-v3', [9, 1, 2_863_311_530], [0, 0, 0]],
  ] as const)(
    '18: a new vCPU’s own clock, %s, %s: %j, then %j',
    async (profile, series, without, applied) => {
      const { before, after } = await patchSeen(18, { profile, params: { series } });
      const own = (seen: typeof before) => [
        seen['new vCPUs whose first load asks for all pages'],
        seen['… for their own alone'],
        seen['the last one’s tsc_to_system_mul when it has run'],
      ];
      expect([own(before), own(after)]).toEqual([without, applied]);
    },
  );

  test('18: v6’s form is told from v3’s by one switch', async () => {
    const set = (globalUpdateOnLoad: 'no-master' | 'no-master-own-first') =>
      patchSeen(18, { profile: 'series-v6', set: { globalUpdateOnLoad } });
    const own = '… for their own alone';
    expect((await set('no-master')).after[own]).toBe(0);
    expect((await set('no-master-own-first')).after[own]).toBe(10);
  });

  test.each([
    // The second stretch begins 299.2 s after boot, so that the VM’s first 300 s are over in it.
    ['299s', 0, 2],
    ['300s', 2, 2],
    ['1d', 576, 576],
  ])('19: in %s the version moves by %s, then by %s', async (uptime, moved, later) => {
    const { before, after } = await patchSeen(19, { params: { uptime } });
    const with_ = 'vCPU 0’s page: its version moves by';
    const without = '… in as long a time without masterclock';
    expect([before[with_], before[without]]).toEqual([moved, later]);
    // As posted: the work ends where there is no masterclock, and goes on where there is one.
    expect([after[with_], after[without]]).toEqual([moved, 0]);
  });
});
