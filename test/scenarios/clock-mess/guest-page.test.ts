/** “Cleaning up the KVM clock mess”, patches 3 and 7: a clock and a TSC go to another VM. */
import { describe, expect, test } from 'vitest';
import { patchSeen } from './patch.ts';

describe('3: KVM_GET_CLOCK_GUEST and KVM_SET_CLOCK_GUEST', () => {
  test.each(['1000000', '2500000', '5000000'])('%s kHz: within a nanosecond', async (guestKhz) => {
    for (const series of ['rfc-v3', 'series-v6']) {
      const { after } = await patchSeen(3, { params: { guestKhz, series } });
      expect(after['KVM_GET_CLOCK_GUEST returns']).toBe(0);
      expect(after['KVM_SET_CLOCK_GUEST of that page returns']).toBe(0);
      const error = after['the new VM’s clock is off by (ns)'] as bigint;
      expect(error >= -1n && error <= 1n, String(error)).toBe(true);
    }
  });

  test('KVM_SET_CLOCK(REALTIME), all there is without them, loses what KVM_GET_CLOCK is off by', async () => {
    const { before } = await patchSeen(3);
    expect(before['KVM_GET_CLOCK_GUEST returns']).toBe(-22);
    const error = before['the new VM’s clock is off by (ns)'] as bigint;
    expect(error < -75_400n && error > -75_600n, String(error)).toBe(true);
  });

  test.each([
    ['rfc-v3', { pad: 0, shift: -34, future: 0 }],
    ['series-v6', { pad: -22, shift: -22, future: -22 }],
  ])('%s refuses by errno', async (series, { pad, shift, future }) => {
    const { after } = await patchSeen(3, { params: { series } });
    expect(after).toMatchObject({
      '… with the multiplier 0': -22,
      '… of a TSC 990 Hz faster': 0,
      '… of a TSC 1010 Hz faster': -34,
      '… with padding that is not 0': pad,
      '… with the shift 32': shift,
      '… of the future': future,
      '… without masterclock': -22,
      'KVM_GET_CLOCK_GUEST without masterclock': -22,
    });
  });

  test('of the revision after v6 it is known that there is no data without masterclock', async () => {
    const set = { clockGuestIoctls: 'after-v6' } as const;
    const { after } = await patchSeen(3, { params: { series: 'series-v6' }, set });
    const { after: v6 } = await patchSeen(3, { params: { series: 'series-v6' } });
    expect(after).toEqual({ ...v6, 'KVM_GET_CLOCK_GUEST without masterclock': -61 });
  });
});

describe('7: KVM_VCPU_TSC_SCALE and the documented migration', () => {
  const off = 'the TSC at the destination is off by (cycles)';

  test.each([
    ['1d', '1s', '2600000'],
    ['1h', '10s', '2400000'],
    ['2d', '1min', '3500000'],
  ])('after %s, away for %s, to %s kHz', async (uptime, pause, destinationKhz) => {
    const params = { uptime, pause, destinationKhz };
    const { before, after, hosts } = await patchSeen(7, { params });
    const late =
      (after['the pause less what CLOCK_REALTIME made of it (ns)'] as bigint) * 2_500_000n;
    const error = (after[off] as bigint) * 1_000_000n + late;
    // Each of the three is cut to whole nanoseconds or cycles.
    expect(error > -8_000_000n && error < 8_000_000n, String(error)).toBe(true);
    // The old formula takes a scaled TSC for the host's.
    const [source, destination] = hosts.map(({ simulation }) => simulation.host.tsc);
    const lost =
      source! -
      (source! * 5n) / 6n -
      destination! +
      (destination! * 2_500_000n) / BigInt(destinationKhz);
    const difference = (before[off] as bigint) - lost;
    const most = BigInt(Number.parseInt(pause, 10)) * 2_500_000_000n;
    expect(difference < most && difference > -most * 120n, `${difference}`).toBe(true);
  });

  test('the ratio of 3.0 → 2.5 GHz, in 48 bits', async () => {
    const { after } = await patchSeen(7);
    expect(after).toMatchObject({ tsc_ratio: 234_562_480_592_213n, tsc_frac_bits: 48 });
  });
});
