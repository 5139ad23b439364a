/**
 * `xenTimer` and `xenTimerPast`: what a kernel takes the guest's clock to read when it sets a Xen
 * timer, and so how late the timer fires. 3.0 GHz host, guest at 2.5 GHz: its clock is 399.945 ppb
 * ahead of nominal, KVM_GET_CLOCK's formula 0.233 ppb behind it.
 */
import { describe, expect, test } from 'vitest';
import { MSRS } from '../../events/index.ts';
import type { Switches } from '../../src/profiles/index.ts';
import { Rig, resultOf } from '../selftests/rig.ts';

const DAY_NS = 86_400_000_000_000n;
const SLEEP_NS = 100_000n;
const INFO = 0x9000n;

/** A Xen guest whose TSC is scaled, its pages written at the masterclock's reference. */
function scaled(xenTimer: Switches['xenTimer'], placed = true): Rig {
  const rig = new Rig('v7.3', { tscKhz: 3_000_000 }, { xenTimer });
  rig.do('KVM_CREATE_VM', {});
  rig.do('KVM_XEN_HVM_CONFIG', { flags: 2 });
  rig.do('KVM_SET_VM_TSC_KHZ', { khz: 2_500_000 });
  rig.createVcpu(0);
  if (placed) rig.ioctl(0, 'KVM_XEN_SET_VCPU_INFO', { gpa: INFO });
  rig.ioctl(0, 'KVM_XEN_SET_TIMER', { port: 5, expiresNs: 0n });
  rig.enableKvmclock(0);
  return rig;
}

/** The guest asks to be woken in 100 µs; what was armed, and how long it is by the guest's clock. */
function sleep(rig: Rig, readings: Readonly<Record<string, bigint>> = {}) {
  rig.enter(0);
  rig.on(0, 'kvm_exit', {});
  const timeoutNs = rig.kvmclockAt(0, rig.tsc) + SLEEP_NS;
  const call = { nr: 24, cmd: 8, timeoutNs, flags: 0, readings };
  const armed = resultOf(rig.on(0, 'xen_hypercall', call), 'timer_armed');
  rig.wait(armed.delayNs);
  const fired = resultOf(rig.on(0, 'xen_timer', {}), 'timer_fired');
  return { armed, lateNs: fired.lateNs! };
}

describe('a sleep of 100 µs', () => {
  test('host-scale: late by the drift of two formulas, 34.6 ms after a day', () => {
    const rig = scaled('host-scale');
    rig.wait(DAY_NS);
    const { armed, lateNs } = sleep(rig);
    // What guests read less KVM_GET_CLOCK: (399.945 + 0.233) ppb of a day.
    expect(armed.errorNs).toBeGreaterThan(34_575_000n);
    expect(armed.errorNs).toBeLessThan(34_576_000n);
    expect(armed.delayNs).toBe(SLEEP_NS + armed.errorNs!);
    expect(armed.gapNs).toBe(0n);
    // The rest is the instant between two inputs, and the guest’s clock being fast meanwhile.
    expect(lateNs - armed.errorNs!).toBeLessThan(500n);
  });

  test('host-scale: later by the time between its two clock reads', () => {
    const rig = scaled('host-scale');
    const { armed } = sleep(rig, { 'timer.tsc': rig.tsc + 3_000_000n });
    expect(armed.gapNs).toBeGreaterThan(990_000n);
    expect(armed.delayNs).toBe(SLEEP_NS + armed.errorNs! + armed.gapNs!);
  });

  test.each(['guest-scale', 'guest-page'] as const)('%s: exact after a day', (value) => {
    const rig = scaled(value);
    rig.wait(DAY_NS);
    const { armed, lateNs } = sleep(rig);
    expect([armed.errorNs, armed.gapNs, armed.delayNs]).toEqual([0n, 0n, SLEEP_NS]);
    expect(lateNs).toBeLessThan(500n);
  });

  test('guest-page needs a page of Xen’s, guest-scale any page', () => {
    for (const [value, isExact] of [
      ['guest-scale', true],
      ['guest-page', false],
    ] as const) {
      const rig = scaled(value, false);
      rig.wait(DAY_NS);
      expect(sleep(rig).armed.errorNs === 0n, value).toBe(isExact);
    }
  });

  test('none: the kernel has no timers, hypercalls are the VMM’s', () => {
    const rig = new Rig('v7.3', undefined, { xenTimer: 'none' });
    rig.createVm(1);
    rig.do('KVM_XEN_HVM_CONFIG', { flags: 2 });
    const refused = rig.ioctl(0, 'KVM_XEN_SET_TIMER', { port: 5, expiresNs: 0n });
    expect(resultOf(refused, 'ioctl_result').ret).toBe(-2);
    const call = rig.exitFor(0, 'xen_hypercall', { nr: 15, timeoutNs: 1n });
    expect(resultOf(call, 'xen_hypercall_result').handled).toBe(false);
  });
});

test.each([
  ['etime', -62],
  ['fires', 0],
] as const)('xenTimerPast=%s: a single shot in the past returns %i', (xenTimerPast, ret) => {
  const rig = new Rig('v7.3', undefined, { xenTimerPast });
  rig.createVm(1);
  rig.do('KVM_XEN_HVM_CONFIG', { flags: 2 });
  rig.ioctl(0, 'KVM_XEN_SET_TIMER', { port: 5, expiresNs: 0n });
  rig.wrmsr(0, MSRS.MSR_KVM_SYSTEM_TIME_NEW, 0x8001n);
  rig.wait(1_000_000_000n);
  const done = rig.exitFor(0, 'xen_hypercall', { nr: 24, cmd: 8, timeoutNs: 1n, flags: 1 });
  expect(resultOf(done, 'xen_hypercall_result')).toMatchObject({ handled: true, ret });
  expect(done.observations.some(({ type }) => type === 'timer_fired')).toBe(ret === 0);
});

describe('VCPU_SSHOTTMR_future', () => {
  const FUTURE = 1;
  const ETIME = 62;
  const call = (rig: Rig, fromNowNs: bigint) => {
    rig.enter(0);
    rig.on(0, 'kvm_exit', {});
    const timeoutNs = rig.kvmclockAt(0, rig.tsc) + fromNowNs;
    return rig.on(0, 'xen_hypercall', { nr: 24, cmd: 8, timeoutNs, flags: FUTURE });
  };
  const retOf = (done: ReturnType<typeof call>) => resultOf(done, 'xen_hypercall_result').ret;

  test('refuses what is past, and only that', () => {
    const rig = new Rig('v6.8', undefined, { xenTimerPast: 'etime' });
    rig.do('KVM_CREATE_VM', {});
    rig.do('KVM_XEN_HVM_CONFIG', { flags: 2 });
    rig.createVcpu(0);
    rig.ioctl(0, 'KVM_XEN_SET_TIMER', { port: 5, expiresNs: 0n });
    rig.enableKvmclock(0);
    rig.wait(1_000_000_000n);
    const past = call(rig, -SLEEP_NS);
    expect(retOf(past)).toBe(-ETIME);
    expect(past.observations.some(({ type }) => type === 'timer_armed')).toBe(false);
    const future = call(rig, SLEEP_NS);
    expect(retOf(future)).toBe(0);
    expect(resultOf(future, 'timer_armed').delayNs).toBeGreaterThan(0n);
  });
});
