/** Quantities take numbers where these are exact, and bigints beyond: both must cut alike. */
import { fc, test } from '@fast-check/vitest';
import { expect } from 'vitest';
import { decimal, formatNs, formatRate } from '../../replay/quantity.ts';

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
const steps = fc.constantFrom(1, 1e3, 1e5, 1e6, 1e9, 360e9, 8640e9, 365 * 8640e9);

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

test('times get the unit that suits them', () => {
  const years = 31_536_000_000_000_000n;
  expect([0n, -999n, 1000n, 999_999n, 1_000_000n].map(formatNs)).toEqual([
    '0 ns',
    '−999 ns',
    '1.000 µs',
    '999.999 µs',
    '1.000 ms',
  ]);
  expect([7_199_999_999_999n, 7_200_000_000_000n].map(formatNs)).toEqual(['7199.999 s', '2.0 h']);
  expect([86_399_999_999_999n, years - 1n, years].map(formatNs)).toEqual([
    '23.9 h',
    '364.9 days',
    '1.0 years',
  ]);
});

test('rates get the unit that suits them', () => {
  expect(formatRate(-99n, 1000n)).toBe('−9.9 %');
  expect(formatRate(29_999n, 10_000_000n)).toBe('+2999.9 ppm');
  expect(formatRate(-1n, 1_000_000_000n)).toBe('−1.0 ppb');
  expect(formatRate(1n, 0n)).toBe('at an unknown rate');
});
