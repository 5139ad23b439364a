/** Worked examples, what is refused, and the shapes of code that V8 must survive. */
import { describe, expect, it } from 'vitest';
import {
  adjustTscKhz,
  clocksourceMultShift,
  computeGuestTsc,
  hvclockToHz,
  hvReferenceTime,
  hvTscPage,
  mulS64U64Shr,
  mulU64U64Shr,
  nestedMultiplier,
  nestedOffset,
  nsecToCycles,
  PVCLOCK_TSC_STABLE_BIT,
  pvclockRead,
  pvclockTscKhz,
  SVM_TSC_FRAC_BITS,
  scaleDelta,
  scaleTsc,
  timeScale,
  tscMatchWindow,
  tscRatio,
  VMX_TSC_FRAC_BITS,
} from '../../src/num/index.ts';

const NSEC = 1_000_000_000n;
const U64 = 2n ** 64n;

describe('time scales', () => {
  it.each([
    [2_000_000_000n, { shift: 0, mul: 2_147_483_648 }],
    [4_000_000_000n, { shift: -1, mul: 2_147_483_648 }],
    [1_000_000_000n, { shift: 1, mul: 2_147_483_648 }],
    [2_499_999_000n, { shift: -1, mul: 3_435_975_211 }],
    [2_499_999_999n, { shift: -1, mul: 3_435_973_839 }],
    [3_000_000_000n, { shift: -1, mul: 2_863_311_530 }],
  ])('nanoseconds from %d Hz', (hz, scale) => {
    expect(timeScale(NSEC, hz)).toStrictEqual(scale);
  });

  it('cycles of 2.5 GHz from nanoseconds', () => {
    expect(timeScale(2_500_000_000n, NSEC)).toStrictEqual({ shift: 2, mul: 2_684_354_560 });
  });

  it.each([
    [0n, NSEC],
    [NSEC, 0n],
    [2n ** 63n, NSEC],
    [0n, 0n],
    [U64, NSEC],
  ])('(%d, %d) would loop for ever', (scaled, base) => {
    expect(() => timeScale(scaled, base)).toThrow(/kvm_get_time_scale\(\) never returns/);
  });

  it('finds the frequency again', () => {
    expect(hvclockToHz(3_435_973_839, -1)).toBe(2_499_999_998n);
    expect(hvclockToHz(3_435_975_211, -1)).toBe(2_499_999_000n);
    expect(hvclockToHz(1, 127)).toBe(0n);
    expect(hvclockToHz(1, -128)).toBe(0n);
    expect(pvclockTscKhz(3_435_975_211, -1)).toBe(2_499_998n);
    expect(pvclockTscKhz(3_435_973_839, -1)).toBe(2_499_998n);
  });
});

describe('TSC scaling', () => {
  it('2.5 GHz on a 3 GHz host', () => {
    const band = { useScaling: true, threshLo: 2_999_250, threshHi: 3_000_750 };
    const vmx = tscRatio(2_500_000, 3_000_000, VMX_TSC_FRAC_BITS);
    const svm = tscRatio(2_500_000, 3_000_000, SVM_TSC_FRAC_BITS);
    expect(vmx).toStrictEqual({
      ok: true,
      outcome: 'scaled',
      ratio: 234_562_480_592_213n,
      ...band,
    });
    expect(svm).toStrictEqual({ ok: true, outcome: 'scaled', ratio: 3_579_139_413n, ...band });
    expect(scaleTsc(3_000_000n, 234_562_480_592_213n, 48)).toBe(2_499_999n);
    expect(scaleTsc(3_000_000_000n, 234_562_480_592_213n, 48)).toBe(2_499_999_999n);
  });

  it.each([
    [2_999_249, true],
    [2_999_250, false],
    [3_000_750, false],
    [3_000_751, true],
  ])('%d kHz on a 3 GHz host: scaling %s', (khz, useScaling) => {
    expect(tscRatio(khz, 3_000_000, VMX_TSC_FRAC_BITS)).toMatchObject({ ok: true, useScaling });
  });

  it('without hardware, faster catches up and slower fails, in the band neither', () => {
    const set = (khz: number) => tscRatio(khz, 3_000_000, 48, { hasTscControl: false });
    expect(set(3_500_000)).toMatchObject({ ok: true, outcome: 'catchup', ratio: null });
    expect(set(2_500_000)).toMatchObject({ ok: false, outcome: 'no-tsc-control', ratio: null });
    expect(set(3_000_001)).toMatchObject({ ok: true, outcome: 'unscaled', ratio: 2n ** 48n });
  });

  it('0 kHz fails with the default ratio', () => {
    expect(tscRatio(0, 3_000_000, 32)).toStrictEqual({
      ok: false,
      outcome: 'zero-khz',
      ratio: 2n ** 32n,
      useScaling: false,
      threshLo: 2_999_250,
      threshHi: 3_000_750,
    });
  });

  it('takes limits and tolerance', () => {
    const ratio = (2n ** 48n * 2n) / 3n;
    const at = (maxRatio: bigint) => tscRatio(2_000_000, 3_000_000, 48, { maxRatio });
    expect(at(ratio)).toMatchObject({ ok: false, outcome: 'ratio-out-of-range', ratio });
    expect(at(ratio + 1n)).toMatchObject({ ok: true, outcome: 'scaled', ratio });
    expect(tscRatio(3_000_001, 3_000_000, 48, { tolerancePpm: 0 }).useScaling).toBe(true);
    expect(tscRatio(1, 4, 8, { maxRatio: 100n })).toMatchObject({ ok: true, ratio: 64n });
  });

  it('refuses what the kernel cannot divide', () => {
    expect(() => tscRatio(1, 0, 48)).toThrow(/divides by it/);
    expect(() => tscRatio(0xffff_ffff, 1, 48)).toThrow(/more than 64 bits/);
    expect(() => tscRatio(1, 2, 40)).toThrow(/maxRatio/);
  });

  it('composes offsets toward zero', () => {
    expect(nestedOffset(-33_125_236_320_909n, 0n, 2n ** 47n, 48)).toBe(U64 - 16_562_618_160_454n);
    expect(nestedMultiplier(2n ** 47n, 4n << 48n, 48)).toBe(2n ** 49n);
  });
});

describe('a clock before its reference', () => {
  const page = {
    tscTimestamp: 1000n,
    systemTime: 0n,
    ...{ tscToSystemMul: 3_435_973_836, tscShift: -1 },
  };
  it('leaps by centuries after one cycle back', () => {
    expect(pvclockRead(page, 999n)).toBe(7_378_697_627_765_833_727n);
  });

  it('has garbage for a TSC in legacy kernels, and not in the series', () => {
    const { shift: virtualTscShift, mul: virtualTscMult } = timeScale(2_500_000_000n, NSEC);
    const sync = { thisTscNsec: 5000n, thisTscWrite: 0n, virtualTscMult, virtualTscShift };
    expect(computeGuestTsc(4000n, sync, 'legacy')).toBe(11_529_215_046_068_467_260n);
    expect(computeGuestTsc(4000n, sync, 'signed')).toBe(U64 - 2500n);
  });

  it('divides a slightly negative time unsigned for Hyper-V', () => {
    const slightly = { ...page, tscTimestamp: 0n, systemTime: -500n };
    const hv = hvTscPage({ ...slightly, flags: PVCLOCK_TSC_STABLE_BIT });
    expect(hv).toMatchObject({ ok: true, tscOffset: 184_467_440_737_095_511n });
    expect(hvReferenceTime(0n, hv.tscScale, hv.tscOffset)).toBe(184_467_440_737_095_511n);
    expect(hvTscPage({ ...slightly, flags: 0 })).toStrictEqual({
      ok: false,
      tscScale: 0n,
      tscOffset: 0n,
    });
  });
});

describe('the window of a TSC write', () => {
  const still = { lastTscWrite: 0n, elapsedNs: 0n, virtualTscMult: 2 ** 31, virtualTscShift: 1 };

  it('is open on both sides, a second wide each', () => {
    const at = (data: bigint) =>
      tscMatchWindow({ ...still, lastTscWrite: 5000n, data, virtualTscKhz: 2 }).synchronizing;
    expect([at(3000n), at(3001n), at(6999n), at(7000n)]).toStrictEqual([false, true, true, false]);
  });

  it('is closed at 0 kHz', () => {
    const write = { ...still, data: 0n, virtualTscKhz: 0 };
    expect(tscMatchWindow(write)).toStrictEqual({ synchronizing: false, tscExp: 0n });
    const closed = { synchronizing: false, usdiff: 1_000_000n };
    expect(tscMatchWindow(write, 'usdiff')).toStrictEqual(closed);
  });

  it('in microseconds takes the one distance that has no magnitude for a match', () => {
    const write = { ...still, data: 2n ** 60n, virtualTscKhz: 1 };
    const match = { synchronizing: true, usdiff: -(2n ** 63n) };
    expect(tscMatchWindow(write, 'usdiff')).toStrictEqual(match);
  });
});

describe('CLOCK_MONOTONIC_RAW against pvclock', () => {
  it.each([
    [2_000_000, 4_194_304, 23, 0, 2_147_483_648, 0n],
    [2_100_000, 7_989_150, 24, -1, 4_090_445_043, 5_132_742n],
    [2_194_843, 7_643_925, 24, -1, 3_913_689_768, 3_708_827n],
    [2_400_000, 6_990_507, 24, -1, 3_579_139_413, -4_127_920n],
    [2_500_000, 6_710_886, 24, -1, 3_435_973_836, 5_129_725n],
    [2_593_906, 6_467_935, 24, -1, 3_311_582_837, 3_052_558n],
    [2_893_299, 5_798_646, 24, -1, 2_968_906_632, -3_492_195n],
    [2_995_200, 5_601_368, 24, -1, 2_867_900_170, -7_411_137n],
    [3_000_000, 5_592_405, 24, -1, 2_863_311_530, 5_129_725n],
    [3_700_000, 2_267_191, 23, -1, 2_321_603_943, 13_360_418n],
  ])('a %d kHz host', (khz, mult, sft, shift, mul, drift) => {
    expect(clocksourceMultShift(khz)).toStrictEqual({ mult, shift: sft });
    const hz = BigInt(khz) * 1000n;
    expect(timeScale(NSEC, hz)).toStrictEqual({ shift, mul });
    const day = hz * 86_400n;
    // The table's drift is that of the rates: the exact difference, rounded to a nanosecond.
    const bits = BigInt(32 - shift + sft);
    const exact = day * ((BigInt(mul) << BigInt(sft)) - (BigInt(mult) << BigInt(32 - shift)));
    expect((exact + (1n << (bits - 1n))) >> bits).toBe(drift);
    const read = scaleDelta(day, mul, shift) - ((day * BigInt(mult)) >> BigInt(sft));
    expect([drift - 1n, drift, drift + 1n]).toContain(read);
  });

  it('predicts the 412 ns jump of a hotplug to the nanosecond', () => {
    const before = {
      tscTimestamp: 3_277_968n,
      systemTime: 11_849_519n,
      tscToSystemMul: 2_152_530_255,
      tscShift: 0,
    };
    const after = { ...before, tscTimestamp: 9_980_576_184n, systemTime: 5_012_222_411n };
    const { mult, shift } = clocksourceMultShift(1_995_311);
    expect({ mult, shift }).toStrictEqual({ mult: 4_204_161, shift: 23 });
    const scale = { shift: before.tscShift, mul: before.tscToSystemMul };
    expect(timeScale(NSEC, 1_995_311_000n)).toStrictEqual(scale);
    const delta = after.tscTimestamp - before.tscTimestamp;
    const predicted =
      ((delta * BigInt(mult)) >> BigInt(shift)) - scaleDelta(delta, scale.mul, scale.shift);
    const jump = after.systemTime - pvclockRead(before, after.tscTimestamp);
    expect(jump).toBe(412n);
    expect(predicted).toBe(jump);
  });
});

describe('what is out of range', () => {
  const page = { tscTimestamp: 0n, systemTime: 0n, tscToSystemMul: 1, tscShift: 0, flags: 1 };
  const write = {
    data: 0n,
    lastTscWrite: 0n,
    elapsedNs: 0n,
    virtualTscKhz: -1,
    virtualTscMult: 0,
    virtualTscShift: 0,
  };
  it.each<[string, () => unknown]>([
    ['mul', () => scaleDelta(1n, 2 ** 32, 0)],
    ['mul', () => scaleDelta(1n, -1, 0)],
    ['mul', () => scaleDelta(1n, 1.5, 0)],
    ['mul', () => scaleDelta(1n, Number.NaN, 0)],
    ['shift', () => scaleDelta(1n, 1, 64)],
    ['shift', () => scaleDelta(1n, 1, -64)],
    ['shift', () => nsecToCycles(1n, 1, 0.5)],
    ['shift', () => mulU64U64Shr(1n, 1n, 128)],
    ['shift', () => mulU64U64Shr(1n, 1n, -1)],
    ['shift', () => mulS64U64Shr(1n, 1n, 128)],
    ['mul', () => hvclockToHz(-1, 0)],
    ['shift', () => hvclockToHz(1, 128)],
    ['mul', () => pvclockTscKhz(0, 0)],
    ['khz', () => adjustTscKhz(2 ** 32, 0)],
    ['ppm', () => adjustTscKhz(1, 2 ** 31)],
    ['tscKhz', () => clocksourceMultShift(0)],
    ['userKhz', () => tscRatio(-1, 1, 48)],
    ['fracBits', () => tscRatio(1, 1, 64)],
    ['tscShift', () => hvTscPage({ ...page, tscShift: 32 })],
    ['tscShift', () => hvTscPage({ ...page, tscShift: -129 })],
    ['tscToSystemMul', () => hvTscPage({ ...page, tscToSystemMul: -1 })],
    ['virtualTscKhz', () => tscMatchWindow(write)],
    ['virtualTscKhz', () => tscMatchWindow(write, 'usdiff')],
  ])('%s: %s', (name, run) => {
    expect(run).toThrow(RangeError);
    expect(run).toThrow(name);
  });
});
