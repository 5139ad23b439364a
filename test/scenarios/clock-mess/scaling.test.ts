/** “Cleaning up the KVM clock mess”, patches 2, 6, 8, 9 and 10: from the host’s TSC to the guest’s, and to nanoseconds. */
import { describe, expect, test } from 'vitest';
import { scaleDelta } from '../../../src/num/index.ts';
import { PROFILES } from '../../../src/profiles/index.ts';
import { DAY_S, patchSeen } from './patch.ts';

describe('2: Hz instead of kHz', () => {
  test('2,499,999,999 against 2,499,999,000 Hz', async () => {
    const { before, after } = await patchSeen(2);
    expect(before).toMatchObject({
      'frequency of the TSC by KVM (Hz)': 2_499_999_000n,
      tsc_shift: -1,
      tsc_to_system_mul: 3_435_975_211,
    });
    expect(after).toMatchObject({
      'frequency of the TSC by KVM (Hz)': 2_499_999_999n,
      tsc_shift: -1,
      tsc_to_system_mul: 3_435_973_839,
    });
  });

  // ns a day: the page against RAW, and KVM_GET_CLOCK against the page.
  test.each([
    ['3000000', '2500000', -39_705_075n, -34_575_350n],
    ['2500000', '3000000', -33_946_708n, -28_816_983n],
    ['2600000', '2500000', -39_705_075n, -34_579_374n],
    ['2400000', '2345678', -32_696_142n, -36_824_061n],
    ['3000000', '1500000', -5_129_725n, 0n],
    ['2500000', '2500000', -5_129_725n, 0n],
    ['2400000', '2400000', 4_127_920n, 0n],
  ])('%s → %s kHz: a new reference moves by %s ns', async (tscKhz, guestKhz, jump, getClock) => {
    const { before } = await patchSeen(2, { params: { tscKhz, guestKhz } });
    const near = (found: unknown, expected: bigint) => {
      const off = BigInt(found as bigint) - expected;
      expect(off >= -1n && off <= 1n, `${found} for ${expected}`).toBe(true);
    };
    near(before['a new reference moves kvmclock by (ns)'], jump);
    near(before['KVM_GET_CLOCK less what the guest reads (ns)'], getClock);
  });

  // v3 keeps the frequency in 32 bits.
  test.each([
    ['rfc-v3', 5_000_000_000n - (1n << 32n)],
    ['series-v6', 5_000_000_000n],
  ])('%s remembers 5 GHz as %s Hz', async (series, hz) => {
    const params = { series, tscKhz: '5000000', guestKhz: '5000000' };
    const { after } = await patchSeen(2, { params });
    expect(after['frequency of the TSC by KVM (Hz)']).toBe(hz);
  });
});

describe('6: scaling needs a constant TSC', () => {
  test.each([
    ['2500000', { returns: -22, ratio: 1n << 48n, catches: 'off' }],
    ['3000500', { returns: 0, ratio: 1n << 48n, catches: 'off' }],
    ['3500000', { returns: 0, ratio: 1n << 48n, catches: 'always' }],
  ])('%s kHz on a host of 3000000', async (guestKhz, { returns, ratio, catches }) => {
    const { before, after } = await patchSeen(6, { params: { guestKhz } });
    expect(before['KVM_SET_TSC_KHZ returns']).toBe(0);
    expect(after['KVM_SET_TSC_KHZ returns']).toBe(returns);
    expect(after['ratio']).toBe(ratio);
    expect(after['software catches up']).toBe(catches);
  });
});

describe('8: a 32-bit host', () => {
  test.each(['20', '-20', '100'])('NTP at %s ppm', async (ntpPpm) => {
    const { before, after } = await patchSeen(8, { params: { ntpPpm } });
    const moved = 'new pages have moved kvmclock by (ns)';
    const steered = before['NTP has steered the host by (ns)'] as bigint;
    expect(steered).toBe(BigInt(ntpPpm) * DAY_S * 1000n);
    expect(after[moved]).toBe(-5_129_725n);
    expect(before[moved]).toBe(steered - 5_129_725n);
    // The periodic work has written a page 300 s before: 5592405 / 2^24 against 2863311530 / 2^33.
    const cycles = 900_000_000_000n;
    const residue = ((cycles * 5_592_405n) >> 24n) - (((cycles >> 1n) * 2_863_311_530n) >> 32n);
    const last = '… of that, the last one (ns)';
    for (const [seen, drift] of [
      [after, 0n],
      [before, BigInt(ntpPpm) * 300_000n],
    ] as const) {
      const off = (seen[last] as bigint) - residue - drift;
      expect(off >= -1n && off <= 1n, String(off)).toBe(true);
    }
  });
});

describe('9: KVM_GET_CLOCK as the guest reads', () => {
  test.each([
    ['1h', 3600n],
    ['1d', DAY_S],
    ['10d', 10n * DAY_S],
  ])('after %s it was off by T · (r_C − r_B)', async (uptime, seconds) => {
    const { before, after } = await patchSeen(9, { params: { uptime } });
    const cycles = seconds * 3_000_000_000n;
    const ratio = 234_562_480_592_213n;
    const host = scaleDelta(cycles, 2_863_311_530, -1);
    const guest = scaleDelta((cycles * ratio) >> 48n, 3_435_973_839, -1);
    const read = 'KVM_GET_CLOCK less what the guest reads (ns)';
    // The 100 ms of a delayed work have passed as well.
    const off = (before[read] as bigint) - (host - guest);
    expect(off >= -1n && off <= 1n, String(before[read])).toBe(true);
    for (const name of [read, 'the wall clock’s epoch is late by (ns)']) {
      expect([-1n, 0n, 1n]).toContain(after[name]);
    }
    expect(before['flags once the clocksource has left the TSC']).toBe(2);
    expect(after['flags once the clocksource has left the TSC']).toBe(0);
  });

  test.each(['getClock', 'wallClock'] as const)('%s alone decides its own', async (name) => {
    const set = { [name]: PROFILES['v6.8'].switches[name] };
    const { before, after } = await patchSeen(9, { set });
    const differs = Object.keys(before).filter((key) => before[key] !== after[key]);
    const clock = 'KVM_GET_CLOCK less what the guest reads (ns)';
    const flags = 'flags once the clocksource has left the TSC';
    const wall = 'the wall clock’s epoch is late by (ns)';
    expect(differs).toEqual(name === 'getClock' ? [wall] : [clock, flags]);
  });
});

describe('10: software upscaling', () => {
  test.each([
    ['100s', '3500000', 50_000_000_000n, 14_285_714_285n],
    ['1000s', '3500000', 500_000_000_000n, 142_857_142_857n],
    ['100s', '4000000', 100_000_000_000n, 25_000_000_000n],
  ])('%s old, %s kHz: lags by %s cycles', async (uptime, catchupKhz, cycles, ns) => {
    const { before, after } = await patchSeen(10, { params: { uptime, catchupKhz } });
    expect(before['the TSC lags by (cycles)']).toBe(cycles);
    expect(before['in its own time (ns)']).toBe(ns);
    // What is left is what MONOTONIC_RAW counts too little.
    const raw = after['of that, CLOCK_MONOTONIC_RAW is late by (ns)'] as bigint;
    const rest = (after['in its own time (ns)'] as bigint) - raw;
    expect(rest >= -1n && rest <= 1n, String(rest)).toBe(true);
  });

  test.each([
    ['rfc-v3', 0],
    ['series-v6', 1],
  ])('%s: a new generation asks for %i references', async (series, asked) => {
    const { before, after } = await patchSeen(10, { params: { series } });
    const name = 'references asked for by the write that began its generation';
    expect([before[name], after[name]]).toEqual([1, asked]);
  });
});
