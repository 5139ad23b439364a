/** The pvclock: a reference instant and a rate, from which a guest reads its time. */
import { addU64, subU64 } from './u64.ts';
import { scaleDelta } from './wide.ts';

/** Flag: all vCPUs' pages describe one clock, no clamping needed. */
export const PVCLOCK_TSC_STABLE_BIT = 1 << 0;
/** Flag: the host stopped the guest; silences its watchdogs. */
export const PVCLOCK_GUEST_STOPPED = 1 << 1;
/** Flag of v4.2 only: the clock counts from 0. Nothing sets it any more. */
export const PVCLOCK_COUNTS_FROM_ZERO = 1 << 2;

/** The part of a pvclock page that says what time it is. */
export interface PvclockReference {
  /** Guest TSC of the reference instant, cycles, u64. */
  readonly tscTimestamp: bigint;
  /** Guest time of that instant, ns, u64. */
  readonly systemTime: bigint;
  /** u32 fraction of 2^32: cycles to nanoseconds. */
  readonly tscToSystemMul: number;
  /** s8, applied to the cycles first. */
  readonly tscShift: number;
}

/** A pvclock page, `struct pvclock_vcpu_time_info` (arch/x86/include/asm/pvclock-abi.h). */
export interface PvclockPage extends PvclockReference {
  /** u32; odd while the host writes. */
  readonly version: number;
  /** u8: `PVCLOCK_TSC_STABLE_BIT`, `PVCLOCK_GUEST_STOPPED`. */
  readonly flags: number;
}

/**
 * What a guest reads from a page at one value of its TSC.
 *
 * Linux's `__pvclock_read_cycles()` (arch/x86/include/asm/pvclock.h). A TSC before the reference is
 * not guarded against: the difference wraps and the clock leaps ahead by centuries.
 *
 * @param tsc - guest TSC, cycles, u64.
 * @returns ns, u64.
 * @throws RangeError when the page's multiplier is no u32 or its shift is outside −63 … 63.
 */
export function pvclockRead(page: PvclockReference, tsc: bigint): bigint {
  const delta = subU64(tsc, page.tscTimestamp);
  return addU64(page.systemTime, scaleDelta(delta, page.tscToSystemMul, page.tscShift));
}
