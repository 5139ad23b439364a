/** Each function against the plain bigint form of its definition, corners first. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  adjustTscKhz,
  clocksourceMultShift,
  computeGuestTsc,
  hvclockToHz,
  hvReferenceTime,
  hvTscPage,
  isBefore,
  mulS64U64Shr,
  mulU64U64Shr,
  nestedMultiplier,
  nestedOffset,
  nsecToCycles,
  parseS64,
  parseU64,
  pvclockRead,
  pvclockTscKhz,
  scaleDelta,
  scaleTsc,
  timeScale,
  tscMatchWindow,
  tscRatio,
} from '../../src/num/index.ts';
import { khzs, muls, s64s, shifts, u32s, u64s } from './arbitraries.ts';
import * as ref from './reference.ts';

const RUNS = 5000;

function agree<Ts extends [unknown, ...unknown[]]>(
  name: string,
  arbitraries: { [K in keyof Ts]: fc.Arbitrary<Ts[K]> },
  predicate: (...args: Ts) => void,
): void {
  it(name, () => {
    fc.assert(fc.property(...arbitraries, predicate), { numRuns: RUNS });
  });
}

describe('products and scales', () => {
  agree('mulU64U64Shr', [u64s, u64s, fc.nat({ max: 127 })], (a, b, shift) => {
    expect(mulU64U64Shr(a, b, shift)).toBe(ref.refMulU(a, b, shift));
  });
  agree('mulU64U64Shr, usual shifts', [u64s, u64s, fc.constantFrom(32, 48, 64)], (a, b, shift) => {
    expect(mulU64U64Shr(a, b, shift)).toBe(ref.refMulU(a, b, shift));
  });
  agree('mulS64U64Shr', [s64s, u64s, fc.nat({ max: 127 })], (a, b, shift) => {
    expect(mulS64U64Shr(a, b, shift)).toBe(ref.refMulS(a, b, shift));
    expect(mulS64U64Shr(ref.u(a), b, shift)).toBe(ref.refMulS(a, b, shift));
  });
  agree('scaleDelta', [u64s, muls, shifts], (delta, mul, shift) => {
    const expected = ref.refScaleDelta(delta, mul, shift);
    expect(scaleDelta(delta, mul, shift)).toBe(expected);
    expect(nsecToCycles(ref.s(delta), mul, shift)).toBe(expected);
  });
  agree('pvclockRead', [u64s, u64s, u64s, muls, shifts], (tsc, tscTimestamp, time, mul, shift) => {
    const page = { tscTimestamp, systemTime: time, tscToSystemMul: mul, tscShift: shift };
    const elapsed = ref.refScaleDelta(ref.u(tsc - tscTimestamp), mul, shift);
    expect(pvclockRead(page, tsc)).toBe(ref.u(time + elapsed));
  });
  agree('scaleTsc', [u64s, u64s, fc.constantFrom(32, 48)], (tsc, ratio, bits) => {
    expect(scaleTsc(tsc, ratio, bits)).toBe(ref.refMulU(tsc, ratio, bits));
    expect(scaleTsc(tsc, 1n << BigInt(bits), bits)).toBe(tsc);
  });
  agree('timeScale, and where it hangs', [u64s, u64s], (scaledHz, baseHz) => {
    const expected = ref.refTimeScale(scaledHz, baseHz);
    if (expected === ref.HANG) expect(() => timeScale(scaledHz, baseHz)).toThrow(/never returns/);
    else expect(timeScale(scaledHz, baseHz)).toStrictEqual(expected);
  });
  agree('timeScale is at most 2^-31 slow and never fast', [khzs], (khz) => {
    const hz = BigInt(khz) * 1000n;
    if (hz >= 2n ** 32n) return;
    const { shift, mul } = timeScale(1_000_000_000n, hz);
    const unit = 2n ** 64n;
    const exact = (1_000_000_000n * unit) / hz;
    const got = (BigInt(mul) * unit * 2n ** BigInt(shift + 64)) / 2n ** 96n;
    expect(got <= exact).toBe(true);
    expect((exact - got) * 2n ** 31n <= exact + 2n ** 32n).toBe(true);
  });
  agree('hvclockToHz, and where it hangs', [muls, fc.integer({ min: -128, max: 127 })], (m, s) => {
    const expected = ref.refHvclockToHz(m, s);
    if (expected === ref.HANG) expect(() => hvclockToHz(m, s)).toThrow(/never returns/);
    else expect(hvclockToHz(m, s)).toBe(expected);
  });
  agree('pvclockTscKhz', [muls, shifts], (mul, shift) => {
    if (mul === 0) {
      expect(() => pvclockTscKhz(mul, shift)).toThrow(/divides/);
      return;
    }
    const khz = (1_000_000n * 2n ** 32n) / BigInt(mul);
    const power = 2n ** BigInt(Math.abs(shift));
    expect(pvclockTscKhz(mul, shift)).toBe(shift < 0 ? ref.u(khz * power) : khz / power);
  });
});

describe('frequencies', () => {
  agree('adjustTscKhz', [u32s, u32s.map((x) => x | 0)], (khz, ppm) => {
    expect(adjustTscKhz(khz, ppm)).toBe(ref.refAdjust(khz, ppm));
  });
  agree(
    'tscRatio',
    [khzs, khzs, fc.constantFrom(32, 48), fc.boolean()],
    (user, host, bits, has) => {
      const run = () => tscRatio(user, host, bits, { hasTscControl: has });
      const threshLo = ref.refAdjust(host, -250);
      const threshHi = ref.refAdjust(host, 250);
      const useScaling = user < threshLo || user > threshHi;
      const band = { threshLo, threshHi, useScaling };
      const one = 2n ** BigInt(bits);
      const ratio = (one * BigInt(user)) / BigInt(host);
      const most = bits === 48 ? 2n ** 64n - 1n : 2n ** 40n - 1n;
      if (!useScaling) {
        expect(run()).toStrictEqual({ ok: true, outcome: 'unscaled', ratio: one, ...band });
      } else if (!has && user > host) {
        expect(run()).toStrictEqual({ ok: true, outcome: 'catchup', ratio: null, ...band });
      } else if (!has) {
        expect(run()).toStrictEqual({ ok: false, outcome: 'no-tsc-control', ratio: null, ...band });
      } else if (ratio >= 2n ** 64n) {
        expect(run).toThrow(/more than 64 bits/);
      } else if (ratio === 0n || ratio >= most) {
        expect(run()).toStrictEqual({ ok: false, outcome: 'ratio-out-of-range', ratio, ...band });
      } else {
        expect(run()).toStrictEqual({ ok: true, outcome: 'scaled', ratio, ...band });
      }
    },
  );
  agree('nested ratio and offset', [u64s, u64s, s64s, u64s, fc.constantFrom(32, 48)], (...args) => {
    const [l1, l2, l1Offset, l2Offset, bits] = args;
    const one = 2n ** BigInt(bits);
    expect(nestedMultiplier(l1, l2, bits)).toBe(ref.refMulU(l1, l2, bits));
    expect(nestedMultiplier(l1, one, bits)).toBe(l1);
    const scaled = ref.refMulS(l1Offset, l2, bits);
    expect(nestedOffset(l1Offset, l2Offset, l2, bits)).toBe(ref.u(scaled + l2Offset));
    expect(nestedOffset(l1Offset, l2Offset, one, bits)).toBe(ref.u(l1Offset + l2Offset));
  });
  agree('clocksourceMultShift', [khzs], (khz) => {
    expect(clocksourceMultShift(khz)).toStrictEqual(ref.refClocksource(khz));
  });
});

describe('Hyper-V page', () => {
  const smallMuls = fc.oneof(muls, fc.integer({ min: 0, max: 200 }));
  agree(
    'hvTscPage and hvReferenceTime',
    [smallMuls, fc.integer({ min: -40, max: 31 }), u64s, u64s, fc.nat({ max: 255 }), u64s],
    (mul, shift, tscTimestamp, systemTime, flags, tsc) => {
      const page = { tscTimestamp, systemTime, tscToSystemMul: mul, tscShift: shift, flags };
      const { ok, scale, offset } = ref.refHvPage(mul, shift, tscTimestamp, systemTime, flags);
      expect(hvTscPage(page)).toStrictEqual({ ok, tscScale: scale, tscOffset: offset });
      const ticks = ref.u(ref.refMulU(tsc, scale, 64) + offset);
      expect(hvReferenceTime(tsc, scale, offset)).toBe(ticks);
    },
  );
});

describe('TSC synchronisation', () => {
  agree('computeGuestTsc', [s64s, u64s, u64s, muls, shifts], (now, nsec, write, mul, shift) => {
    const sync = {
      thisTscNsec: nsec,
      thisTscWrite: write,
      virtualTscMult: mul,
      virtualTscShift: shift,
    };
    const expected = (signed: boolean) =>
      ref.refComputeGuestTsc(now, nsec, write, mul, shift, signed);
    expect(computeGuestTsc(now, sync)).toBe(expected(false));
    expect(computeGuestTsc(now, sync, 'legacy')).toBe(expected(false));
    expect(computeGuestTsc(now, sync, 'signed')).toBe(expected(true));
  });
  const nearby = fc.oneof(
    fc.constantFrom(0n, 1n, -1n),
    fc.bigInt({ min: -7_000_000_000n, max: 7_000_000_000n }),
    s64s,
  );
  agree(
    'tscMatchWindow around the expected value',
    [
      nearby,
      u64s,
      s64s,
      fc.oneof(khzs, fc.constant(0)),
      muls,
      shifts,
      fc.integer({ min: -1, max: 1 }),
    ],
    (off, last, elapsed, khz, mul, shift, edge) => {
      const exp = ref.u(last + ref.refScaleDelta(elapsed, mul, shift));
      const hz = BigInt(edge) * BigInt(khz) * 1000n;
      const data = ref.u(exp + hz + off);
      const write = {
        data,
        lastTscWrite: last,
        elapsedNs: elapsed,
        virtualTscKhz: khz,
        virtualTscMult: mul,
        virtualTscShift: shift,
      };
      const cycles = ref.refCycleWindow(data, last, elapsed, khz, mul, shift);
      expect(tscMatchWindow(write)).toStrictEqual({
        tscExp: cycles.exp,
        synchronizing: cycles.sync,
      });
      const us = ref.refUsdiffWindow(data, last, elapsed, khz);
      const got = tscMatchWindow(write, 'usdiff');
      expect(got).toStrictEqual({ usdiff: us.usdiff, synchronizing: us.sync });
    },
  );
});

describe('64-bit integers', () => {
  agree(
    'any bigint stands for its value modulo 2^64',
    [u64s, u64s, muls, shifts],
    (a, b, mul, s) => {
      const far = a + 2n ** 64n * (b - 2n ** 63n);
      expect(mulU64U64Shr(far, b - 2n ** 64n, 48)).toBe(ref.refMulU(a, b, 48));
      expect(scaleDelta(far, mul, s)).toBe(ref.refScaleDelta(a, mul, s));
    },
  );
  agree('isBefore', [u64s, fc.bigInt({ min: 1n, max: 2n ** 63n - 1n })], (a, ahead) => {
    expect(isBefore(a, ref.u(a + ahead))).toBe(true);
    expect(isBefore(ref.u(a + ahead), a)).toBe(false);
    expect(isBefore(a, a)).toBe(false);
  });
  agree('decimal strings', [u64s], (a) => {
    expect(parseU64(String(a))).toBe(a);
    expect(parseS64(String(ref.s(a)))).toBe(ref.s(a));
  });
  it.each(['', '-0', '01', '+1', ' 1', '1.0', '0x10', '1e3', '18446744073709551616', '-1'])(
    'refuses %j as a u64',
    (text) => {
      expect(() => parseU64(text)).toThrow(RangeError);
    },
  );
  it.each(['-', '-0', '--1', '9223372036854775808', '-9223372036854775809'])(
    'refuses %j as an s64',
    (text) => {
      expect(() => parseS64(text)).toThrow(RangeError);
    },
  );
});
