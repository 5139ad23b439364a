/**
 * Hyper-V's reference time: the page and the MSR tell the same, and follow KVM_SET_CLOCK.
 *
 * What the kernel's `hyperv_clock` and that of kvm-unit-tests check. The page exists since v4.9
 * (`hvPage`); before, it is filled with zeros and never valid.
 *
 * After KVM_SET_CLOCK of 0 the page must read less than 10 ms. From v4.13 to v5.11 it reads 584 years
 * (`setClockOrder: update-then-now`): the clock is set against its value a moment after the
 * reference, `system_time` becomes slightly negative, and the page divides it unsigned. Before (v4.9)
 * the reference is taken last, after v5.12 the clock is set against the reference itself.
 */
import { describe, expect, test } from 'vitest';
import { MSRS } from '../../events/index.ts';
import { hvReferenceTime } from '../../src/num/index.ts';
import { PROFILES, type ProfileId } from '../../src/profiles/index.ts';
import { Rig, split } from './rig.ts';

const { HV_X64_MSR_TIME_REF_COUNT, HV_X64_MSR_REFERENCE_TSC, HV_X64_MSR_TSC_FREQUENCY } = MSRS;

const PAGE = 0x20_0000n;
const ENABLE = 1n;
/** 10 ms in units of 100 ns. */
const SOON = 100_000n;
const SECOND_TICKS = 10_000_000n;

function withPage(id: ProfileId, vcpus = 1): Rig {
  const rig = new Rig(id, { tscKhz: 2_893_299 }).boot(vcpus);
  rig.wrmsr(0, HV_X64_MSR_REFERENCE_TSC, PAGE | ENABLE);
  rig.settle();
  rig.wait(1_000_000n);
  return rig;
}

const msr = (rig: Rig): bigint => rig.rdmsr(0, HV_X64_MSR_TIME_REF_COUNT);

/** The guest reads the page: with sequence 0 it must use the MSR. */
function page(rig: Rig): bigint | undefined {
  const { hvTscSequence, hvTscScale, hvTscOffset } = rig.vm;
  const tsc = rig.rdtsc(0);
  return hvTscSequence === 0 ? undefined : hvReferenceTime(tsc, hvTscScale, hvTscOffset);
}

const { holds, fails } = split(({ hvPage }) => hvPage !== 'none');

describe.each(holds)('%s', (id) => {
  const { setClockOrder, mclkCriterion } = PROFILES[id].switches;
  const leaps = setClockOrder === 'update-then-now';

  test('page ≤ MSR ≤ page, read one after another', () => {
    const rig = withPage(id);
    for (const pause of [0n, 1000n, 1_000_000n, 10_000_000_000n]) {
      rig.wait(pause);
      const first = page(rig)!;
      const middle = msr(rig);
      const last = page(rig)!;
      expect(first <= middle && middle <= last).toBe(true);
      expect(middle - first).toBeLessThan(SOON);
    }
  });

  test('counts 100 ns by the frequency it tells, within 1 %', () => {
    const rig = withPage(id);
    const hz = rig.rdmsr(0, HV_X64_MSR_TSC_FREQUENCY);
    const [t0, tsc0] = [msr(rig), rig.rdtsc(0)];
    rig.wait(1_000_000_000n);
    const [t1, tsc1] = [msr(rig), rig.rdtsc(0)];
    const hzSeen = ((tsc1 - tsc0) * SECOND_TICKS) / (t1 - t0);
    expect(hzSeen * 100n > hz * 99n && hzSeen * 100n < hz * 101n).toBe(true);
  });

  test('a page that is off reads as the MSR, from the VM’s clock', () => {
    const rig = withPage(id);
    rig.wrmsr(0, HV_X64_MSR_REFERENCE_TSC, PAGE);
    const before = rig.getClock().clock! / 100n;
    expect(msr(rig) - before).toBeLessThan(100n);
  });

  test('every masterclock update moves the sequence', () => {
    const rig = withPage(id);
    const before = rig.vm.hvTscSequence;
    rig.setClock(rig.getClock().clock!);
    const { hvPage, hvPageFrom } = PROFILES[id].switches;
    // v5.12 to v5.17 write 0 first, and go on from that.
    if (hvPage === 'status' && hvPageFrom === 'vcpu0') expect(rig.vm.hvTscSequence).toBe(1);
    else expect(rig.vm.hvTscSequence).not.toBe(before);
    expect(rig.vm.hvTscSequence).not.toBe(0);
  });

  test(`KVM_SET_CLOCK of 0 ${leaps ? 'leaps 584 years' : 'starts the page at 0'}`, () => {
    const rig = withPage(id);
    rig.wait(10_000_000_000n);
    const before = rig.vm.hvTscOffset;
    rig.setClock(0n);
    const after = page(rig)!;
    expect(rig.vm.hvTscOffset).not.toBe(before);
    if (leaps) {
      const centuries = 184_467_440_737_095_516n;
      expect(after > centuries - SOON && after < centuries + SOON).toBe(true);
      expect(BigInt.asIntN(64, rig.page(0).systemTime)).toBeLessThan(0n);
      // kvmclock itself wraps back.
      expect(rig.kvmclock(0)).toBeLessThan(SOON * 100n);
    } else {
      expect(after).toBeLessThan(SOON);
    }
  });

  if (PROFILES[id].switches.hvPage === 'status') {
    test('with reenlightenment and emulation the page keeps its numbers', () => {
      const rig = withPage(id);
      rig.wrmsr(0, MSRS.HV_X64_MSR_REENLIGHTENMENT_CONTROL, 0x1_0000n | 0xffn);
      rig.wrmsr(0, MSRS.HV_X64_MSR_TSC_EMULATION_CONTROL, 1n);
      const { hvTscScale, hvTscOffset, hvTscSequence } = rig.vm;
      rig.setClock(0n);
      expect(rig.vm).toMatchObject({ hvTscScale, hvTscOffset, hvTscSequence });
      expect(rig.vm.hvTscPage).toBe('set');
    });
  }

  test('is off while the VM has no masterclock', () => {
    const rig = withPage(id, 2);
    // A TSC far from the other one's: offsets differ. Where that does not count, a frequency does.
    if (mclkCriterion !== 'offsets') rig.ioctl(1, 'KVM_SET_TSC_KHZ', { khz: 1_000_000 });
    rig.setMsr(1, MSRS.IA32_TSC, 1n << 50n);
    rig.enterAll();
    // The page follows at the next update of the vCPU that keeps it.
    rig.setClock(rig.getClock().clock!);
    expect(rig.vm.masterclock).toBe('off.unmatched');
    expect(page(rig)).toBeUndefined();
  });
});

test.each(fails)('%s never makes the page valid', (id) => {
  const rig = withPage(id);
  rig.setClock(rig.getClock().clock!);
  expect(page(rig)).toBeUndefined();
  const writes = rig.observed.filter(
    (seen) => seen.type === 'guest_write' && seen.what === 'hv_tsc_page',
  );
  expect(writes).toMatchObject([{ gpa: PAGE, bytes: new Uint8Array(24) }]);
});
