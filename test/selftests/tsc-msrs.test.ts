/**
 * IA32_TSC and IA32_TSC_ADJUST written by the guest and by the VMM, read back by both.
 *
 * What the kernel's `tsc_msrs_test` and the `tsc_adjust` of kvm-unit-tests check: a guest's write of
 * either moves the other by as much, a VMM's write of one leaves the other alone. Holds in every
 * kernel: up to v5.7 (`tscWriteByGuest: sync`) a guest's write goes through the synchronisation, but
 * one so far from the present starts a generation of its own, with the value as given.
 *
 * What a vCPU's own write does to others differs: see the last group.
 */
import { describe, expect, test } from 'vitest';
import { MSRS } from '../../events/index.ts';
import { PROFILES, type ProfileId } from '../../src/profiles/index.ts';
import { KERNELS, Rig, split } from './rig.ts';

const { IA32_TSC, IA32_TSC_ADJUST } = MSRS;

/** Values are compared in units so large that the time the test takes is none. */
const UNIT = 1n << 30n;
const STEP = 4n * UNIT;
const HOST_ADJUST = 64n * UNIT;

const rounded = (value: bigint): bigint => (value + UNIT / 2n) & -UNIT;

/** TSC and TSC_ADJUST as the guest and as the VMM read them. */
function bothSides(rig: Rig, tsc: bigint, adjust: bigint): void {
  expect(rounded(rig.rdmsr(0, IA32_TSC))).toBe(tsc);
  expect(rounded(rig.rdtsc(0))).toBe(tsc);
  expect(rounded(rig.rdmsr(0, IA32_TSC_ADJUST))).toBe(adjust);
  expect(rounded(rig.getMsr(0, IA32_TSC))).toBe(tsc);
  expect(rounded(rig.getMsr(0, IA32_TSC_ADJUST))).toBe(adjust);
}

const fresh = (id: ProfileId): Rig => {
  const rig = new Rig(id);
  // A guest just created reads a small TSC.
  rig.createVm(1);
  rig.enter(0);
  return rig;
};

describe.each(KERNELS)('%s', (id) => {
  test('tsc_msrs_test: each write moves what it should', () => {
    const rig = fresh(id);
    bothSides(rig, 0n, 0n);
    // Guest: writes to IA32_TSC move both.
    rig.wrmsr(0, IA32_TSC, STEP);
    bothSides(rig, STEP, STEP);
    // Guest: writes to TSC_ADJUST move both.
    rig.wrmsr(0, IA32_TSC_ADJUST, 2n * STEP);
    bothSides(rig, 2n * STEP, 2n * STEP);
    // VMM: IA32_TSC alone.
    rig.setMsr(0, IA32_TSC, HOST_ADJUST + 2n * STEP);
    bothSides(rig, HOST_ADJUST + 2n * STEP, 2n * STEP);
    // VMM: TSC_ADJUST alone, whatever it is.
    rig.setMsr(0, IA32_TSC_ADJUST, UNIT * 123_456n);
    bothSides(rig, HOST_ADJUST + 2n * STEP, UNIT * 123_456n);
    rig.setMsr(0, IA32_TSC_ADJUST, 2n * STEP);
    bothSides(rig, HOST_ADJUST + 2n * STEP, 2n * STEP);
    // Guest: the VMM's offset is none of its TSC_ADJUST.
    rig.wrmsr(0, IA32_TSC_ADJUST, 3n * STEP);
    bothSides(rig, HOST_ADJUST + 3n * STEP, 3n * STEP);
    rig.wrmsr(0, IA32_TSC, 4n * STEP);
    expect(rounded(rig.rdmsr(0, IA32_TSC))).toBe(4n * STEP);
    expect(rounded(BigInt.asIntN(64, rig.rdmsr(0, IA32_TSC_ADJUST)))).toBe(4n * STEP - HOST_ADJUST);
  });

  test('tsc_adjust: the guest’s TSC moves by the change, to the cycle', () => {
    const rig = fresh(id);
    const far = 100_000_000_000n;
    const before = rig.rdtsc(0);
    rig.wrmsr(0, IA32_TSC_ADJUST, far);
    expect(rig.rdmsr(0, IA32_TSC_ADJUST)).toBe(far);
    const after = rig.rdtsc(0);
    expect(after - before).toBeGreaterThanOrEqual(far);
    expect(after - before).toBeLessThan(far + 100_000n);
    rig.wrmsr(0, IA32_TSC_ADJUST, 0n);
    const t1 = rig.rdtsc(0);
    rig.wrmsr(0, IA32_TSC, far);
    expect(rig.rdtsc(0)).toBeGreaterThanOrEqual(far);
    const adjust = BigInt.asIntN(64, rig.rdmsr(0, IA32_TSC_ADJUST));
    expect(t1).toBeLessThanOrEqual(far - adjust);
    expect(far - adjust - t1).toBeLessThan(100_000n);
  });

  test('TSC_ADJUST moves down as well as up', () => {
    const rig = fresh(id);
    rig.wrmsr(0, IA32_TSC_ADJUST, UNIT);
    const high = rig.rdtsc(0);
    rig.wrmsr(0, IA32_TSC_ADJUST, BigInt.asUintN(64, -UNIT));
    expect(BigInt.asIntN(64, rig.rdtsc(0) - high) + 2n * UNIT).toBeLessThan(100_000n);
  });
});

describe('what a guest’s write of its TSC does to its kvmclock', () => {
  const jump = (id: ProfileId, msr: number): bigint => {
    const rig = new Rig(id).boot(1);
    rig.wait(1_000_000_000n);
    const before = rig.kvmclock(0);
    const now = rig.rdtsc(0);
    rig.wrmsr(0, msr, msr === IA32_TSC ? now + STEP : STEP);
    return rig.kvmclock(0) - before;
  };
  /** 4·2^30 cycles at 2.5 GHz. */
  const STEP_NS = (STEP * 10n) / 25n;

  const adjust = split(({ tscAdjustRaisesClockUpdate }) => tscAdjustRaisesClockUpdate);

  test.each(adjust.holds)('%s renews the page after TSC_ADJUST', (id) => {
    expect(jump(id, IA32_TSC_ADJUST)).toBeLessThan(100_000n);
  });

  test.each(adjust.fails)('%s does not, until v5.14: the clock jumps', (id) => {
    expect(jump(id, IA32_TSC_ADJUST)).toBeGreaterThan(STEP_NS - 10n);
  });

  const tsc = split(({ tscWriteByGuest }) => tscWriteByGuest === 'sync');

  test.each(tsc.fails)('%s does not after IA32_TSC: the clock jumps', (id) => {
    expect(jump(id, IA32_TSC)).toBeGreaterThan(STEP_NS - 10n);
  });

  test.each(tsc.holds)('%s synchronises at IA32_TSC: the masterclock is renewed', (id) => {
    expect(PROFILES[id].switches.mclkRequestOnTrack).toBe('active-or-matched');
    expect(jump(id, IA32_TSC)).toBeLessThan(100_000n);
  });
});
