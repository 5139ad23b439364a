/**
 * KVM_GET_CLOCK brackets what the guest reads, after KVM_SET_CLOCK with every kind of flag.
 *
 * What the kernel's `kvm_clock_test` checks. It holds in every kernel while the guest's TSC is not
 * scaled and NTP does not steer: both values are then the same function of the host's TSC. It fails
 *
 * - where KVM_GET_CLOCK reads the base clock (`getClock: base`, to v4.8), once NTP has moved that
 *   away from the guest's extrapolation;
 * - under TSC scaling in all merged kernels: the guest's scale is made for its own frequency,
 *   truncated to kHz, the ioctl's for the host's. Only posted patches compute both the same way.
 */
import { describe, expect, test } from 'vitest';
import { KVM_CLOCK_REALTIME } from '../../src/clock/index.ts';
import type { HostOptions } from '../../src/engine/index.ts';
import { PROFILES, type ProfileId } from '../../src/profiles/index.ts';
import { KERNELS, Rig, split } from './rig.ts';

const SECOND = 1_000_000_000n;
const EPOCH = 1_700_000_000n * SECOND;

/** Hosts whose frequency is, and is not, a whole number of cycles to nanoseconds. */
const HOSTS: readonly HostOptions[] = [
  { tscKhz: 2_000_000, offsReal: EPOCH },
  { tscKhz: 2_893_299, offsReal: EPOCH },
  { tscKhz: 2_500_000, offsReal: EPOCH, vendor: 'svm', hasTscControl: false },
];

/** How far the guest's reading is outside what KVM_GET_CLOCK said before and after; 0 within. */
function outside(rig: Rig): bigint {
  const start = rig.getClock().clock!;
  rig.enter(0);
  rig.wait(1234n);
  const guest = rig.kvmclock(0);
  const end = rig.getClock().clock!;
  if (guest < start) return start - guest;
  return guest > end ? guest - end : 0n;
}

function booted(id: ProfileId, host: HostOptions): Rig {
  return new Rig(id, host).boot(1);
}

describe.each(KERNELS)('%s', (id) => {
  test.each(HOSTS)('brackets an unscaled guest on a host of $tscKhz kHz', (host) => {
    for (const clock of [0n, 180n * SECOND]) {
      const rig = booted(id, host);
      rig.wait(5n * SECOND);
      expect(rig.setClock(clock)).toBe(0);
      // The slightly negative time lasts less than the time to the first reading.
      rig.wait(1000n);
      expect(outside(rig)).toBe(0n);
      expect(rig.kvmclock(0) - clock).toBeLessThan(SECOND / 1000n);
    }
  });

  const { setClockFlags } = PROFILES[id].switches;
  if (setClockFlags !== 0) {
    test('REALTIME moves the clock on by the time that passed, and never back', () => {
      for (const [ahead, expected] of [
        [-180n * SECOND, 180n * SECOND],
        [180n * SECOND, 0n],
      ] as const) {
        const rig = booted(id, HOSTS[0]!);
        rig.wait(5n * SECOND);
        const now = rig.getClock().realtime!;
        expect(rig.setClock(0n, KVM_CLOCK_REALTIME, now + ahead)).toBe(0);
        expect(outside(rig)).toBe(0n);
        const late = rig.kvmclock(0) - expected;
        expect(late >= 0n && late < SECOND / 1000n).toBe(true);
      }
    });
  } else {
    test('has no flags: EINVAL', () => {
      expect(booted(id, HOSTS[0]!).setClock(0n, KVM_CLOCK_REALTIME, 0n)).toBe(-22);
    });
  }
});

describe('with NTP steering for an hour', () => {
  const { holds, fails } = split(({ getClock }) => getClock !== 'base');

  function steered(id: ProfileId): bigint {
    const rig = booted(id, HOSTS[0]!);
    const { monoMult } = rig.world.host;
    rig.host('adjtimex', { monoMult: monoMult + monoMult / 2 ** 14 });
    rig.wait(3600n * SECOND);
    return outside(rig);
  }

  test.each(holds)('%s brackets', (id) => {
    expect(steered(id)).toBe(0n);
  });

  test.each(fails)('%s does not: the ioctl follows NTP, the guest its TSC', (id) => {
    expect(steered(id)).toBeGreaterThan(200_000_000n);
  });
});

describe('under TSC scaling for a day', () => {
  test.each(KERNELS.filter((id) => PROFILES[id].switches.getClock === 'host-scale'))(
    '%s does not bracket: guest’s and ioctl’s scales differ by the truncation to kHz',
    (id) => {
      const rig = new Rig(id, { tscKhz: 3_000_000 }).createVm(1);
      rig.ioctl(0, 'KVM_SET_TSC_KHZ', { khz: 2_500_000 });
      rig.enableKvmclock(0);
      rig.wait(86_400n * SECOND);
      // What guests read less KVM_GET_CLOCK: 34,575,350 ns a day, less what the reading itself takes.
      const apart = outside(rig);
      expect(apart > 34_574_000n && apart <= 34_575_400n, String(apart)).toBe(true);
    },
  );
});
