/**
 * L1 runs L2 and gets it back: what becomes of the TSC, and which entries are refused.
 *
 * An entry that fails a check never gets a TSC of its own. On VMX it can also fail after vmcs02 was
 * prepared; KVM then takes L2's offset off again without regard to scaling, and leaves the ratio. The
 * hardware does not see those two numbers, as it goes on with vmcs01; an emulated read of the TSC
 * does, until L1's offset or ratio is next written or L2 next entered.
 *
 * Source: `nested_vmx_enter_non_root_mode()`, `nested_vmx_vmexit()`, arch/x86/kvm/vmx/nested.c;
 * `nested_svm_vmrun()`, `nested_vmcb02_prepare_control()`, arch/x86/kvm/svm/nested.c;
 * MSR_AMD64_TSC_RATIO in arch/x86/kvm/svm/svm.c.
 */
import { defaultTscRatio, subU64 } from '../num/index.ts';
import { type Ctx, inputOf, type VcpuGuard, type VcpuRecipe } from './context.ts';
import { isVmx, nestedTscOffset, nestedTscRatio, offersNestedScaling } from './nested-tsc.ts';
import type { VcpuState } from './vcpu-state.ts';

const entry = (ctx: Ctx) => inputOf(ctx, 'kvm_nested_vmenter');

const VALID = 1 << 31;
const EXCEPTION = 3;
/** External interrupt, NMI, exception, software interrupt; the other four are reserved. */
const TYPES: readonly number[] = [0, 2, EXCEPTION, 4];
const NMI_VECTOR = 2;
/**
 * Exceptions that every guest has, #DE to #SX. #CP (21), of guests with shadow stacks, and #VC (29), of
 * SEV-ES guests, are none here: nothing tells that a guest is either.
 */
const EXCEPTIONS: readonly number[] = [
  0, 1, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14, 16, 17, 18, 19, 28, 30,
];

/**
 * Whether EVENTINJ is one that VMRUN refuses.
 *
 * Of the patch of 2020 this is what all its postings but one say: the third lost parentheses, and
 * would have refused vectors above 31 of any type, external interrupts among them.
 */
function isEventInconsistent(eventInj: number, ctx: Ctx): boolean {
  const { eventInjCheck } = ctx.switches;
  if (eventInjCheck === 'none' || (eventInj & VALID) === 0) return false;
  const type = (eventInj >>> 8) & 7;
  const vector = eventInj & 0xff;
  if (!TYPES.includes(type)) return true;
  if (type !== EXCEPTION) return false;
  return eventInjCheck === 'merged'
    ? !EXCEPTIONS.includes(vector)
    : vector === NMI_VECTOR || vector > 31;
}

/** A multiplier that vmcs12 may not have: 0, or any where scaling is not offered. */
function isMultiplierRefused(ctx: Ctx): boolean {
  const { tscMultiplier } = entry(ctx);
  return tscMultiplier !== undefined && (tscMultiplier === 0n || !offersNestedScaling(ctx));
}

/** VMX: "VM entry with invalid control field(s)". */
const INVALID_CONTROL_FIELD = 7n;
/** VMX: exit reason 33, VM-entry failure due to invalid guest state. */
const INVALID_STATE_EXIT = 0x8000_0021n;
/** SVM_EXIT_ERR. */
const VMEXIT_INVALID = -1n;

function tell(self: Readonly<VcpuState>, outcome: string, code: bigint, ctx: Ctx): void {
  ctx.out.emit({ type: 'nested_result', vcpu: self.vcpuId, outcome, code, vm: ctx.vmId });
}

/** What vmcs12 or vmcb12 asks for. */
function takeRequest(self: VcpuState, ctx: Ctx): void {
  const { tscOffset, tscMultiplier, noTscOffsetting } = entry(ctx);
  const none = defaultTscRatio(ctx.host.tscScalingRatioFracBits);
  const counts = noTscOffsetting !== true;
  self.l2TscOffset = counts ? tscOffset : 0n;
  self.l2TscMultiplier = counts ? (tscMultiplier ?? none) : none;
}

/** The vCPU is L1's again. */
function restoreL1(self: VcpuState): void {
  self.tscOffset = self.l1TscOffset;
  self.tscScalingRatio = self.l1TscScalingRatio;
}

export const nestedGuards = {
  nestedEntryIsRefused: (_self, ctx) =>
    isVmx(ctx) ? isMultiplierRefused(ctx) : isEventInconsistent(entry(ctx).eventInj ?? 0, ctx),
  nestedEntryFails: (_self, ctx) => entry(ctx).badGuestState === true,
} satisfies Record<string, VcpuGuard>;

export const nestedRecipes = {
  refuseNestedEntry: (self, ctx) => {
    if (isVmx(ctx)) tell(self, 'VMfailValid', INVALID_CONTROL_FIELD, ctx);
    else tell(self, 'VMEXIT_INVALID', VMEXIT_INVALID, ctx);
  },
  failNestedEntry: (self, ctx) => {
    takeRequest(self, ctx);
    self.tscScalingRatio = nestedTscRatio(self, ctx);
    self.tscOffset = subU64(nestedTscOffset(self, ctx), self.l2TscOffset);
    tell(self, 'entry failure', INVALID_STATE_EXIT, ctx);
  },
  enterL2: (self, ctx) => {
    takeRequest(self, ctx);
    self.tscOffset = nestedTscOffset(self, ctx);
    self.tscScalingRatio = nestedTscRatio(self, ctx);
    tell(self, 'entered', 0n, ctx);
  },
  leaveL2: restoreL1,
  /** While L2 runs only the ratio is composed anew; its offset waits for the next VMRUN. */
  storeTscRatioMsr: (self, ctx) => {
    self.tscRatioMsr = inputOf(ctx, 'wrmsr', 'KVM_SET_MSRS').data;
    if (self.level === 'l2') self.tscScalingRatio = nestedTscRatio(self, ctx);
  },
} satisfies Record<string, VcpuRecipe>;

/** Bits of MSR_AMD64_TSC_RATIO beyond eight integer and 32 fractional ones. */
const TSC_RATIO_RESERVED = ~0xff_ffff_ffffn;

/** Whether KVM refuses a guest's or the VMM's access to MSR_AMD64_TSC_RATIO. */
export function refusesTscRatio(ctx: Ctx): boolean {
  const { input, vcpu } = ctx;
  const byGuest = input.type === 'wrmsr' || input.type === 'rdmsr';
  // The MSR is SVM's, and came with its nested scaling.
  if (isVmx(ctx) || ctx.switches.nestedScaling !== 'vmx-svm') return true;
  if (!offersNestedScaling(ctx)) {
    if (byGuest) return true;
    return 'data' in input && input.data !== 0n && input.data !== vcpu.tscRatioMsr;
  }
  return 'data' in input && (input.data & TSC_RATIO_RESERVED) !== 0n;
}
/** Whether a write of the VMM's changes nothing: the feature is not there, and the value is harmless. */
export const ignoresTscRatio = (ctx: Ctx): boolean => !offersNestedScaling(ctx);
