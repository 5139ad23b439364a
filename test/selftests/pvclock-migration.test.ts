/**
 * KVM_GET_CLOCK_GUEST and KVM_SET_CLOCK_GUEST over a migration: source and destination read one time
 * at one guest TSC.
 *
 * What `pvclock_migration_test` of the posted series checks: a guest of 1.5 GHz that is away for a
 * second, and 2 ns at most. No merged kernel has the ioctls (`clockGuestIoctls`): there KVM_SET_CLOCK
 * is what is left, which says nothing of a TSC, and is off by how long the ioctls are apart.
 */
import { describe, expect, test } from 'vitest';
import { MSRS } from '../../events/index.ts';
import { pvclockRead } from '../../src/num/index.ts';
import type { ProfileId } from '../../src/profiles/index.ts';
import { Rig, resultOf, split } from './rig.ts';

const SECOND = 1_000_000_000n;
const GUEST_KHZ = 1_500_000;
const MS = 1_000_000n;

/** A VM of one vCPU that runs, at the guest's frequency; its host has been up since `tsc`. */
function vmOn(id: ProfileId, tscKhz: number, tsc: bigint): Rig {
  const rig = new Rig(id, { tscKhz, tsc });
  rig.createVm();
  rig.do('KVM_SET_VM_TSC_KHZ', { khz: GUEST_KHZ });
  rig.createVcpu(0);
  rig.enableKvmclock(0);
  rig.settle();
  return rig;
}

/** Guest TSC goes on where the source's would be: by its offset, or written where that cannot be set. */
function goesOnAt(rig: Rig, guestTsc: bigint): void {
  if (!rig.world.switches.tscOffsetAttr) {
    rig.setMsr(0, MSRS.IA32_TSC, guestTsc);
    rig.enter(0);
    return;
  }
  const off = guestTsc - rig.tscAt(0, rig.tsc);
  const offset = BigInt.asUintN(64, rig.vcpu(0).l1TscOffset + off);
  rig.ioctl(0, 'KVM_SET_TSC_OFFSET', { offset });
  rig.enter(0);
}

/** By how much the destination's clock is ahead at one guest TSC, ns. */
const apart = (from: Rig, to: Rig, guestTsc: bigint): bigint =>
  BigInt.asIntN(64, pvclockRead(to.page(0), guestTsc) - pvclockRead(from.page(0), guestTsc));

/** A guest lives for so long, is away for a second, and goes on elsewhere. */
function migrate(id: ProfileId, hosts: readonly [number, number], livedNs: bigint) {
  const from = vmOn(id, hosts[0], 1_000_000_000_000n);
  from.wait(livedNs);
  const saved = from.tscAt(0, from.tsc);
  const page = from.page(0);
  const { clock = 0n } = from.getClock();
  const got = resultOf(from.ioctl(0, 'KVM_GET_CLOCK_GUEST', {}), 'ioctl_result');
  from.enter(0);
  const to = vmOn(id, hosts[1], 77_000_000_000_000n);
  to.wait(SECOND);
  goesOnAt(to, saved + 1_500_000_000n);
  return { from, to, page, clock, got };
}

const { holds, fails } = split(({ clockGuestIoctls }) => clockGuestIoctls !== 'none');

describe.each([
  [1_500_000, 1_500_000],
  [3_000_000, 2_600_000],
  [2_400_000, 3_700_000],
] as const)('%i kHz to %i kHz', (...hosts) => {
  test.each(holds)('%s: one time at one guest TSC', (id) => {
    for (const lived of [SECOND, 86_400n * SECOND]) {
      const { from, to, page, got } = migrate(id, hosts, lived);
      expect(got.ret).toBe(0);
      const { tscTimestamp, systemTime, tscToSystemMul, tscShift } = page;
      const fields = { tscTimestamp, systemTime, tscToSystemMul, tscShift };
      const set = resultOf(to.ioctl(0, 'KVM_SET_CLOCK_GUEST', fields), 'ioctl_result');
      expect(set.ret).toBe(0);
      to.enter(0);
      for (const later of [0n, SECOND]) {
        to.wait(later);
        const ns = apart(from, to, to.tscAt(0, to.tsc));
        expect(ns >= -2n && ns <= 2n, `${ns} ns apart`).toBe(true);
      }
    }
  });
});

test.each(fails)('%s: no such ioctl, and KVM_SET_CLOCK misses the time away', (id) => {
  const { from, to, clock, got } = migrate(id, [1_500_000, 1_500_000], 3_600n * SECOND);
  expect(got.ret).toBe(-22);
  expect(to.setClock(clock)).toBe(0);
  to.enter(0);
  const ns = apart(from, to, to.tscAt(0, to.tsc)) + SECOND;
  expect(ns > -MS && ns < MS, `${ns} ns`).toBe(true);
});
