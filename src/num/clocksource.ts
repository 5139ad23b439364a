/** The host's TSC clocksource: why CLOCK_MONOTONIC_RAW is not the TSC at its nominal frequency. */
import { checkU32 } from './range.ts';

/** How a clocksource turns cycles into nanoseconds: `(cycles · mult) >> shift`. */
export interface ClocksourceScale {
  /** u32, nanoseconds a cycle, shifted. */
  readonly mult: number;
  readonly shift: number;
}

/** The kernel scales kHz to a million per millisecond ... */
const NSEC_PER_MSEC = 1_000_000n;
/** ... and wants ten minutes of cycles, here in milliseconds, to convert without overflow. */
const MAX_MSEC = 600_000n;

const bitLength = (value: bigint): number => (value === 0n ? 0 : value.toString(2).length);

/** Whether NTP could not slew `mult` by 11 % within 32 bits. */
const overflowsWhenSlewed = (mult: bigint): boolean => mult + (mult * 11n) / 100n > 0xffff_ffffn;

/**
 * The multiplier and shift with which the TSC is registered as a clocksource.
 *
 * The kernel's `clocks_calc_mult_shift()` followed by `__clocksource_update_freq_scale()`
 * (kernel/time/clocksource.c). The multiplier has some 23 bits, so CLOCK_MONOTONIC_RAW runs up to
 * 155 ppb off the frequency it was given.
 *
 * @param tscKhz - u32 kHz.
 * @throws RangeError when `tscKhz` is no u32, or is 0: the kernel would divide by it.
 */
export function clocksourceMultShift(tscKhz: number): ClocksourceScale {
  checkU32(tscKhz, 'tscKhz');
  if (tscKhz === 0) {
    throw new RangeError('clocksourceMultShift: tscKhz is 0 and the kernel divides by it');
  }
  const khz = BigInt(tscKhz);
  const limit = 1n << BigInt(32 - bitLength((MAX_MSEC * khz) >> 32n));
  const multAt = (sft: number): bigint => ((NSEC_PER_MSEC << BigInt(sft)) + khz / 2n) / khz;
  let shift = 32;
  let mult = multAt(shift);
  while (mult >= limit) {
    shift -= 1;
    mult = multAt(shift);
  }
  while (overflowsWhenSlewed(mult)) {
    mult >>= 1n;
    shift -= 1;
  }
  return { mult: Number(mult), shift };
}
