/** The frequency behind a pvclock scale. */
import { pvclockTscKhz, timeScale } from '../../src/num/index.ts';

/** Further than this from what the scale itself says the frequency is never, kHz. */
const ROUNDING_KHZ = 4;

/** The scale asked for last: a host's pages have one, or few. */
const last = { mul: 0, shift: 0, khz: undefined as number | undefined };

/** The frequency whose pvclock scale this is, kHz; `undefined` when no whole number of kHz has it. */
export function khzOfScale(mul: number, shift: number): number | undefined {
  if (mul !== last.mul || shift !== last.shift) {
    last.khz = search(mul, shift);
    last.mul = mul;
    last.shift = shift;
  }
  return last.khz;
}

function search(mul: number, shift: number): number | undefined {
  if (mul === 0 || shift < -31 || shift > 31) return undefined;
  const near = Number(pvclockTscKhz(mul, shift));
  for (let khz = near - ROUNDING_KHZ; khz <= near + ROUNDING_KHZ; khz++) {
    if (khz <= 0) continue;
    const scale = timeScale(1_000_000_000n, BigInt(khz) * 1000n);
    if (scale.mul === mul && scale.shift === shift) return khz;
  }
  return undefined;
}
