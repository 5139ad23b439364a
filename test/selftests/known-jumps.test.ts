/**
 * The jumps that are known, with their sizes: what no selftest of the kernel waits long enough for.
 *
 * Each is measured as the kernel's developers do: the page before and the page after, at one TSC.
 */
import { describe, expect, test } from 'vitest';
import { MSRS } from '../../events/index.ts';
import type { HostOptions } from '../../src/engine/index.ts';
import { pvclockRead } from '../../src/num/index.ts';
import { PROFILES, type ProfileId } from '../../src/profiles/index.ts';
import { KERNELS, Rig, resultOf, split } from './rig.ts';

const SECOND = 1_000_000_000n;
const DAY = 86_400n * SECOND;
const REFERENCE_TSC = MSRS.HV_X64_MSR_REFERENCE_TSC;

/** How far vCPU 0's page moves over something, at the TSC after it; ns, + is forward. */
function jump(rig: Rig, something: () => void): bigint {
  const before = rig.page(0);
  something();
  const tsc = rig.tscAt(0, rig.tsc);
  return BigInt.asIntN(64, pvclockRead(rig.page(0), tsc) - pvclockRead(before, tsc));
}

const hotplug = (rig: Rig) => () => {
  rig.createVcpu(1);
  rig.enter(1);
  rig.settle();
};

/** After `boot`, the pending requests of the last vCPU are served. */
function aged(id: ProfileId, host: HostOptions, ns: bigint, ppm = 0n): Rig {
  const rig = new Rig(id, host).boot(1);
  const { monoMult } = rig.world.host;
  const steered = BigInt(monoMult) + (BigInt(monoMult) * ppm) / 1_000_000n;
  if (ppm !== 0n) rig.host('adjtimex', { monoMult: Number(steered) });
  rig.wait(ns);
  return rig;
}

describe('NTP behind the masterclock: a hotplug brings what it steered since the last snapshot', () => {
  const month = 30n * DAY;
  const { holds, fails } = split(({ masterBase }) => masterBase === 'boottime');

  test.each(holds)('%s: +20 ppm for 30 days are 51.84 s', (id) => {
    const rig = aged(id, { tscKhz: 2_000_000 }, month, 20n);
    const moved = jump(rig, hotplug(rig));
    // The multiplier has 23 bits: 83 of 4194304 are 19.79 ppm.
    const expected = (month * 83n) / 4_194_304n;
    expect(moved - expected < 2000n && expected - moved < 2000n, String(moved)).toBe(true);
    const back = aged(id, { tscKhz: 2_000_000 }, month, -20n);
    expect(jump(back, hotplug(back)) + expected).toBeLessThan(2000n);
  });

  test.each(fails)('%s: the raw clock is not steered', (id) => {
    const rig = aged(id, { tscKhz: 2_000_000 }, month, 20n);
    expect(jump(rig, hotplug(rig))).toBe(0n);
  });
});

describe('raw clock and pvclock count a day differently', () => {
  const raw = split(({ masterBase }) => masterBase === 'raw').holds;
  const { holds } = split(({ mclkRequestOnTrack }) => mclkRequestOnTrack === 'active-or-matched');
  const PER_DAY = [
    [2_000_000, 0n],
    [2_500_000, -5_129_725n],
    [2_400_000, 4_127_920n],
    [2_995_200, 7_411_137n],
    [3_700_000, -13_360_418n],
  ] as const;

  describe.each(PER_DAY)('at %d kHz by %d ns', (tscKhz, expected) => {
    const near = (moved: bigint) =>
      expect(moved - expected >= -2n && moved - expected <= 2n, String(moved)).toBe(true);

    test.each(raw.filter((id) => holds.includes(id)))('%s: at a hotplug', (id) => {
      const rig = aged(id, { tscKhz }, DAY);
      near(jump(rig, hotplug(rig)));
    });

    test.each(raw.filter((id) => !holds.includes(id)))(
      '%s: not at a hotplug, but when asked',
      (id) => {
        const rig = aged(id, { tscKhz }, DAY);
        expect(jump(rig, hotplug(rig))).toBe(0n);
        near(jump(rig, () => rig.wrmsr(0, REFERENCE_TSC, 0x20_0001n)));
      },
    );
  });

  const inKhz = split(({ pvScaleUnit }) => pvScaleUnit !== 'hz-u32' && pvScaleUnit !== 'hz').holds;
  const scaled = raw.map((id) => [id, inKhz.includes(id) ? 39_705_075n : 5_205_162n] as const);

  // 39.7 ms by the truncation to kHz; in Hz a page gains 0.640 ppb, and the raw clock loses 59.605.
  test.each(scaled)('%s: %i ns when 3.0 GHz are scaled to 2.5', (id, back) => {
    const rig = new Rig(id, { tscKhz: 3_000_000 }).createVm(1);
    rig.ioctl(0, 'KVM_SET_TSC_KHZ', { khz: 2_500_000 });
    rig.enableKvmclock(0);
    rig.wait(DAY);
    const moved = jump(rig, () => rig.wrmsr(0, REFERENCE_TSC, 0x20_0001n));
    expect(moved + back < 4n && moved + back > -4n, String(moved)).toBe(true);
  });
});

describe('KVM_SET_CLOCK against a stale reference', () => {
  const { holds } = split(({ setClockOrder }) => setClockOrder === 'now-then-update');

  test.each(holds)('%s: what NTP steered since the last snapshot is added', (id) => {
    const rig = aged(id, { tscKhz: 2_000_000 }, DAY, 100n);
    const at = rig.tsc;
    rig.setClock(1000n * SECOND);
    const moved = rig.kvmclock(0) - 1000n * SECOND - ((rig.tsc - at) * 1_000_000n) / 2_000_000n;
    // 419 of 4194304.
    const expected = (DAY * 419n) / 4_194_304n;
    expect(moved - expected < 2000n && expected - moved < 2000n, String(moved)).toBe(true);
  });
});

describe('KVM_SET_TSC_KHZ while the guest lives', () => {
  const { holds: goesOn, fails: jumps } = split((s) => s.syncOnSetTscKhz === 'continuous');

  /** How far the TSC moves, and the host's TSC then. */
  function moved(id: ProfileId): { readonly by: bigint; readonly at: bigint } {
    const rig = new Rig(id, { tscKhz: 3_000_000, tsc: 1_000_000_000_000_000n }).createVm(1);
    const at = rig.tsc;
    const before = rig.tscAt(0, at);
    rig.ioctl(0, 'KVM_SET_TSC_KHZ', { khz: 2_500_000 });
    return { by: BigInt.asIntN(64, rig.tscAt(0, at) - before), at };
  }

  test.each(jumps)('%s: the TSC jumps by the difference of the scaled host TSC', (id) => {
    const { by, at } = moved(id);
    const sixth = at / 6n;
    // The ratio is truncated to 48 bits, which 2^49.8 cycles make 4 cycles of.
    expect(by + sixth <= 0n && by + sixth > -5n, String(by)).toBe(true);
  });

  test.each(goesOn)('%s: the TSC goes on from where it was', (id) => {
    // Slower from the ioctl on, 250 cycles after `at`.
    expect(moved(id).by).toBe(42n);
  });
});

describe('a frequency set after the first page', () => {
  const { holds, fails } = split(({ pvScaleUnit }) => pvScaleUnit === 'user-khz');

  /** Whether the page’s scale follows. */
  function follows(id: ProfileId): boolean {
    const rig = new Rig(id, { tscKhz: 3_000_000 }).boot(1);
    const { tscToSystemMul } = rig.page(0);
    rig.ioctl(0, 'KVM_SET_TSC_KHZ', { khz: 2_500_000 });
    rig.setClock(SECOND);
    rig.enter(0);
    return rig.page(0).tscToSystemMul !== tscToSystemMul;
  }

  test.each(fails)('%s: the next page has its scale', (id) => {
    expect(follows(id)).toBe(true);
  });

  test.each(holds)('%s: no page has, until the host’s own frequency changes', (id) => {
    expect(follows(id)).toBe(false);
  });
});

describe('a suspend over which the TSC starts again', () => {
  test.each(KERNELS)('%s: it goes on from where it was; the masterclock is lost', (id) => {
    const rig = new Rig(id, { tscKhz: 2_000_000 }).boot(1);
    // The vCPU leaves its CPU an hour after the host's boot, to the cycle.
    rig.tsc = 7_200_000_000_000n - 250n;
    rig.leave(0);
    const last = rig.vcpu(0).lastHostTsc;
    const guest = rig.tscAt(0, last);
    const clock = rig.kvmclockAt(0, last);
    const { curTscOffset: recorded } = rig.vm;
    rig.host('suspend', {});
    rig.host('timekeeping_suspend', {});
    rig.tsc = 2_000_000_000n;
    rig.host('resume', { cpu: 0, offsBoot: 3_600n * SECOND });
    rig.host('suspend_end', {});
    rig.enter(0);
    expect(last - 2_000_000_000n).toBe(7_198_000_000_000n);
    expect(rig.tscAt(0, 2_000_000_000n)).toBe(guest);
    expect(rig.vm.masterclock).toBe('off.backwardsTsc');
    // kvmclock counts the sleep, its TSC does not.
    const slept = rig.kvmclockAt(0, rig.tsc) - clock;
    const hour = 3_600n * SECOND;
    expect(slept >= hour && slept < hour + 10_000n, String(slept)).toBe(true);
    // The record of TSC writes, by which later ones are matched.
    const { lastTscWrite, lastTscNsec, curTscOffset } = rig.vm;
    if (PROFILES[id].switches.backwardsTscRecord === 'forget-last') {
      expect([lastTscWrite, lastTscNsec]).toEqual([0n, 0n]);
    } else {
      expect(BigInt.asUintN(64, curTscOffset - recorded)).toBe(7_198_000_000_000n);
    }
  });
});

describe('a guest faster than its host, without scaling', () => {
  /** Cycles that 100 s bring its TSC beyond what the host's counts. */
  function caughtUp(id: ProfileId, vclockMode: number): bigint {
    const host = { tscKhz: 3_000_000, hasTscControl: false, vclockMode };
    const rig = new Rig(id, host).createVm(1);
    rig.ioctl(0, 'KVM_SET_TSC_KHZ', { khz: 3_500_000 });
    rig.setMsr(0, MSRS.IA32_TSC, 1n << 50n);
    rig.enableKvmclock(0);
    expect(rig.vcpu(0).catchup).toBe('always');
    expect(rig.vm.masterclock).toBe(vclockMode === 1 ? 'on' : 'off.hostClock');
    const before = rig.tscAt(0, rig.tsc) - rig.tsc;
    rig.wait(100n * SECOND);
    rig.leave(0);
    rig.enter(0);
    return rig.tscAt(0, rig.tsc) - rig.tsc - before;
  }

  /** Until v5.7 no ioctl makes such a guest. */
  const { holds: made, fails: refused } = split((s) => s.setTscKhzUnscaled);
  const byReference = made.filter((id) => PROFILES[id].switches.catchupFormula === 'reference');
  const byNow = made.filter((id) => !byReference.includes(id));

  test.each(refused)('%s: there is none', (id) => {
    const rig = new Rig(id, { tscKhz: 3_000_000, hasTscControl: false }).createVm(1);
    const done = rig.ioctl(0, 'KVM_SET_TSC_KHZ', { khz: 3_500_000 });
    expect(resultOf(done, 'ioctl_result').ret).toBe(-22);
    expect(rig.vcpu(0)).toMatchObject({ catchup: 'off', virtualTscKhz: 3_000_000 });
  });

  // 5.0e10 cycles, 14.29 s of the guest's, are due after 100 s.
  test.each(byReference)(
    '%s: with the masterclock its TSC stays where the reference has it',
    (id) => {
      expect(caughtUp(id, 1)).toBe(0n);
    },
  );

  test.each([
    ...made.map((id) => [id, 'without the masterclock', 0] as const),
    ...byNow.map((id) => [id, 'with the masterclock', 1] as const),
  ])('%s: %s it catches up', (id, _how, vclockMode) => {
    const due = 50_000_000_000n;
    // By the raw clock, which counts 59.605 ppb less than the TSC of 3 GHz.
    const late = due - caughtUp(id, vclockMode) - 20_862n;
    expect(late > -200n && late < 200n, String(late)).toBe(true);
  });
});
