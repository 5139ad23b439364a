/** Writes of TSCs whose effect has a known size: on a page that stays as it was, and within a second. */
import { describe, expect, test } from 'vitest';
import { MSRS } from '../../events/index.ts';
import { asS64, pvclockRead } from '../../src/num/index.ts';
import { PROFILES } from '../../src/profiles/index.ts';
import { Rig, split } from './rig.ts';

const SECOND = 1_000_000_000n;
const GHZ_2_5 = { tscKhz: 2_500_000 } as const;

describe('a guest writes IA32_TSC, and its page stays until the next update', () => {
  const { holds } = split(({ tscWriteByGuest }) => tscWriteByGuest !== 'sync');

  // Four units of the kernel's tsc_msrs_test, and two sizes more.
  test.each(
    holds.flatMap((id) => [
      { id, cycles: 4n << 30n, ns: 1_717_986_918n },
      { id, cycles: 2_500_000_000n, ns: SECOND },
      { id, cycles: 2_500n, ns: 1_000n },
    ]),
  )('$id: $cycles cycles at 2.5 GHz are $ns ns', ({ id, cycles, ns }) => {
    const rig = new Rig(id, GHZ_2_5).boot(1);
    const page = rig.page(0);
    rig.on(0, 'kvm_exit', {});
    const at = rig.tsc;
    const before = rig.tscAt(0, at);
    rig.on(0, 'wrmsr', { index: MSRS.IA32_TSC, data: before + cycles });
    rig.on(0, 'kvm_entry', {});
    expect(rig.page(0)).toEqual(page);
    expect(rig.tscAt(0, at)).toBe(before + cycles);
    const moved = asS64(pvclockRead(page, before + cycles) - pvclockRead(page, before));
    expect(moved - ns >= -1n && moved - ns <= 1n, String(moved)).toBe(true);
    // An update for another reason has the reference at the TSC as it is now.
    rig.ioctl(0, 'KVM_KVMCLOCK_CTRL', {});
    rig.enter(0);
    const now = rig.tscAt(0, rig.tsc);
    const back = asS64(pvclockRead(rig.page(0), now) - pvclockRead(page, now));
    expect(back + ns >= -1n && back + ns <= 1n, String(back)).toBe(true);
  });
});

describe('the VMM writes 0.5 s to the TSC of a VM that is 0.2 s old', () => {
  // Series v6 takes the frequency that a new vCPU gets for a TSC set by userspace.
  const { holds, fails } = split(
    ({ syncWindow, syncOnSetTscKhz }) =>
      syncWindow === 'cycles-after-user-set' && syncOnSetTscKhz !== 'continuous',
  );
  const VALUE = 1_250_000_000n;

  /** How far the TSC is from what was written then, cycles. */
  function offBy(id: (typeof holds)[number]): bigint {
    const rig = new Rig(id, GHZ_2_5).createVm(1);
    rig.wait(SECOND / 5n);
    rig.on(0, 'vcpu_load', { cpu: 0 });
    const at = rig.tsc;
    rig.on(0, 'KVM_SET_MSRS', { index: MSRS.IA32_TSC, data: VALUE });
    return rig.tscAt(0, at) - VALUE;
  }

  test.each(fails)('%s: within a second it is taken for the same, 0.3 s less', (id) => {
    const lost = offBy(id) + 750_000_000n;
    expect(lost >= 0n && lost < 2_000n, String(lost)).toBe(true);
  });

  test.each(holds)('%s: userspace’s first write is taken as it is', (id) => {
    expect(PROFILES[id].switches.userSetTsc).not.toBe('none');
    expect(offBy(id)).toBe(0n);
  });
});
