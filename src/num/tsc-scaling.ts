/**
 * TSC scaling: how a host TSC becomes a guest's, and that a nested guest's.
 *
 * A ratio is a fixed-point number with 48 fractional bits on VMX and 32 on SVM.
 */
import { checkInt, checkU32 } from './range.ts';
import { addU64 } from './u64.ts';
import { mulS64U64Shr, mulU64U64Shr } from './wide.ts';

/** Fractional bits of a VMX TSC multiplier. */
export const VMX_TSC_FRAC_BITS = 48;
/** Fractional bits of an SVM TSC ratio. */
export const SVM_TSC_FRAC_BITS = 32;
/** Limit of a VMX ratio, itself excluded (`kvm_caps.max_tsc_scaling_ratio`). */
export const VMX_MAX_TSC_RATIO = 0xffff_ffff_ffff_ffffn;
/** Limit of an SVM ratio, itself excluded. */
export const SVM_MAX_TSC_RATIO = 0xff_ffff_ffffn;
/** How far a requested frequency may be off before KVM scales: `tsc_tolerance_ppm`'s default. */
export const TSC_TOLERANCE_PPM = 250;

/** The ratio that means "no scaling": 1.0 with this many fractional bits. */
export const defaultTscRatio = (fracBits: number): bigint => 1n << BigInt(fracBits);

/**
 * `khz` changed by `ppm` parts per million, truncated to whole kHz and to 32 bits.
 *
 * The kernel's `adjust_tsc_khz()` (arch/x86/kvm/x86.c).
 *
 * @param khz - u32.
 * @param ppm - s32.
 * @throws RangeError when an argument is out of range.
 */
export function adjustTscKhz(khz: number, ppm: number): number {
  checkU32(khz, 'khz');
  checkInt(ppm, -0x8000_0000, 0x7fff_ffff, 'ppm');
  const factor = BigInt((1_000_000 + ppm) | 0);
  const product = BigInt.asUintN(64, BigInt(khz) * factor);
  return Number(BigInt.asUintN(32, product / 1_000_000n));
}

/** What the host can do. */
export interface TscRatioOptions {
  /** Whether the hardware scales (`kvm_caps.has_tsc_control`); default true. */
  readonly hasTscControl?: boolean;
  /** First ratio refused; default: that of the vendor with these fractional bits. */
  readonly maxRatio?: bigint;
  /** Tolerance, s32 parts per million; default `TSC_TOLERANCE_PPM`. */
  readonly tolerancePpm?: number;
}

/** What every outcome tells. */
interface TscRatioBand {
  /** Lowest frequency that needs no scaling, kHz. */
  readonly threshLo: number;
  /** Highest frequency that needs no scaling, kHz. */
  readonly threshHi: number;
  /** Whether the requested frequency lies outside the band. */
  readonly useScaling: boolean;
}

/**
 * What setting a guest's TSC frequency does.
 *
 * With `ok: true`:
 * - `unscaled`: inside the band; `ratio` is the default one. The guest's TSC keeps the host's rate.
 * - `scaled`: `ratio` is new.
 * - `catchup`: faster than the host without hardware scaling; the vCPU keeps its ratio and its TSC
 *   offset is pushed forward at each clock update (`tsc_catchup` and `tsc_always_catchup`).
 *
 * With `ok: false` the kernel returns −1:
 * - `zero-khz`: no frequency; the ratio becomes the default one, `virtual_tsc_khz` keeps its value.
 * - `no-tsc-control`: slower than the host without hardware scaling. The vCPU keeps its ratio,
 *   which is 0 right after its creation.
 * - `ratio-out-of-range`: `ratio` is what the hardware cannot do; the vCPU keeps its own.
 *
 * After all but `zero-khz` the virtual frequency and its scale have been overwritten already, also
 * when the call then fails.
 */
export type TscRatio = TscRatioBand &
  (
    | { readonly ok: true; readonly outcome: 'unscaled' | 'scaled'; readonly ratio: bigint }
    | { readonly ok: true; readonly outcome: 'catchup'; readonly ratio: null }
    | {
        readonly ok: false;
        readonly outcome: 'zero-khz' | 'ratio-out-of-range';
        readonly ratio: bigint;
      }
    | { readonly ok: false; readonly outcome: 'no-tsc-control'; readonly ratio: null }
  );

function maxRatioOf(fracBits: number): bigint {
  if (fracBits === VMX_TSC_FRAC_BITS) return VMX_MAX_TSC_RATIO;
  if (fracBits === SVM_TSC_FRAC_BITS) return SVM_MAX_TSC_RATIO;
  throw new RangeError(`maxRatio: needed with ${fracBits} fractional bits, neither VMX nor SVM`);
}

/** `floor(userKhz · 2^fracBits / tscKhz)`, as far as the kernel's division can do it. */
function divideRatio(userKhz: number, tscKhz: number, fracBits: number): bigint {
  if (tscKhz === 0) throw new RangeError('tscRatio: tscKhz is 0 and the kernel divides by it');
  const ratio = (BigInt(userKhz) << BigInt(fracBits)) / BigInt(tscKhz);
  if (BigInt.asUintN(64, ratio) !== ratio) {
    throw new RangeError(
      `tscRatio: ${userKhz} / ${tscKhz} kHz needs more than 64 bits, the kernel's divide faults`,
    );
  }
  return ratio;
}

/**
 * The scaling ratio for a guest that asks for `userKhz` on a host of `tscKhz`.
 *
 * The kernel's `kvm_set_tsc_khz()` and `set_tsc_khz()` (arch/x86/kvm/x86.c), without the virtual
 * scale, which is `timeScale(userKhz · 1000, 10^9)`.
 *
 * @param userKhz - requested frequency, u32 kHz.
 * @param tscKhz - the host's frequency, u32 kHz.
 * @param fracBits - `VMX_TSC_FRAC_BITS` or `SVM_TSC_FRAC_BITS`.
 * @throws RangeError when an argument is out of range, and where the kernel's division faults: a
 * host of 0 kHz, or a quotient of more than 64 bits.
 */
export function tscRatio(
  userKhz: number,
  tscKhz: number,
  fracBits: number,
  options: TscRatioOptions = {},
): TscRatio {
  checkU32(userKhz, 'userKhz');
  checkU32(tscKhz, 'tscKhz');
  checkInt(fracBits, 0, 63, 'fracBits');
  const maxRatio = options.maxRatio ?? maxRatioOf(fracBits);
  const tolerance = options.tolerancePpm ?? TSC_TOLERANCE_PPM;
  const threshLo = adjustTscKhz(tscKhz, -tolerance);
  const threshHi = adjustTscKhz(tscKhz, tolerance);
  const useScaling = userKhz !== 0 && (userKhz < threshLo || userKhz > threshHi);
  const unscaled = defaultTscRatio(fracBits);
  if (userKhz === 0)
    return { ok: false, outcome: 'zero-khz', ratio: unscaled, threshLo, threshHi, useScaling };
  if (!useScaling)
    return { ok: true, outcome: 'unscaled', ratio: unscaled, threshLo, threshHi, useScaling };
  if (options.hasTscControl === false) {
    return userKhz > tscKhz
      ? { ok: true, outcome: 'catchup', ratio: null, threshLo, threshHi, useScaling }
      : { ok: false, outcome: 'no-tsc-control', ratio: null, threshLo, threshHi, useScaling };
  }
  const ratio = divideRatio(userKhz, tscKhz, fracBits);
  if (ratio === 0n || ratio >= maxRatio) {
    return { ok: false, outcome: 'ratio-out-of-range', ratio, threshLo, threshHi, useScaling };
  }
  return { ok: true, outcome: 'scaled', ratio, threshLo, threshHi, useScaling };
}

/**
 * A host TSC value (or frequency) as a guest with this ratio has it, before its offset:
 * `floor(tsc · ratio / 2^fracBits)`, modulo 2^64.
 *
 * The kernel's `kvm_scale_tsc()` (arch/x86/kvm/x86.c). A ratio of 0, which a vCPU has until its
 * frequency was set, gives 0.
 *
 * @param tsc - u64.
 * @param ratio - u64 with `fracBits` fractional bits.
 * @param fracBits - 0 … 127: `VMX_TSC_FRAC_BITS` or `SVM_TSC_FRAC_BITS`.
 * @throws RangeError when `fracBits` is out of range.
 */
export const scaleTsc = (tsc: bigint, ratio: bigint, fracBits: number): bigint =>
  mulU64U64Shr(tsc, ratio, fracBits);

/**
 * The ratio from host to L2, given those from host to L1 and from L1 to L2.
 *
 * The kernel's `kvm_calc_nested_tsc_multiplier()` (arch/x86/kvm/x86.c).
 *
 * @param l1Multiplier - u64 with `fracBits` fractional bits.
 * @param l2Multiplier - u64 with `fracBits` fractional bits.
 * @param fracBits - `VMX_TSC_FRAC_BITS` or `SVM_TSC_FRAC_BITS`.
 * @throws RangeError when `fracBits` is out of range.
 */
export const nestedMultiplier = (
  l1Multiplier: bigint,
  l2Multiplier: bigint,
  fracBits: number,
): bigint => mulU64U64Shr(l1Multiplier, l2Multiplier, fracBits);

/**
 * The TSC offset from host to L2: L1's, scaled toward zero by L2's ratio, plus L2's; modulo 2^64.
 *
 * The kernel's `kvm_calc_nested_tsc_offset()` (arch/x86/kvm/x86.c). Used with `nestedMultiplier` it
 * can differ by some cycles from scaling twice.
 *
 * @param l1Offset - cycles of L1, s64 or u64.
 * @param l2Offset - cycles of L2, s64 or u64.
 * @param l2Multiplier - u64 with `fracBits` fractional bits.
 * @param fracBits - `VMX_TSC_FRAC_BITS` or `SVM_TSC_FRAC_BITS`.
 * @returns cycles of L2, u64.
 * @throws RangeError when `fracBits` is out of range.
 */
export const nestedOffset = (
  l1Offset: bigint,
  l2Offset: bigint,
  l2Multiplier: bigint,
  fracBits: number,
): bigint => addU64(mulS64U64Shr(l1Offset, l2Multiplier, fracBits), l2Offset);
