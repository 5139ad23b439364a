/**
 * Why a masterclock update steps even on a host that nobody steers.
 *
 * A new reference is read from MONOTONIC_RAW, whose multiplier has some 23 significant bits; the
 * guest extrapolates with the page's, which has 32. Both are made from one frequency in kHz, so
 * the difference of the two rates, up to some 150 ppb, follows from the page alone.
 */
import { clocksourceMultShift, scaleDelta } from '../../src/num/index.ts';
import type { Page } from '../guest-clock.ts';
import { scaledHz } from '../host-clock.ts';

/** A page's frequency, and MONOTONIC_RAW's scale on a host whose TSC has it. */
interface RawClock {
  readonly khz: number;
  readonly mult: bigint;
  readonly shift: bigint;
}

/** No TSC is slower, no clocksource faster. */
const LEAST_KHZ = 1000;
const MOST_KHZ = 0xffff_ffff;

/** The last page scale asked for: nearly all pages of a recording have one. */
let memo: { mul: number; shift: number; clock: RawClock | undefined } | undefined;

/** `undefined` where the page's scale stands for no frequency of a TSC. */
export function rawClock({ tscToSystemMul: mul, tscShift: shift }: Page): RawClock | undefined {
  if (memo === undefined || memo.mul !== mul || memo.shift !== shift) {
    memo = { mul, shift, clock: makeClock(mul, shift) };
  }
  return memo.clock;
}

function makeClock(mul: number, shift: number): RawClock | undefined {
  const hz = scaledHz(mul, shift);
  if (hz === undefined) return undefined;
  const khz = Number((hz + 500n) / 1000n);
  if (khz < LEAST_KHZ || khz > MOST_KHZ) return undefined;
  const raw = clocksourceMultShift(khz);
  return { khz, mult: BigInt(raw.mult), shift: BigInt(raw.shift) };
}

/**
 * What a new reference from MONOTONIC_RAW moves a page by after `cycles` host cycles, ns:
 * RAW(cycles) − pvclock(cycles), for a guest whose TSC is not scaled. `undefined` where that can't
 * be told. Source: `clocks_calc_mult_shift()` as the TSC clocksource is registered.
 */
export function rawResidue(page: Page, cycles: bigint): bigint | undefined {
  if (cycles < 0n) return undefined;
  const clock = rawClock(page);
  if (clock === undefined) return undefined;
  const raw = (cycles * clock.mult) >> clock.shift;
  return raw - scaleDelta(cycles, page.tscToSystemMul, page.tscShift);
}
