import { describe, expect, test } from 'vitest';
import { MSRS } from '../../events/index.ts';
import { readL1Tsc } from '../../src/clock/index.ts';
import { Rig } from '../selftests/rig.ts';

const TSC_KHZ = 2_500_000;

/** What follows when the guest writes a deadline so many cycles ahead of its TSC. */
function deadlineIn(cycles: bigint) {
  const rig = new Rig('v6.8', { tscKhz: TSC_KHZ }).boot(1);
  rig.leave(0);
  rig.on(0, 'vcpu_load', { cpu: 0 });
  const tsc = rig.world.lastTsc;
  const now = readL1Tsc(rig.vcpu(0), rig.world.host, tsc);
  const data = BigInt.asUintN(64, now + cycles);
  const index = MSRS.IA32_TSC_DEADLINE;
  const readings = { 'getClock.tsc': tsc };
  const { observations } = rig.on(0, 'wrmsr', { index, data, readings });
  return { rig, timers: observations.filter(({ type }) => type.startsWith('timer_')) };
}

describe('IA32_TSC_DEADLINE', () => {
  test('arms a timer by the frequency the guest was told', () => {
    const { timers } = deadlineIn(2_500_000_000n);
    expect(timers).toMatchObject([{ type: 'timer_armed', delayNs: 1_000_000_000n }]);
  });

  test('fires at once when it has passed, and is spent', () => {
    const { rig, timers } = deadlineIn(-1n);
    expect(timers).toMatchObject([{ type: 'timer_fired', name: 'tsc_deadline' }]);
    expect(rig.vcpu(0).tscDeadline).toBe(0n);
  });

  test('fires early when it is hours ahead: the product of start_sw_tscdeadline() wraps', () => {
    const cycles = (1n << 64n) / 1_000_000n + 2_500n;
    const { timers } = deadlineIn(cycles);
    const wrapped = BigInt.asUintN(64, cycles * 1_000_000n) / BigInt(TSC_KHZ);
    expect(wrapped).toBeLessThan(2_000n);
    expect(timers).toMatchObject([{ type: 'timer_armed', delayNs: wrapped }]);
  });

  test('a TSC that moves does not move a timer that runs', () => {
    const { rig } = deadlineIn(2_500_000_000n);
    const { observations } = rig.on(0, 'wrmsr', { index: MSRS.IA32_TSC, data: 0n });
    expect(observations.filter(({ type }) => type.startsWith('timer_'))).toEqual([]);
  });

  test('a timer that was not set cannot fire', () => {
    const { rig } = deadlineIn(-1n);
    expect(() => rig.on(0, 'tsc_deadline', {})).toThrow(/expected a deadline, found none/);
  });
});
