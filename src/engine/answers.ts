/** What the kernel refuses by itself, with an errno or #GP; such an input does nothing else. */
import { ERRNO, type InputOf, type InputType, MSRS } from '../../events/index.ts';
import {
  type Ctx,
  hasTscControl,
  isPageRefused,
  isTscProtected,
  refusesRunstate,
  refusesTscRatio,
  type VcpuState,
  xenAttrErrno,
} from '../clock/index.ts';

/** What the kernel answers instead of doing it. */
export type Refusal = { readonly errno: number } | { readonly gp: true };

const ENOENT = { errno: ERRNO.ENOENT } as const;
const ENXIO = { errno: ERRNO.ENXIO } as const;
const EEXIST = { errno: ERRNO.EEXIST } as const;
const EINVAL = { errno: ERRNO.EINVAL } as const;
/** What a VM answers to an ioctl that it does not know; a vCPU says EINVAL. */
const ENOTTY = { errno: ERRNO.ENOTTY } as const;
const GP = { gp: true } as const;

/** What an input meets. */
export interface Scene extends Ctx {
  /** The vCPU whose turn it is, if there is one. */
  readonly subject: Readonly<VcpuState> | undefined;
  /** The VM whose turn it is, if there is one. */
  readonly vmOf: { readonly vcpus: ReadonlyMap<number, { readonly state: VcpuState }> } | undefined;
}

/** What the kernel answers; `undefined` when it does what is asked. */
export type Answer<T extends InputType = InputType> = (
  input: InputOf<T>,
  ctx: Scene,
) => Refusal | undefined;

const tooFast = (khz: number, { host, switches }: Ctx): boolean =>
  hasTscControl(host, switches) && khz >= host.maxGuestTscKhz;

/** Reserved bits of MSR_KVM_STEAL_TIME. */
const STEAL_RESERVED = 0x3en;
/** The one bit that a guest may set in HV_X64_MSR_TSC_INVARIANT_CONTROL. */
const HV_EXPOSE_INVARIANT_TSC = 1n;

/** Hyper-V's synthetic timers: v4.5 has the first, which the oldest profile stands before. */
const isStimer = (index: number): boolean =>
  index >= MSRS.HV_X64_MSR_STIMER0_CONFIG && index <= MSRS.HV_X64_MSR_STIMER3_COUNT;

/** MSRs that this kernel, or this host, has not got. */
function isUnknownMsr(index: number, ctx: Ctx): boolean {
  if (index === MSRS.MSR_AMD64_TSC_RATIO) return refusesTscRatio(ctx);
  return isStimer(index) && ctx.switches.hvPage === 'none';
}

const answerRead: Answer<'rdmsr' | 'KVM_GET_MSRS'> = ({ index }, ctx) =>
  isUnknownMsr(index, ctx) ? GP : undefined;

const answerWrite: Answer<'wrmsr' | 'KVM_SET_MSRS'> = ({ type, index, data }, ctx) => {
  const byGuest = type === 'wrmsr';
  if (isUnknownMsr(index, ctx)) return GP;
  if (index === MSRS.HV_X64_MSR_TSC_EMULATION_STATUS && byGuest && data !== 0n) return GP;
  const invtsc = index === MSRS.HV_X64_MSR_TSC_INVARIANT_CONTROL;
  if (invtsc && byGuest && (data & ~HV_EXPOSE_INVARIANT_TSC) !== 0n) return GP;
  if (index === MSRS.MSR_KVM_STEAL_TIME && (data & STEAL_RESERVED) !== 0n) return GP;
  if (index === MSRS.HV_X64_MSR_TIME_REF_COUNT && byGuest) return GP;
  return undefined;
};

const hasTscOffsetAttr: Answer = (_input, { switches }) =>
  switches.tscOffsetAttr ? undefined : EINVAL;

/** A kernel without the attribute, and one that has it where the host scales TSCs alone. */
const scaleRefusal = ({ host, switches }: Ctx): Refusal | undefined => {
  const { tscScaleAttr, tscOffsetAttr } = switches;
  if (tscScaleAttr === 'none') return tscOffsetAttr ? ENXIO : EINVAL;
  return tscScaleAttr === 'always' || hasTscControl(host, switches) ? undefined : ENXIO;
};

const hasTscState: Answer = (_input, { switches }) =>
  switches.tscStateIoctls === 'none' ? EINVAL : undefined;

const hasVmXenAttributes: Answer = (_input, { switches }) =>
  switches.xenAttributes ? undefined : ENOTTY;

const hasXenAttributes: Answer = (_input, { switches }) =>
  switches.xenAttributes ? undefined : EINVAL;

const hasRunstate: Answer = (_input, ctx) => {
  const { xenAttributes, xenRunstate } = ctx.switches;
  if (!xenAttributes) return EINVAL;
  if (!xenRunstate) return ENOENT;
  return refusesRunstate(ctx) ? EINVAL : undefined;
};

/** By the type of the input. */
export const ANSWERS: { readonly [T in InputType]?: Answer<T> } = {
  KVM_CREATE_VCPU: (_input, { subject }) => (subject === undefined ? undefined : EEXIST),
  KVM_SET_CLOCK: ({ flags }, { switches }) =>
    (flags & ~switches.setClockFlags) === 0 ? undefined : EINVAL,
  KVM_SET_TSC_KHZ: ({ khz }, ctx) => {
    const { setTscKhzUnscaled, protectedTscKhzRefused } = ctx.switches;
    if (protectedTscKhzRefused && isTscProtected(ctx.vcpu, ctx.switches)) return EINVAL;
    const isUnscaled = !hasTscControl(ctx.host, ctx.switches) && !setTscKhzUnscaled;
    return isUnscaled || tooFast(khz, ctx) ? EINVAL : undefined;
  },
  KVM_SET_VM_TSC_KHZ: ({ khz }, ctx) => {
    const { vmTscKhz } = ctx.switches;
    if (vmTscKhz === 'none') return ENOTTY;
    const tooLate = vmTscKhz === 'before-vcpus' && ctx.vm.createdVcpus > 0;
    return tooFast(khz, ctx) || tooLate ? EINVAL : undefined;
  },
  KVM_GET_VM_TSC_KHZ: (_input, { switches }) => (switches.vmTscKhz === 'none' ? ENOTTY : undefined),
  KVM_HAS_TSC_OFFSET: hasTscOffsetAttr,
  KVM_GET_TSC_OFFSET: hasTscOffsetAttr,
  KVM_SET_TSC_OFFSET: hasTscOffsetAttr,
  KVM_HAS_TSC_SCALE: (_input, ctx) => scaleRefusal(ctx),
  KVM_GET_TSC_SCALE: (_input, ctx) => scaleRefusal(ctx),
  KVM_SET_TSC_SCALE: (_input, ctx) => scaleRefusal(ctx) ?? EINVAL,
  KVM_GET_CLOCK_GUEST: (_input, { switches }) =>
    switches.clockGuestIoctls === 'none' ? EINVAL : undefined,
  KVM_SET_CLOCK_GUEST: (_input, ctx) => (isPageRefused(ctx) ? EINVAL : undefined),
  KVM_GET_TSC_STATE: hasTscState,
  KVM_SET_TSC_STATE: hasTscState,
  KVM_KVMCLOCK_CTRL: (_input, { vcpu }) => (vcpu.kvmclock === 'off' ? EINVAL : undefined),
  wrmsr: answerWrite,
  KVM_SET_MSRS: answerWrite,
  rdmsr: answerRead,
  KVM_GET_MSRS: answerRead,
  KVM_XEN_SET_LONG_MODE: hasVmXenAttributes,
  KVM_XEN_SET_SHARED_INFO: hasVmXenAttributes,
  KVM_XEN_SET_VCPU_INFO: hasXenAttributes,
  KVM_XEN_SET_VCPU_TIME_INFO: hasXenAttributes,
  KVM_XEN_SET_TIMER: (_input, { switches }) => {
    if (!switches.xenAttributes) return EINVAL;
    return switches.xenTimer === 'none' ? ENOENT : undefined;
  },
  KVM_XEN_VCPU_GET_ATTR: (_input, ctx) => {
    if (!ctx.switches.xenAttributes) return EINVAL;
    const errno = xenAttrErrno(ctx);
    return errno === 0 ? undefined : { errno };
  },
  KVM_XEN_SET_RUNSTATE_ADDR: hasRunstate,
  KVM_XEN_SET_RUNSTATE_CURRENT: hasRunstate,
  KVM_XEN_SET_RUNSTATE_DATA: hasRunstate,
  KVM_XEN_SET_RUNSTATE_ADJUST: hasRunstate,
};
