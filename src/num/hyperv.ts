/** Hyper-V's reference TSC page: the pvclock's rate and reference in units of 100 ns. */
import { PVCLOCK_TSC_STABLE_BIT, type PvclockReference } from './pvclock.ts';
import { checkInt, checkU32 } from './range.ts';
import { addU64, asS64, asU64 } from './u64.ts';
import { mulU64U64Shr } from './wide.ts';

/** Nanoseconds in a tick of Hyper-V's reference time. */
const NSEC_PER_TICK = 100n;

/** What KVM makes of a pvclock for Hyper-V guests. */
export interface HvTscPage {
  /** False: the clock cannot be expressed, and the kernel leaves scale and offset as they were. */
  readonly ok: boolean;
  /** Ticks a cycle, u64 fraction of 2^64; 0 when not ok. */
  readonly tscScale: bigint;
  /** Ticks at TSC 0, s64; 0 when not ok. */
  readonly tscOffset: bigint;
}

const FAILED: HvTscPage = Object.freeze({ ok: false, tscScale: 0n, tscOffset: 0n });

/**
 * Scale and offset of the reference TSC page for a pvclock.
 *
 * The kernel's `compute_tsc_page_parameters()` (arch/x86/kvm/hyperv.c). It fails unless the pvclock
 * is stable and counts less than a tick a cycle. `systemTime` is divided unsigned: one just below
 * zero gives an offset of some 1.8e17 ticks.
 *
 * @param pvclock - the page just computed, with its flags.
 * @throws RangeError when a stable page's multiplier is no u32 or its shift no s8, or is above 31,
 * where the kernel would shift 1 out of 64 bits, which C leaves undefined. (A limit of the multiplier
 * that has left 64 bits, as with shifts below −25, is taken modulo 2^64 and soon refuses everything.)
 */
export function hvTscPage(pvclock: PvclockReference & { readonly flags: number }): HvTscPage {
  if ((pvclock.flags & PVCLOCK_TSC_STABLE_BIT) === 0) return FAILED;
  const { tscToSystemMul, tscShift } = pvclock;
  checkU32(tscToSystemMul, 'tscToSystemMul');
  checkInt(tscShift, -128, 31, 'tscShift');
  const mul = BigInt(tscToSystemMul);
  if (mul >= asU64(NSEC_PER_TICK << BigInt(32 - tscShift))) return FAILED;
  const tscScale = (mul << BigInt(32 + tscShift)) / NSEC_PER_TICK;
  const elapsed = mulU64U64Shr(pvclock.tscTimestamp, tscScale, 64);
  return {
    ok: true,
    tscScale,
    tscOffset: asS64(asU64(pvclock.systemTime) / NSEC_PER_TICK - elapsed),
  };
}

/**
 * What a Hyper-V guest reads from its reference TSC page.
 *
 * The kernel's `get_time_ref_counter()` (arch/x86/kvm/hyperv.c) while the page is valid.
 *
 * @param tsc - guest TSC, cycles, u64.
 * @param tscScale - u64, from `hvTscPage`.
 * @param tscOffset - s64 or u64, from `hvTscPage`.
 * @returns ticks of 100 ns, u64.
 */
export const hvReferenceTime = (tsc: bigint, tscScale: bigint, tscOffset: bigint): bigint =>
  addU64(mulU64U64Shr(tsc, tscScale, 64), tscOffset);
