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

  test.each([
    ['299s', 0],
    ['300s', 2],
    ['1d', 576],
  ])('19: in %s the version moves by %s', async (uptime, moved) => {
    const { before, after } = await patchSeen(19, { params: { uptime } });
    const with_ = 'vCPU 0’s page: its version moves by';
    const without = '… in as long a time without masterclock';
    expect([before[with_], before[without]]).toEqual([moved, moved]);
    // As posted: the work ends where there is no masterclock, and goes on where there is one.
    expect([after[with_], after[without]]).toEqual([moved, 0]);
  });
});
