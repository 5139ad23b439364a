/** Quantities take numbers where these are exact, and bigints beyond: both must cut, or round, alike. */
import { fc, test } from '@fast-check/vitest';
import { expect } from 'vitest';
import { decimal, formatNs, formatRate, rounded } from '../../replay/quantity.ts';

const size = (n: bigint): bigint => (n < 0n ? -n : n);

/** `value / step` with so many decimals, in bigints throughout. */
function slowly(value: bigint, step: bigint, decimals: number): string {
  const digits = (size(value) / step).toString().padStart(decimals + 1, '0');
  return `${value < 0n ? '−' : ''}${digits.slice(0, -decimals)}.${digits.slice(-decimals)}`;
}

const values = fc.oneof(
  fc.bigInt({ min: -(2n ** 64n), max: 2n ** 64n }),
  fc.bigInt({ min: -(2n ** 33n), max: 2n ** 33n }),
  fc.bigInt({ min: 2n ** 53n - 9n, max: 2n ** 53n + 9n }),
);
const steps = fc.constantFrom(1, 1e3, 1e5, 1e6, 1e9, 360e9, 8640e9, 365.25 * 8640e9);

test.prop([values, steps, fc.constantFrom(1, 3, 6)])(
  'decimals are cut',
  (value, step, decimals) => {
    expect(decimal(value, step, decimals)).toBe(slowly(value, BigInt(step), decimals));
  },
);

test.prop([fc.bigInt({ min: 1n, max: 2n ** 20n }), steps, fc.constantFrom(-1n, 0n, 1n)])(
  'decimals next to a whole step are cut, not rounded',
  (count, step, off) => {
    const value = count * BigInt(step) + off;
    expect(decimal(value, step, 3)).toBe(slowly(value, BigInt(step), 3));
  },
);

test.prop([values, steps, fc.constantFrom(1, 3, 6)])(
  'lengths are rounded to the nearest, halves away from zero',
  (value, step, decimals) => {
    const half = BigInt(step) / 2n;
    const further = value < 0n ? value - half : value + half;
    expect(rounded(value, step, decimals)).toBe(slowly(further, BigInt(step), decimals));
  },
);

test('times get the unit that suits them', () => {
  const year = 31_557_600_000_000_000n;
  expect([0n, -999n, 1000n, 999_999n, 1_000_000n].map(formatNs)).toEqual([
    '0 ns',
    '−999 ns',
    '1.000 µs',
    '999.999 µs',
    '1.000 ms',
  ]);
  expect([-5_129_725n, 1_234_499n, 1_234_500n].map(formatNs)).toEqual([
    '−5.130 ms',
    '1.234 ms',
    '1.235 ms',
  ]);
  expect([7_100_000_000_000n, 7_200_000_000_000n].map(formatNs)).toEqual(['7100.000 s', '2.0 h']);
  expect([86_399_999_999_999n, year - 1n, year, 2n ** 64n].map(formatNs)).toEqual([
    '1.0 days',
    '1.0 years',
    '1.0 years',
    '584.5 years',
  ]);
});

test('what rounds up to a whole one of a unit is shown in that unit', () => {
  expect([999_999_499n, 999_999_500n, -999_999_999n].map(formatNs)).toEqual([
    '999.999 ms',
    '1.000 s',
    '−1.000 s',
  ]);
});

test('rates get the unit that suits them', () => {
  expect(formatRate(-99n, 1000n)).toBe('−9.9 %');
  expect(formatRate(1_999_999n, 100_000_000_000n)).toBe('+20.0 ppm');
  expect(formatRate(29_999n, 10_000_000n)).toBe('+2999.9 ppm');
  expect(formatRate(-1n, 1_000_000_000n)).toBe('−1.0 ppb');
  expect(formatRate(1n, 0n)).toBe('at an unknown rate');
});
