/**
 * The (shift, mul) pair with which a guest turns TSC cycles into nanoseconds: made from two
 * frequencies, and turned back into a frequency.
 */
import { checkInt, checkU32 } from './range.ts';
import { asU64 } from './u64.ts';

/** Nanoseconds in a second. */
export const NSEC_PER_SEC = 1_000_000_000n;

const U32_MAX = 0xffff_ffffn;
const BIT31 = 0x8000_0000n;
const TWO16 = 2 ** 16;
const TWO31 = 2 ** 31;
const TWO32 = 2 ** 32;
/** Numbers below this, doubled, are exact. */
const EXACT = 2 ** 52;

/** How to scale a count: shift first, then take `mul / 2^32` of it. */
export interface TimeScale {
  /** Power of two applied first; negative shifts right. */
  readonly shift: number;
  /** u32 fraction of 2^32. */
  readonly mul: number;
}

/**
 * The scale from counts at `baseHz` to counts at `scaledHz`.
 *
 * The kernel's `kvm_get_time_scale()` (arch/x86/kvm/x86.c). Bits shifted out of a frequency of more
 * than 32 bits are lost and the division truncates, so the clock it describes runs up to 2^−31
 * (0.47 ppb) slow and never fast.
 *
 * @param scaledHz - frequency of the result, Hz, u64: 10^9 to get nanoseconds.
 * @param baseHz - frequency of what is scaled, Hz, u64: that of the TSC.
 * @throws RangeError when either is 0 or `scaledHz` is 2^63, for which the kernel loops for ever.
 */
export function timeScale(scaledHz: bigint, baseHz: bigint): TimeScale {
  const scaled = Number(asU64(scaledHz));
  const base = Number(asU64(baseHz));
  return scaled > 0 && scaled < EXACT && base > 0 && base < EXACT
    ? exactScale(scaled, base)
    : wideScale(asU64(scaledHz), asU64(baseHz));
}

/** Frequencies of real machines, whose doubles and halves are whole numbers that a double holds. */
function exactScale(scaledHz: number, baseHz: number): TimeScale {
  let scaled = scaledHz;
  let base = baseHz;
  let shift = 0;
  while (base > scaledHz * 2 || base >= TWO32) {
    base = Math.floor(base / 2);
    shift -= 1;
  }
  while (base <= scaled || scaled >= TWO32) {
    if (scaled >= TWO32 || base >= TWO31) scaled = Math.floor(scaled / 2);
    else base *= 2;
    shift += 1;
  }
  // 32 bits of the quotient in two halves: no product or dividend has more than 53.
  const high = Math.floor((scaled * TWO16) / base);
  const rest = scaled * TWO16 - high * base;
  return { shift, mul: high * TWO16 + Math.floor((rest * TWO16) / base) };
}

function wideScale(scaledHz: bigint, baseHz: bigint): TimeScale {
  let scaled = scaledHz;
  let base = baseHz;
  let shift = 0;
  const twice = asU64(scaled << 1n);
  while (base > twice || base > U32_MAX) {
    base >>= 1n;
    shift -= 1;
  }
  if (base === 0n) {
    throw new RangeError(
      `timeScale(${scaledHz}, ${baseHz}): kvm_get_time_scale() never returns, ` +
        'because the base frequency is or becomes 0 and doubling it gets nowhere',
    );
  }
  while (base <= scaled || scaled > U32_MAX) {
    if (scaled > U32_MAX || base >= BIT31) scaled >>= 1n;
    else base <<= 1n;
    shift += 1;
  }
  return { shift, mul: Number((scaled << 32n) / base) };
}

/**
 * The TSC frequency a pvclock scale stands for.
 *
 * The `hvclock_to_hz()` of the KVM clock series (arch/x86/kvm/x86.c): the inverse of `timeScale`
 * for 10^9, up to rounding.
 *
 * @param mul - u32, `tsc_to_system_mul`.
 * @param shift - s8, `tsc_shift`.
 * @returns Hz, u64; 0 when the shift leaves nothing.
 * @throws RangeError when an argument is out of range, or `mul` is 0: the kernel would loop for
 * ever stripping its zero bits.
 */
export function hvclockToHz(mul: number, shift: number): bigint {
  checkU32(mul, 'mul');
  checkInt(shift, -128, 127, 'shift');
  if (mul === 0) {
    throw new RangeError('hvclockToHz: mul 0 has no lowest set bit, the kernel never returns');
  }
  const zeros = 31 - Math.clz32(mul & -mul);
  const right = shift + 2 + zeros;
  if (right >= 64 || right <= -64) return 0n;
  const hz = (NSEC_PER_SEC << 34n) / BigInt(mul >>> zeros);
  return right > 0 ? hz >> BigInt(right) : asU64(hz << BigInt(-right));
}

/**
 * The TSC frequency a guest derives from its pvclock page.
 *
 * Linux's `pvclock_tsc_khz()` (arch/x86/kernel/pvclock.c), which truncates: a 2.5 GHz page reads as
 * 2,499,998 kHz.
 *
 * @param mul - u32, `tsc_to_system_mul`.
 * @param shift - s8, −63 … 63, `tsc_shift`.
 * @returns kHz, u64.
 * @throws RangeError when an argument is out of range, or `mul` is 0: the guest divides by it.
 */
export function pvclockTscKhz(mul: number, shift: number): bigint {
  checkU32(mul, 'mul');
  checkInt(shift, -63, 63, 'shift');
  if (mul === 0) throw new RangeError('pvclockTscKhz: mul is 0 and the guest divides by it');
  const khz = (1_000_000n << 32n) / BigInt(mul);
  return shift < 0 ? asU64(khz << BigInt(-shift)) : khz >> BigInt(shift);
}
