/**
 * A TSC deadline over a restore, and on VMX's preemption timer: when the timer fires, and which of two
 * orders of restoring leaves the guest waiting.
 */
import { describe, expect, test } from 'vitest';
import { MSRS } from '../../events/index.ts';
import type { HostOptions } from '../../src/engine/index.ts';
import { Rig, resultOf } from '../selftests/rig.ts';

const { IA32_TSC, IA32_TSC_DEADLINE } = MSRS;
const KHZ = 2_500_000;
const HZ = 2_500_000_000n;
const MS_NS = 1_000_000n;
const SECOND_NS = 1_000n * MS_NS;

const boot = (host: Partial<HostOptions> = {}, khz?: number): Rig => {
  const rig = new Rig('v7.3', { tscKhz: KHZ, ...host });
  rig.createVm(1);
  if (khz !== undefined) {
    rig.ioctl(0, 'KVM_SET_TSC_KHZ', { khz });
    rig.setMsr(0, IA32_TSC, 0n);
  }
  rig.wait(10n * SECOND_NS);
  return rig;
};

/** The VMM writes an MSR; the timer that it armed. */
const restore = (rig: Rig, index: number, data: bigint) =>
  rig.ioctl(0, 'KVM_SET_MSRS', { index, data }).observations.find((o) => o.type === 'timer_armed');

/** The guest asks for a deadline so many cycles ahead. */
function ahead(rig: Rig, cycles: bigint) {
  const data = rig.rdtsc(0) + cycles;
  rig.enter(0);
  rig.on(0, 'kvm_exit', {});
  return rig.on(0, 'wrmsr', { index: IA32_TSC_DEADLINE, data });
}

describe('restored a day into the guest’s life, due in 10 ms', () => {
  const TSC = 86_400n * HZ;
  const DEADLINE = TSC + HZ / 100n;

  test('TSC first: it fires in 10 ms', () => {
    const rig = boot();
    restore(rig, IA32_TSC, TSC);
    const armed = restore(rig, IA32_TSC_DEADLINE, DEADLINE);
    expect(armed?.type === 'timer_armed' && 10n * MS_NS - armed.delayNs < 5_000n).toBe(true);
  });

  test('deadline first: reckoned from a TSC near 0, and the TSC’s restore does not mend it', () => {
    const rig = boot();
    const armed = restore(rig, IA32_TSC_DEADLINE, DEADLINE);
    expect(restore(rig, IA32_TSC, TSC)).toBeUndefined();
    // A day of cycles times 10^6 wraps every 7,378.7 s: what is left of it is 5,234 s.
    const wrapped = ((DEADLINE * 1_000_000n) % (1n << 64n)) / BigInt(KHZ);
    if (armed?.type !== 'timer_armed') throw new TypeError('expected a timer');
    // Less the ten seconds that the guest’s TSC has counted already.
    const apart = wrapped - 10n * SECOND_NS - armed.delayNs;
    expect(apart > -500n * MS_NS && apart < 500n * MS_NS, `${apart} ns apart`).toBe(true);
    expect(armed.delayNs).toBeGreaterThan(5_000n * SECOND_NS);
    rig.wait(armed.delayNs);
    const fired = resultOf(rig.on(0, 'tsc_deadline', {}), 'timer_fired');
    expect(fired.lateNs).toBeGreaterThan(5_000n * SECOND_NS);
  });

  test('a deadline that has fired reads 0, and restoring 0 arms nothing', () => {
    const rig = boot();
    ahead(rig, HZ / 1000n);
    rig.wait(2n * MS_NS);
    rig.on(0, 'tsc_deadline', {});
    expect(rig.getMsr(0, IA32_TSC_DEADLINE)).toBe(0n);
    expect(restore(rig, IA32_TSC_DEADLINE, 0n)).toBeUndefined();
  });
});

test('three hours ahead: the product wraps, and it fires early', () => {
  const rig = boot();
  const armed = resultOf(ahead(rig, 3n * 3600n * HZ), 'timer_armed');
  rig.wait(armed.delayNs);
  const fired = resultOf(rig.on(0, 'tsc_deadline', {}), 'timer_fired');
  expect(fired.lateNs).toBeLessThan(-7_000n * SECOND_NS);
});

test('the kernel’s advance lets it fire so much earlier, and what is nearer at once', () => {
  const rig = boot({ timerAdvanceNs: 1_000 });
  const { delayNs } = resultOf(ahead(rig, HZ / 1000n), 'timer_armed');
  expect(delayNs <= MS_NS - 1_000n && delayNs > MS_NS - 2_000n).toBe(true);
  expect(resultOf(ahead(rig, 2_000n), 'timer_fired').name).toBe('tsc_deadline');
});

describe('VMX’s preemption timer', () => {
  const inUse = (done: ReturnType<typeof ahead>): number =>
    resultOf(done, 'kvm_hv_timer_state').hvTimerInUse;

  test('runs what fits 32 bits after its shift, software the rest', () => {
    for (const rate of [0, 5]) {
      const rig = boot({ preemptionTimerRate: rate });
      const most = 1n << BigInt(32 + rate);
      expect(inUse(ahead(rig, most - 10_000n)), `rate ${rate}`).toBe(1);
      expect(inUse(ahead(rig, most + 10_000n)), `rate ${rate}`).toBe(0);
    }
    expect(inUse(ahead(boot(), 1_000_000n))).toBe(0);
  });

  test('converts a scaled guest’s cycles to the host’s', () => {
    const rig = boot({ preemptionTimerRate: 0 }, 1_250_000);
    const done = ahead(rig, 1_250_000n);
    expect(inUse(done)).toBe(1);
    const { delayNs } = resultOf(done, 'timer_armed');
    expect(MS_NS - delayNs < 1_000n && delayNs <= MS_NS).toBe(true);
    // 2^31 guest cycles are 2^32 of the host’s, which no longer fit.
    expect(inUse(ahead(rig, (1n << 31n) + 10_000n))).toBe(0);
  });

  test('cannot where the division would not fit 64 bits (-ERANGE)', () => {
    const rig = boot({ preemptionTimerRate: 31 }, 1_250_000);
    // The ratio is 2^47: a distance of 2^63 cycles shifted by 48 has a quotient of 64 bits and no more.
    expect(inUse(ahead(rig, (1n << 63n) + 10_000n))).toBe(0);
  });

  test('follows the TSC’s offset when loaded on another CPU, which software does not', () => {
    for (const rate of [0, undefined]) {
      const rig = boot(rate === undefined ? {} : { preemptionTimerRate: rate });
      ahead(rig, HZ);
      rig.setMsr(0, IA32_TSC, rig.rdtsc(0) - HZ / 2n);
      rig.leave(0);
      const loaded = rig.on(0, 'vcpu_load', { cpu: 3 });
      const armed = loaded.observations.find((o) => o.type === 'timer_armed');
      expect(armed === undefined).toBe(rate === undefined);
      if (armed?.type !== 'timer_armed') continue;
      expect(armed.delayNs > 1_499n * MS_NS && armed.delayNs <= 1_500n * MS_NS).toBe(true);
    }
  });
});
