/**
 * How KVM relates a vCPU's TSC to time: what the TSC should read at an instant, and whether a value
 * written to it is meant to agree with the other vCPUs'.
 */
import { checkU32 } from './range.ts';
import { addU64, asS64, asU64 } from './u64.ts';
import { scaleDelta, unmerged } from './wide.ts';

/** Microseconds in a second. */
const USEC_PER_SEC = 1_000_000n;

/**
 * Nanoseconds as cycles of a guest's TSC.
 *
 * The kernel's `nsec_to_cycles()` (arch/x86/kvm/x86.c).
 *
 * @param ns - u64; a negative difference becomes one near 2^64, as in the kernel.
 * @param mul - u32, the vCPU's `virtual_tsc_mult`.
 * @param shift - the vCPU's `virtual_tsc_shift`.
 * @returns cycles, u64.
 * @throws RangeError when `mul` or `shift` is out of range.
 */
export const nsecToCycles = (ns: bigint, mul: number, shift: number): bigint =>
  scaleDelta(ns, mul, shift);

/** The instant a vCPU's TSC was last synchronised at, and its rate. */
export interface TscSyncPoint {
  /** Host time of the write, ns, u64 (`this_tsc_nsec`). */
  readonly thisTscNsec: bigint;
  /** Value of the TSC then, cycles, u64 (`this_tsc_write`). */
  readonly thisTscWrite: bigint;
  /** Nanoseconds to cycles, u32 (`virtual_tsc_mult`). */
  readonly virtualTscMult: number;
  /** Nanoseconds to cycles (`virtual_tsc_shift`). */
  readonly virtualTscShift: number;
}

/**
 * What happens to an instant before the synchronisation point: `legacy` scales the difference
 * modulo 2^64 (all merged kernels: garbage near 2^64); `signed` scales its magnitude and subtracts
 * (the KVM clock series).
 */
export type GuestTscVariant = 'legacy' | 'signed';

/**
 * What a vCPU's TSC should read at a host time, by its nominal frequency.
 *
 * The kernel's `compute_guest_tsc()` (arch/x86/kvm/x86.c).
 *
 * @param kernelNs - host time, ns, s64.
 * @returns cycles, u64.
 * @throws RangeError when the multiplier or the shift is out of range.
 */
export function computeGuestTsc(
  kernelNs: bigint,
  sync: TscSyncPoint,
  variant: GuestTscVariant = 'legacy',
): bigint {
  const { virtualTscMult: mul, virtualTscShift: shift, thisTscWrite } = sync;
  const elapsed = asS64(kernelNs - sync.thisTscNsec);
  return unmerged(
    variant === 'signed' && elapsed < 0n
      ? thisTscWrite - scaleDelta(-elapsed, mul, shift)
      : thisTscWrite + scaleDelta(elapsed, mul, shift),
  );
}

/** A write to a vCPU's TSC, and the one before it in the VM. */
export interface TscWrite {
  /** Value written, cycles, u64. */
  readonly data: bigint;
  /** Value last written in this VM, cycles, u64 (`last_tsc_write`). */
  readonly lastTscWrite: bigint;
  /** Host time since then, ns, u64. */
  readonly elapsedNs: bigint;
  /** The vCPU's frequency, u32 kHz; 0 closes the window. */
  readonly virtualTscKhz: number;
  /** Nanoseconds to cycles, u32; not used by the `usdiff` form. */
  readonly virtualTscMult: number;
  /** Nanoseconds to cycles; not used by the `usdiff` form. */
  readonly virtualTscShift: number;
}

/** Whether a write matches, by the value expected. */
export interface CycleMatch {
  readonly synchronizing: boolean;
  /** What the TSC would read by now, cycles, u64. */
  readonly tscExp: bigint;
}

/** Whether a write matches, by the time between value and expectation. */
export interface UsdiffMatch {
  readonly synchronizing: boolean;
  /** Distance, µs, s64: 1,000,000 when the window is closed. */
  readonly usdiff: bigint;
}

function cycleMatch(write: TscWrite): CycleMatch {
  const { virtualTscKhz, virtualTscMult, virtualTscShift } = write;
  checkU32(virtualTscKhz, 'virtualTscKhz');
  const data = asU64(write.data);
  const elapsed = nsecToCycles(write.elapsedNs, virtualTscMult, virtualTscShift);
  const tscExp = addU64(write.lastTscWrite, elapsed);
  const hz = BigInt(virtualTscKhz) * 1000n;
  const synchronizing =
    virtualTscKhz !== 0 && data < addU64(tscExp, hz) && addU64(data, hz) > tscExp;
  return { synchronizing, tscExp };
}

function usdiffMatch(write: TscWrite): UsdiffMatch {
  checkU32(write.virtualTscKhz, 'virtualTscKhz');
  if (write.virtualTscKhz === 0) return { synchronizing: false, usdiff: USEC_PER_SEC };
  const cycles = asS64(write.data - write.lastTscWrite);
  const written = asS64(cycles * 1000n) / BigInt(write.virtualTscKhz);
  const difference = asS64(written - asU64(write.elapsedNs) / 1000n);
  const usdiff = difference < 0n ? asS64(-difference) : difference;
  return { synchronizing: usdiff < USEC_PER_SEC, usdiff };
}

/**
 * Whether a value written to a TSC lies within a second of what the VM's clock would have it be,
 * and so is taken as an attempt to synchronise.
 *
 * From the kernel's `kvm_synchronize_tsc()`, in older kernels `kvm_write_tsc()`
 * (arch/x86/kvm/x86.c). Only the window: that a written 0 always matches in later kernels, and that
 * v6.7+ looks at the window only after user space has set a TSC, is the caller's to decide.
 *
 * @param form - `cycles`: sums wrap at 2^64, so near the ends of the range the window differs from
 * a signed distance. `usdiff`: v4.4's, in whole microseconds; the elapsed time is divided unsigned.
 * @throws RangeError when frequency, multiplier or shift is out of range.
 */
export function tscMatchWindow(write: TscWrite, form?: 'cycles'): CycleMatch;
export function tscMatchWindow(write: TscWrite, form: 'usdiff'): UsdiffMatch;
export function tscMatchWindow(
  write: TscWrite,
  form: 'cycles' | 'usdiff' = 'cycles',
): CycleMatch | UsdiffMatch {
  return form === 'usdiff' ? usdiffMatch(write) : cycleMatch(write);
}
