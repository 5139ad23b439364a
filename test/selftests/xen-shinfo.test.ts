/**
 * Xen's shared_info, runstates and timers: what the clock part of the kernel's `xen_shinfo_test`
 * checks. The wall clock and the pages give the time; a runstate's times add up to when it was
 * entered, also while a VMM adjusts them; a timer fires when asked, at once if that has passed.
 */
import { describe, expect, test } from 'vitest';
import { decodePvclockPage, pvclockRead } from '../../src/num/index.ts';
import type { ProfileId } from '../../src/profiles/index.ts';
import { Rig, resultOf, split } from './rig.ts';

const { holds: WITH_PAGES, fails: WITHOUT_PAGES } = split((s) => s.xenAttributes);
const { holds: WITH_RUNSTATE, fails: WITHOUT } = split((s) => s.xenRunstate);
const { holds: WITH_TIMER } = split((s) => s.xenTimer !== 'none');
const { holds: CLAMPED, fails: UNCLAMPED } = split((s) => s.xenRunstateClamp !== 'none');

const SHARED_INFO = 0x4000n;
const VCPU_INFO = 0x9000n;
const TIME_INFO = 0xa000n;
const RUNSTATE = 0xb000n;
const SECOND_NS = 1_000_000_000n;
const REALTIME = 1_700_000_000n * SECOND_NS;
const ALL_ONES = (1n << 64n) - 1n;

function boot(id: ProfileId): Rig {
  const rig = new Rig(id, { tscKhz: 2_500_000, offsReal: REALTIME });
  rig.createVm(1);
  rig.do('KVM_XEN_HVM_CONFIG', { flags: 2, msr: 0x4000_0000 });
  rig.do('KVM_XEN_SET_LONG_MODE', { longMode: true });
  rig.do('KVM_XEN_SET_SHARED_INFO', { gpa: SHARED_INFO });
  rig.ioctl(0, 'KVM_XEN_SET_VCPU_INFO', { gpa: VCPU_INFO });
  rig.ioctl(0, 'KVM_XEN_SET_VCPU_TIME_INFO', { gpa: TIME_INFO });
  rig.enter(0);
  return rig;
}

/** The last bytes written somewhere. */
function memory(rig: Rig, gpa: bigint, length: number): Uint8Array {
  const writes = rig.observed.filter(
    (o) => o.type === 'guest_write' && o.gpa === gpa && o.bytes.length >= length,
  );
  const last = writes.at(-1);
  if (last?.type !== 'guest_write') throw new TypeError(`nothing written at ${gpa}`);
  return last.bytes;
}

const runstate = (rig: Rig) =>
  resultOf(rig.ioctl(0, 'KVM_XEN_VCPU_GET_ATTR', { attr: 4 }), 'xen_attr');

const sumOf = (data: ReturnType<typeof runstate>): bigint =>
  data.runningNs! + data.runnableNs! + data.blockedNs! + data.offlineNs!;

test.each(WITHOUT_PAGES)('%s knows no Xen pages', (id) => {
  const rig = new Rig(id).boot(1);
  const placed = rig.do('KVM_XEN_SET_SHARED_INFO', { gpa: SHARED_INFO });
  expect(resultOf(placed, 'ioctl_result').ret).toBe(-25);
  const info = rig.ioctl(0, 'KVM_XEN_SET_VCPU_INFO', { gpa: VCPU_INFO });
  expect(resultOf(info, 'ioctl_result').ret).toBe(-22);
});

describe.each(WITH_PAGES)('%s', (id) => {
  test('wall clock and both pages give the time', () => {
    const rig = boot(id);
    const wall = new DataView(memory(rig, SHARED_INFO + 0xc00n, 12).slice().buffer);
    const epoch = BigInt(wall.getUint32(4, true)) * SECOND_NS + BigInt(wall.getUint32(8, true));
    expect(wall.getUint32(0, true) & 1).toBe(1);
    expect(rig.vm.xenWallClockVersion & 1).toBe(0);
    for (const gpa of [VCPU_INFO + 32n, TIME_INFO]) {
      const page = decodePvclockPage(memory(rig, gpa, 32));
      const now = pvclockRead(page, rig.tscAt(0, rig.tsc)) + epoch;
      const host = REALTIME + (rig.tsc * 1_000_000n) / 2_500_000n;
      const apart = now - host;
      expect(apart > -10_000n && apart < 10_000n, `${apart} ns at ${gpa}`).toBe(true);
    }
  });
});

describe.each(WITH_RUNSTATE)('%s: runstates', (id) => {
  test('add up to the time of the last change, whatever it was', () => {
    const rig = boot(id);
    rig.ioctl(0, 'KVM_XEN_SET_RUNSTATE_ADDR', { gpa: RUNSTATE });
    for (const state of [2n, 0n, 1n, 3n, 0n]) {
      rig.wait(SECOND_NS);
      rig.ioctl(0, 'KVM_XEN_SET_RUNSTATE_CURRENT', { state });
      const data = runstate(rig);
      expect(data.entryTimeNs).toBe(sumOf(data));
    }
    rig.enter(0);
    rig.wait(SECOND_NS);
    rig.on(0, 'kvm_exit', {});
    rig.on(0, 'vcpu_put', { preempted: true, readings: { run_delay: 7_000_000n } });
    expect(rig.vcpu(0).runstate).toBe('runnable');
    const data = runstate(rig);
    expect(data.runnableNs).toBeGreaterThanOrEqual(7_000_000n + SECOND_NS);
    expect(data.entryTimeNs).toBe(sumOf(data));
    const seen = new DataView(memory(rig, RUNSTATE, 48).slice().buffer);
    expect(seen.getBigUint64(8, true)).toBe(rig.vcpu(0).runstateEntryNs);
  });

  test('are set and adjusted only to what adds up, and not beyond now', () => {
    const rig = boot(id);
    const zero = { runningNs: 0n, runnableNs: 0n, blockedNs: 0n, offlineNs: 0n };
    const set = (state: bigint, entryTimeNs: bigint, times: Partial<typeof zero>): number => {
      const fields = { state, entryTimeNs, ...zero, ...times };
      return resultOf(rig.ioctl(0, 'KVM_XEN_SET_RUNSTATE_DATA', fields), 'ioctl_result').ret;
    };
    rig.wait(SECOND_NS);
    expect(set(0n, 1_000n, { runningNs: 1_000n })).toBe(0);
    expect(runstate(rig)).toMatchObject({ state: 0n, entryTimeNs: 1_000n, runningNs: 1_000n });
    expect(set(4n, 1_000n, { runningNs: 1_000n })).toBe(-22);
    expect(set(0n, 1_001n, { runningNs: 1_000n })).toBe(-22);
    expect(set(0n, 10n ** 15n, { runningNs: 10n ** 15n })).toBe(-22);
    const adjust = { ...zero, state: ALL_ONES, entryTimeNs: 500n, blockedNs: 500n };
    const done = rig.ioctl(0, 'KVM_XEN_SET_RUNSTATE_ADJUST', adjust);
    expect(resultOf(done, 'ioctl_result').ret).toBe(0);
    expect(runstate(rig)).toMatchObject({ entryTimeNs: 1_500n, blockedNs: 500n });
  });
});

const setBack = (id: ProfileId): bigint => {
  const rig = boot(id);
  rig.wait(10n * SECOND_NS);
  rig.ioctl(0, 'KVM_XEN_SET_RUNSTATE_CURRENT', { state: 2n });
  rig.setClock(SECOND_NS);
  rig.ioctl(0, 'KVM_XEN_SET_RUNSTATE_CURRENT', { state: 0n });
  return rig.vcpu(0).runstateNs.get(2);
};

test.each(CLAMPED)('%s: a clock that was set back takes no time off', (id) => {
  expect(setBack(id)).toBe(0n);
});

test.each(UNCLAMPED.filter((id) => WITH_RUNSTATE.includes(id)))(
  '%s: a clock that was set back leaves centuries of time blocked',
  (id) => {
    expect(setBack(id)).toBeGreaterThan(1n << 63n);
  },
);

test.each(WITHOUT)('%s has no runstates', (id) => {
  const done = boot(id).ioctl(0, 'KVM_XEN_SET_RUNSTATE_CURRENT', { state: 0n });
  expect(resultOf(done, 'ioctl_result').ret).toBe(-22);
});

describe.each(WITH_TIMER)('%s: timers', (id) => {
  const armed = (rig: Rig, expiresNs: bigint) => {
    const seen = rig.ioctl(0, 'KVM_XEN_SET_TIMER', { port: 5, expiresNs }).observations;
    return seen.find(({ type }) => type === 'timer_armed' || type === 'timer_fired');
  };
  const timer = (rig: Rig) =>
    resultOf(rig.ioctl(0, 'KVM_XEN_VCPU_GET_ATTR', { attr: 7 }), 'xen_attr').expiresNs;

  test('100 ms from now fires then, 100 ms ago at once', () => {
    const rig = boot(id);
    rig.wait(SECOND_NS);
    const { clock } = rig.getClock();
    const seen = armed(rig, clock! + 100_000_000n);
    if (seen?.type !== 'timer_armed') throw new TypeError('expected an armed timer');
    expect(100_000_000n - seen.delayNs).toBeLessThan(1_000n);
    expect(timer(rig)).toBe(clock! + 100_000_000n);
    rig.wait(seen.delayNs);
    const fired = resultOf(rig.on(0, 'xen_timer', {}), 'timer_fired');
    expect(fired.lateNs).toBeLessThan(1_000n);
    expect(timer(rig)).toBe(0n);
    expect(armed(rig, clock! - 100_000_000n)?.type).toBe('timer_fired');
  });

  test('set_timer_op: too far or negative becomes 100 ms, 0 stops', () => {
    const rig = boot(id);
    rig.ioctl(0, 'KVM_XEN_SET_TIMER', { port: 5, expiresNs: 0n });
    const call = (timeoutNs: bigint) => rig.exitFor(0, 'xen_hypercall', { nr: 15, timeoutNs });
    const near = 1n << 49n;
    for (const timeoutNs of [(1n << 50n) + SECOND_NS * 10n, 1n << 63n]) {
      expect(resultOf(call(timeoutNs), 'timer_armed').delayNs).toBe(100_000_000n);
    }
    expect(resultOf(call(near), 'timer_armed').expires).toBe(near);
    call(0n);
    expect(timer(rig)).toBe(0n);
  });

  test('periodic timers and other vCPUs’ are not the kernel’s', () => {
    const rig = boot(id);
    rig.ioctl(0, 'KVM_XEN_SET_TIMER', { port: 5, expiresNs: 0n });
    const call = (cmd: number, vcpuId: number) =>
      resultOf(
        rig.exitFor(0, 'xen_hypercall', { nr: 24, cmd, vcpuId, timeoutNs: 1n }),
        'xen_hypercall_result',
      );
    expect(call(6, 0).handled).toBe(false);
    expect(call(9, 1)).toMatchObject({ handled: true, ret: -22 });
  });
});
