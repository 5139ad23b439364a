import { describe, expect, test } from 'vitest';
import { MSRS } from '../../events/index.ts';
import type { ProfileId } from '../../src/profiles/index.ts';
import { KERNELS, Rig } from '../selftests/rig.ts';

const SECOND = 1_000_000_000n;
const EPOCH = 1_700_000_000n * SECOND;
const HOUR = 3_600n * SECOND;
const WALL_CLOCK = 0x9000n;

/** The host sleeps an hour in which its TSC stands still. */
function sleep(rig: Rig): void {
  rig.host('suspend', {});
  rig.host('timekeeping_suspend', {});
  rig.host('resume', { cpu: 0, offsBoot: rig.world.host.offsBoot + HOUR });
  rig.host('suspend_end', {});
}

// `__timekeeping_inject_sleeptime()` adds the sleep to offs_boot and takes it from wall_to_monotonic.
describe('a host that slept', () => {
  test.each(KERNELS)('%s: its realtime went on, the instant of its boot did not', (id) => {
    const rig = new Rig(id, { tscKhz: 2_000_000, offsReal: EPOCH }).boot(1);
    const { offsReal, offsBoot } = rig.world.host;
    sleep(rig);
    expect(rig.world.host.offsReal - offsReal).toBe(HOUR);
    expect(rig.world.host.offsReal - rig.world.host.offsBoot).toBe(offsReal - offsBoot);
  });

  /** The guest asks for the wall clock before its host sleeps and afterwards: by how much later it is, s. */
  function epochMoves(id: ProfileId): number {
    const rig = new Rig(id, { tscKhz: 2_000_000, offsReal: EPOCH }).boot(1);
    const epoch = (): number => {
      // A new reference, so that kvmclock has counted the sleep.
      rig.setMsr(0, MSRS.IA32_TSC, 1n << 50n);
      rig.enter(0);
      rig.wrmsr(0, MSRS.MSR_KVM_WALL_CLOCK_NEW, WALL_CLOCK);
      return rig.vm.wallClockSec;
    };
    const before = epoch();
    sleep(rig);
    return epoch() - before;
  }

  test.each(KERNELS.filter((id) => id !== 'rfc-v3'))(
    '%s: a guest that boots anew has the wall clock’s epoch where it was',
    (id) => expect(Math.abs(epochMoves(id))).toBeLessThanOrEqual(1),
  );

  // Its patches take no new reference for a write of the TSC, so kvmclock has not counted the sleep.
  test('rfc-v3: the epoch is later by the sleep', () => {
    expect(epochMoves('rfc-v3')).toBe(Number(HOUR / SECOND));
  });
});
