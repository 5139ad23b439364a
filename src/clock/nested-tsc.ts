/**
 * The TSC that L2 sees: L1's, scaled and offset once more.
 *
 * Both steps are taken in one by the hardware, so KVM composes the two ratios and the two offsets.
 * Kernels that do not scale for L2 add the offsets only.
 *
 * Source: `kvm_calc_nested_tsc_offset()`, `kvm_calc_nested_tsc_multiplier()`, arch/x86/kvm/x86.c;
 * `vmx_get_l2_tsc_multiplier()`, `svm_get_l2_tsc_multiplier()`.
 */
import {
  addU64,
  defaultTscRatio,
  nestedMultiplier,
  nestedOffset,
  VMX_TSC_FRAC_BITS,
} from '../num/index.ts';
import type { Ctx } from './context.ts';
import { hasTscControl } from './host-tsc.ts';
import type { VcpuState } from './vcpu-state.ts';

type Vcpu = Readonly<VcpuState>;

/** The host's virtualization is VMX; else it is SVM. */
export const isVmx = ({ host }: Ctx): boolean => host.tscScalingRatioFracBits === VMX_TSC_FRAC_BITS;

/** Whether L1 may have its guest's TSC scaled: the hardware can, and the kernel offers it. */
export const offersNestedScaling = (ctx: Ctx): boolean =>
  hasTscControl(ctx.host, ctx.switches) &&
  (ctx.switches.nestedScaling === 'vmx-svm' ||
    (ctx.switches.nestedScaling === 'vmx' && isVmx(ctx)));

/** The ratio from L1's TSC to L2's. */
function l2Multiplier(vcpu: Vcpu, ctx: Ctx): bigint {
  if (!offersNestedScaling(ctx)) return defaultTscRatio(ctx.host.tscScalingRatioFracBits);
  return isVmx(ctx) ? vcpu.l2TscMultiplier : vcpu.tscRatioMsr;
}

/** The offset from the host's TSC to L2's. */
export function nestedTscOffset(vcpu: Vcpu, ctx: Ctx): bigint {
  const { tscScalingRatioFracBits: fracBits } = ctx.host;
  const multiplier = l2Multiplier(vcpu, ctx);
  return multiplier === defaultTscRatio(fracBits)
    ? addU64(vcpu.l1TscOffset, vcpu.l2TscOffset)
    : nestedOffset(vcpu.l1TscOffset, vcpu.l2TscOffset, multiplier, fracBits);
}

/** The ratio from the host's TSC to L2's. */
export function nestedTscRatio(vcpu: Vcpu, ctx: Ctx): bigint {
  const { tscScalingRatioFracBits: fracBits } = ctx.host;
  const multiplier = l2Multiplier(vcpu, ctx);
  return multiplier === defaultTscRatio(fracBits)
    ? vcpu.l1TscScalingRatio
    : nestedMultiplier(vcpu.l1TscScalingRatio, multiplier, fracBits);
}

/** `tsc_offset` as L1's has just become another. */
export const currentTscOffset = (vcpu: Vcpu, ctx: Ctx): bigint =>
  vcpu.level === 'l2' ? nestedTscOffset(vcpu, ctx) : vcpu.l1TscOffset;

/** `tsc_scaling_ratio` as L1's has just become another. */
export const currentTscRatio = (vcpu: Vcpu, ctx: Ctx): bigint =>
  vcpu.level === 'l2' ? nestedTscRatio(vcpu, ctx) : vcpu.l1TscScalingRatio;
