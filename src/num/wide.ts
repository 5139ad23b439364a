/**
 * Products of 64 by 64 bits, without a 128-bit bigint.
 *
 * The plain `(a * b) >> 48n` allocates a 128-bit bigint on each call. Here the operands are split
 * into 32-bit limbs and every intermediate is wrapped in `asUintN(64, …)`, which lets V8 keep it in
 * one machine register.
 *
 * Three rules of that fast lane shape the code:
 * - A bigint that crosses a call which is not inlined is allocated. So the product is formed by a
 *   function without arguments and results, between the cells of a typed array, and what surrounds
 *   it is small enough to be inlined.
 * - A shift by a variable count leaves the lane. So a left shift is a multiplication by a power of
 *   two, and a right shift by k is the high half of a product with 2^(64−k).
 * - A u64 value that comes from one of two branches must not be shifted right: V8 11.3 (Node 20)
 *   dies compiling it ("Phi of kRepTagged (UnsignedBigInt64) cannot be changed to kRepWord64"). A
 *   caller's `x = c ? a : b` is such a value as soon as we are inlined. Passing it through a cell
 *   ends the merge, and wraps it to 64 bits as well.
 */
import { checkInt, checkU32 } from './range.ts';

const { asUintN } = BigInt;

const LOW32 = 0xffff_ffffn;
const TWO16 = 0x1_0000n;
const TWO32 = 0x1_0000_0000n;

/** 2^0 … 2^63. */
const POWERS = BigUint64Array.from({ length: 64 }, (_, k) => 1n << BigInt(k));

/**
 * What `multiply` works on: two factors (0, 1), the halves of their product (2 high, 3 low), and a
 * result (0). Nothing stays here between calls of the exported functions.
 */
const cell = new BigUint64Array(4);
/** Their halves, lower ones first (as this module requires of the platform). */
const half = new Int32Array(cell.buffer);

/** `cell[0] * cell[1]` in 128 bits, into cells 2 (high) and 3 (low). */
function multiply(): void {
  const x = cell[0]!;
  const y = cell[1]!;
  const xl = asUintN(64, x & LOW32);
  const xh = asUintN(64, x >> 32n);
  const yl = asUintN(64, y & LOW32);
  const yh = asUintN(64, y >> 32n);
  // No sum overflows: (2^32−1)² + 2·(2^32−1) = 2^64 − 1.
  const carry = asUintN(64, asUintN(64, xl * yl) >> 32n);
  const t = asUintN(64, carry + asUintN(64, xl * yh));
  const u = asUintN(64, asUintN(64, t & LOW32) + asUintN(64, xh * yl));
  const top = asUintN(64, asUintN(64, xh * yh) + asUintN(64, t >> 32n));
  cell[2] = asUintN(64, top + asUintN(64, u >> 32n));
  cell[3] = asUintN(64, x * y);
}

/** Whether factor 1 is 2^shift, so that factor 0 is the result: most guests' TSCs are not scaled. */
const isOne = (shift: number): boolean =>
  shift >= 32 && shift < 64 && half[2] === 0 && half[3] === 1 << (shift - 32);

/** Shifts `cell[0]` right by 1 … 63. */
function shiftRight(shift: number): void {
  cell[1] = POWERS[64 - shift]!;
  multiply();
  cell[0] = cell[2]!;
}

/** Bits `shift` … `shift`+63 of the product in cells 2 and 3, into cell 0. */
function takeWindow(shift: number): void {
  if (shift === 0) cell[0] = cell[3]!;
  else if (shift < 64) {
    const above = asUintN(64, cell[2]! * POWERS[64 - shift]!);
    cell[0] = cell[3]!;
    shiftRight(shift);
    cell[0] = asUintN(64, cell[0]! + above);
  } else {
    cell[0] = cell[2]!;
    shiftRight(shift - 64);
  }
}

/**
 * The same u64, safe for a caller to shift right although it came from one of several branches.
 *
 * @internal
 */
export function unmerged(value: bigint): bigint {
  cell[0] = value;
  return cell[0]!;
}

/**
 * `floor(a · b / 2^shift)` modulo 2^64, the product taken in full 128 bits.
 *
 * The kernel's `mul_u64_u64_shr()` (include/linux/math64.h), with which `kvm_scale_tsc()` scales a
 * TSC. Shifts of 32, 48 and 64 are the fastest: SVM's and VMX's ratios and Hyper-V's scale.
 *
 * @param a - u64, taken modulo 2^64.
 * @param b - u64, taken modulo 2^64.
 * @param shift - 0 … 127.
 * @throws RangeError when `shift` is out of range: the kernel's 128-bit shift is undefined there.
 */
export function mulU64U64Shr(a: bigint, b: bigint, shift: number): bigint {
  checkInt(shift, 0, 127, 'shift');
  cell[0] = a;
  cell[1] = b;
  if (!isOne(shift)) {
    multiply();
    if (shift === 48) cell[0] = asUintN(64, cell[2]! * TWO16) + asUintN(64, cell[3]! >> 48n);
    else if (shift === 32) cell[0] = asUintN(64, cell[2]! * TWO32) + asUintN(64, cell[3]! >> 32n);
    else if (shift === 64) cell[0] = cell[2]!;
    else takeWindow(shift);
  }
  // The one way out: of two, a caller would have a merged value (the third rule).
  return cell[0]!;
}

/**
 * `a · b / 2^shift` truncated **toward zero**, for signed `a`; modulo 2^64, as u64.
 *
 * The kernel's `mul_s64_u64_shr()` (include/linux/math64.h): it multiplies the magnitude and puts
 * the sign back. `asS64()` of the result is the signed value.
 *
 * @param a - s64, taken modulo 2^64.
 * @param b - u64, taken modulo 2^64.
 * @param shift - 0 … 127.
 * @throws RangeError when `shift` is out of range.
 */
export function mulS64U64Shr(a: bigint, b: bigint, shift: number): bigint {
  const negative = BigInt.asIntN(64, a) < 0n;
  const result = mulU64U64Shr(negative ? -a : a, b, shift);
  return unmerged(negative ? -result : result);
}

/**
 * Scales a difference of counter values: `delta · 2^shift · mul / 2^32`, modulo 2^64.
 *
 * The kernel's `pvclock_scale_delta()` (arch/x86/include/asm/pvclock.h). The shift comes first, so a
 * negative one drops the low bits of `delta` before the multiplication and a positive one loses its
 * high bits.
 *
 * @param delta - u64, in units of the source (TSC cycles, say), taken modulo 2^64.
 * @param mul - u32 fraction of 2^32.
 * @param shift - −63 … 63.
 * @returns u64 in units of the target (nanoseconds, say).
 * @throws RangeError when `mul` or `shift` is out of range.
 */
export function scaleDelta(delta: bigint, mul: number, shift: number): bigint {
  checkU32(mul, 'mul');
  checkInt(shift, -63, 63, 'shift');
  cell[0] = delta;
  if (shift === -1) cell[0] = asUintN(64, cell[0]! >> 1n);
  else if (shift > 0) cell[0] = asUintN(64, cell[0]! * POWERS[shift]!);
  else if (shift < 0) shiftRight(-shift);
  const d = cell[0]!;
  const m = BigInt(mul >>> 0);
  const low = asUintN(64, asUintN(64, d & LOW32) * m);
  const high = asUintN(64, asUintN(64, d >> 32n) * m);
  return asUintN(64, high + asUintN(64, low >> 32n));
}
