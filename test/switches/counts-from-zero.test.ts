/**
 * PVCLOCK_COUNTS_FROM_ZERO (v4.2): the host starts the clock again whenever vCPU 0 says where its page
 * is. What that did to guests, and what replaced it: a guest that subtracts a constant of its own.
 */
import { describe, expect, test } from 'vitest';
import { Guest, type GuestOptions, type HostOptions } from '../../src/engine/index.ts';
import type { ProfileId } from '../../src/profiles/index.ts';
import { pageGpa, Rig } from '../selftests/rig.ts';
import { SECOND } from './showing.ts';

const HOST: HostOptions = { tscKhz: 2_000_000, monotonicNs: 3600n * SECOND };
const STABLE = 1;
const COUNTS_FROM_ZERO = 4;

/** A guest of two vCPUs whose sched_clock started on vCPU 0. */
function guestOn(kernel: ProfileId, options: GuestOptions = {}): { rig: Rig; guest: Guest } {
  const rig = new Rig(kernel, HOST).createVm(2);
  const guest = new Guest(options);
  for (const id of rig.vcpuIds) {
    const { index, data } = guest.register(id, pageGpa(id));
    rig.wrmsr(id, index, data);
  }
  rig.settle();
  read(rig, guest);
  guest.startSchedClock(0, rig.rdtsc(0));
  return { rig, guest };
}

/** The guest's memory is as KVM has written it. */
function read(rig: Rig, guest: Guest): void {
  for (const seen of rig.observed.splice(0)) guest.observe(seen);
}

/** sched_clock of a vCPU now, ns. */
function schedClock(rig: Rig, guest: Guest, vcpu: number): bigint {
  read(rig, guest);
  return guest.schedClock(vcpu, rig.rdtsc(vcpu))!;
}

/** SLES 10 tells where its page is again and again; so does a vCPU 0 that is plugged in again. */
function registerAgain(rig: Rig, guest: Guest): void {
  const { index, data } = guest.register(0, pageGpa(0));
  rig.wrmsr(0, index, data);
  rig.settle();
}

const near = (ns: bigint, expected: bigint): boolean =>
  ns - expected < 100_000n && expected - ns < 100_000n;

describe('a guest that registers again after 10 s', () => {
  test('has lost them on v4.2, on every vCPU', () => {
    const { rig, guest } = guestOn('v4.2-cfz', { trustsCountsFromZero: true });
    rig.wait(10n * SECOND);
    expect([0, 1].map((id) => near(schedClock(rig, guest, id), 10n * SECOND))).toEqual([
      true,
      true,
    ]);
    registerAgain(rig, guest);
    const isZero = () => [0, 1].map((id) => near(schedClock(rig, guest, id), 0n));
    // The others hear of it 100 ms later, and are 10 s ahead until then.
    expect(isZero()).toEqual([true, false]);
    rig.do('kvmclock_update_work', {});
    rig.settle();
    expect(isZero()).toEqual([true, true]);
  });

  test('has kept them on v4.4, by the constant that it subtracts', () => {
    const { rig, guest } = guestOn('v4.4');
    rig.wait(10n * SECOND);
    registerAgain(rig, guest);
    expect([0, 1].map((id) => near(schedClock(rig, guest, id), 10n * SECOND))).toEqual([
      true,
      true,
    ]);
    expect(guest.state.schedClockOffset / SECOND).toBe(3600n);
  });
});

test('the flag is there without a masterclock too, STABLE is not', () => {
  const { rig } = guestOn('v4.2-cfz');
  expect(rig.page(0).flags).toBe(STABLE | COUNTS_FROM_ZERO);
  rig.host('change_clocksource', { vclockMode: 0 });
  rig.host('pvclock_gtod_work', {});
  rig.settle();
  expect(rig.page(0).flags).toBe(COUNTS_FROM_ZERO);
});

describe('sched_clock', () => {
  test('of v4.2 asks for the flag and not for STABLE', () => {
    const kernel = { trustsCountsFromZero: true } as const;
    expect(guestOn('v4.2-cfz', kernel).guest.state.schedClock).toBe('stable');
    expect(guestOn('v4.4', kernel).guest.state.schedClock).toBe('unstable');
    const blind = { ...kernel, cpuidStableBit: false };
    expect(guestOn('v4.2-cfz', blind).guest.state.schedClock).toBe('unstable');
  });

  test('goes on by the same constant when the host’s clocksource leaves the TSC', () => {
    const { rig, guest } = guestOn('v4.4');
    rig.wait(SECOND);
    const before = schedClock(rig, guest, 1);
    const offset = guest.state.schedClockOffset;
    rig.host('change_clocksource', { vclockMode: 0 });
    rig.host('pvclock_gtod_work', {});
    rig.settle();
    expect(rig.page(1).flags & STABLE).toBe(0);
    expect(schedClock(rig, guest, 1)).toBeGreaterThan(before);
    expect(schedClock(rig, guest, 0)).toBeGreaterThan(before);
    expect(guest.state.schedClockOffset).toBe(offset);
  });

  test('underflows on a vCPU whose clock is behind the one it was started on', () => {
    const { rig, guest } = guestOn('v4.4');
    // Set back to before the guest's constant was read: as vCPU 1's own poor clock would be.
    rig.setClock(3000n * SECOND);
    const found = BigInt.asIntN(64, schedClock(rig, guest, 1));
    expect(near(found, -600n * SECOND - SECOND / 2n), String(found)).toBe(true);
    expect(BigInt.asUintN(64, found)).toBeGreaterThan(1n << 63n);
  });
});
