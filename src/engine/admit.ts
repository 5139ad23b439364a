/**
 * Refuses what cannot have happened, before anything is stepped.
 *
 * Where the kernel itself answers with an errno (or #GP), that is the input's result; where it could
 * not have come to this at all (no such vCPU, entering twice), it is an error of whoever made the
 * input.
 */
import { type Input, type InputOf, MSRS } from '../../events/index.ts';
import {
  type Ctx,
  type HostState,
  hasTscControl,
  isPageRefused,
  isRequested,
  isVmx,
  MAX_HOST_CPUS,
  MSR_READERS,
  pageHz,
  refusesRunstate,
  refusesTscRatio,
  STIMERS,
  type VcpuState,
  xenAttrErrno,
} from '../clock/index.ts';
import type { InputErrorCode } from './input-error.ts';
import { MSR_ROUTES } from './msr-routes.ts';

/** What the kernel answers instead of doing it. */
export type Refusal = { readonly errno: number } | { readonly gp: true };

const ENOENT = { errno: 2 } as const;
const EEXIST = { errno: 17 } as const;
const ENXIO = { errno: 6 } as const;
const EINVAL = { errno: 22 } as const;
/** What a VM answers to an ioctl that it does not know; a vCPU says EINVAL. */
const ENOTTY = { errno: 25 } as const;
const GP = { gp: true } as const;

/** Throws the error of an input. */
export type Fail = (code: InputErrorCode, expected: string, found: string) => never;

/** In which of its states a vCPU must be for an input. */
const RUN_STATE: Partial<Record<Input['type'], VcpuState['run']>> = {
  vcpu_load: 'unloaded',
  vcpu_put: 'loaded',
  vcpu_postcreate: 'unloaded',
  vcpu_requests: 'loaded',
  vcpu_reset: 'loaded',
  kvm_entry: 'loaded',
  kvm_exit: 'guest',
  rdtsc: 'guest',
  rdmsr: 'loaded',
  wrmsr: 'loaded',
  KVM_GET_MSRS: 'loaded',
  KVM_SET_MSRS: 'loaded',
  KVM_SET_TSC_KHZ: 'loaded',
  KVM_GET_TSC_KHZ: 'loaded',
  KVM_HAS_TSC_OFFSET: 'loaded',
  KVM_GET_TSC_OFFSET: 'loaded',
  KVM_SET_TSC_OFFSET: 'loaded',
  KVM_HAS_TSC_SCALE: 'loaded',
  KVM_GET_TSC_SCALE: 'loaded',
  KVM_SET_TSC_SCALE: 'loaded',
  KVM_GET_CLOCK_GUEST: 'loaded',
  KVM_SET_CLOCK_GUEST: 'loaded',
  KVM_GET_TSC_STATE: 'loaded',
  KVM_SET_TSC_STATE: 'loaded',
  KVM_KVMCLOCK_CTRL: 'loaded',
  KVM_XEN_SET_VCPU_INFO: 'loaded',
  KVM_XEN_SET_VCPU_TIME_INFO: 'loaded',
  clock_pairing: 'loaded',
  KVM_XEN_SET_RUNSTATE_ADDR: 'loaded',
  KVM_XEN_SET_RUNSTATE_CURRENT: 'loaded',
  KVM_XEN_SET_RUNSTATE_DATA: 'loaded',
  KVM_XEN_SET_RUNSTATE_ADJUST: 'loaded',
  KVM_XEN_SET_TIMER: 'loaded',
  KVM_XEN_VCPU_GET_ATTR: 'loaded',
  KVM_SET_CPUID2: 'loaded',
  xen_hypercall: 'loaded',
  cpuid: 'loaded',
  kvm_nested_vmenter: 'loaded',
  kvm_nested_vmexit: 'loaded',
};

/** Checks the order of things on a vCPU. */
export function checkVcpuOrder(input: Input, vcpu: Readonly<VcpuState>, fail: Fail): void {
  checkTimer(input, vcpu, fail);
  checkShift(input, fail);
  const wanted = RUN_STATE[input.type];
  if (wanted !== undefined && vcpu.run !== wanted) {
    fail('wrong-order', `vCPU ${vcpu.vcpuId} ${wanted}`, vcpu.run);
  }
  const early = input.type === 'vcpu_postcreate';
  if (early && vcpu.life !== 'created') fail('wrong-order', 'a vCPU just created', vcpu.life);
  if (!early && vcpu.life !== 'online' && wanted !== undefined) {
    fail('wrong-order', 'a vCPU whose creation is complete', vcpu.life);
  }
}

/** A timer that fires was set. */
function checkTimer(input: Input, vcpu: Readonly<VcpuState>, fail: Fail): void {
  if (input.type === 'tsc_deadline' && vcpu.deadlineTimer === 'off') {
    fail('wrong-order', 'a deadline', 'none');
  }
  if (input.type === 'xen_timer' && vcpu.xenTimer === 'off') {
    fail('wrong-order', 'Xen’s timer armed', vcpu.xenTimer);
  }
  if (input.type !== 'kvm_hv_stimer_callback' && input.type !== 'hv_message_slot') return;
  const { timer } = input;
  if (timer >= STIMERS) fail('bad-value', `a timer below ${STIMERS}`, String(timer));
  if (input.type === 'kvm_hv_stimer_callback' && (vcpu.stimerArmed & (1 << timer)) === 0) {
    fail('wrong-order', `synthetic timer ${timer} armed`, 'not armed');
  }
}

/** Checks what L1 does with L2: at which level, and with its vendor's fields alone. */
export function checkNested(input: Input, ctx: Ctx, fail: Fail): void {
  const { level } = ctx.vcpu;
  if (input.type === 'kvm_nested_vmexit' && level !== 'l2') fail('wrong-order', 'L2', level);
  if (input.type === 'KVM_SET_CPUID2' && Math.abs(input.shift) > 31) {
    fail('bad-value', 'a shift of −31 … 31', String(input.shift));
  }
  if (input.type !== 'kvm_nested_vmenter') return;
  if (level !== 'l1') fail('wrong-order', 'L1', level);
  const vmx = isVmx(ctx);
  if (vmx && input.eventInj !== undefined) fail('bad-value', 'no eventInj on VMX', 'one');
  if (vmx) return;
  const { tscMultiplier, noTscOffsetting, badGuestState } = input;
  if (tscMultiplier !== undefined) fail('bad-value', 'no tscMultiplier on SVM', 'one');
  if (noTscOffsetting === true) fail('bad-value', 'no noTscOffsetting on SVM', 'true');
  if (badGuestState === true) fail('bad-value', 'no badGuestState on SVM', 'true');
}

/** The shift of a pvclock page is a byte. */
function checkShift(input: Input, fail: Fail): void {
  if (input.type !== 'KVM_SET_CLOCK_GUEST') return;
  const { tscShift } = input;
  if (tscShift < -128 || tscShift > 127) fail('bad-value', 'a shift as an s8', String(tscShift));
}

/** Checks the host CPU an input names. */
export function checkCpu(input: Input, fail: Fail): void {
  if ('cpu' in input && input.cpu >= MAX_HOST_CPUS) {
    fail('bad-value', `a host CPU below ${MAX_HOST_CPUS}`, String(input.cpu));
  }
}

/** In which power state a host must be for an input. */
const POWER: Partial<Record<Input['type'], HostState['power']>> = {
  suspend: 'running',
  timekeeping_suspend: 'suspending',
  resume: 'suspended',
  suspend_end: 'suspending',
};

/** Checks the state of the host. */
export function checkHostOrder(input: Input, ctx: Ctx, fail: Fail): void {
  const { power } = ctx.host;
  const wanted = POWER[input.type];
  if (wanted !== undefined && power !== wanted) fail('wrong-order', `a host ${wanted}`, power);
  if (input.type === 'pvclock_gtod_work' && !ctx.host.gtodWorkQueued) {
    fail('wrong-order', 'the work queued', 'no work');
  }
  if (input.type === 'timekeeping_update' && (input.monoShift > 63 || input.rawShift > 63)) {
    fail('bad-value', 'clock shifts below 64', `${input.monoShift} and ${input.rawShift}`);
  }
}

/** Checks the state of the VM's delayed work, and that no thread runs what is destroyed. */
export function checkVmOrder(
  input: Input,
  ctx: Ctx,
  vcpus: readonly { readonly state: Readonly<VcpuState> }[],
  fail: Fail,
): void {
  if (input.type === 'kvmclock_update_work' && ctx.vm.updateWork !== 'queued') {
    fail('wrong-order', 'the work queued', ctx.vm.updateWork);
  }
  if (input.type === 'kvmclock_sync_work' && ctx.vm.syncWork !== 'armed') {
    fail('wrong-order', 'the work armed', ctx.vm.syncWork);
  }
  if (input.type !== 'destroy_vm') return;
  for (const { state } of vcpus) {
    const { vcpuId, run } = state;
    if (run !== 'unloaded') fail('wrong-order', `vCPU ${vcpuId} unloaded`, run);
  }
}

/** An entry for which the kernel would look for a clock scale for ever. */
export function checkEntry(input: Input, ctx: Ctx, fail: Fail): void {
  if (input.type !== 'kvm_entry' && input.type !== 'vcpu_requests') return;
  const updates =
    isRequested(ctx.vcpu, 'CLOCK_UPDATE') ||
    isRequested(ctx.vcpu, 'MASTERCLOCK_UPDATE') ||
    isRequested(ctx.vcpu, 'GLOBAL_CLOCK_UPDATE');
  // A ratio so small that the frequency truncates to 0, on a CPU whose own is known.
  const scaledToNothing =
    hasTscControl(ctx.host, ctx.switches) && ctx.host.tscKhz !== 0 && pageHz(ctx.vcpu, ctx) === 0n;
  if (
    updates &&
    scaledToNothing &&
    ctx.vcpu.cpu >= 0 &&
    ctx.host.cpuTscKhz.get(ctx.vcpu.cpu) !== 0
  ) {
    fail('kernel-hangs', 'a guest TSC of at least 1 kHz', 'kvm_get_time_scale() with 0 Hz');
  }
}

const tooFast = (khz: number, ctx: Ctx): boolean =>
  hasTscControl(ctx.host, ctx.switches) && khz >= ctx.host.maxGuestTscKhz;

/** Reserved bits of MSR_KVM_STEAL_TIME. */
const STEAL_RESERVED = 0x3en;
/** The one bit that a guest may set in HV_X64_MSR_TSC_INVARIANT_CONTROL. */
const HV_EXPOSE_INVARIANT_TSC = 1n;

/** Hyper-V's synthetic timers: v4.5 has the first, which the oldest profile stands before. */
const isStimer = (index: number): boolean =>
  index >= MSRS.HV_X64_MSR_STIMER0_CONFIG && index <= MSRS.HV_X64_MSR_STIMER3_COUNT;

type MsrAccess = InputOf<'wrmsr' | 'KVM_SET_MSRS' | 'rdmsr' | 'KVM_GET_MSRS'>;

/** MSRs that this kernel, or this host, has not got. */
function isUnknownMsr({ index }: MsrAccess, ctx: Ctx): boolean {
  if (index === MSRS.MSR_AMD64_TSC_RATIO) return refusesTscRatio(ctx);
  return isStimer(index) && ctx.switches.hvPage === 'none';
}

function msrRefusal(input: InputOf<'wrmsr' | 'KVM_SET_MSRS'>, ctx: Ctx): Refusal | undefined {
  const byGuest = input.type === 'wrmsr';
  if (isUnknownMsr(input, ctx)) return GP;
  if (input.index === MSRS.HV_X64_MSR_TSC_EMULATION_STATUS && byGuest && input.data !== 0n) {
    return GP;
  }
  const invtsc = input.index === MSRS.HV_X64_MSR_TSC_INVARIANT_CONTROL;
  if (invtsc && byGuest && (input.data & ~HV_EXPOSE_INVARIANT_TSC) !== 0n) return GP;
  if (input.index === MSRS.MSR_KVM_STEAL_TIME && (input.data & STEAL_RESERVED) !== 0n) return GP;
  if (input.index === MSRS.HV_X64_MSR_TIME_REF_COUNT && byGuest) return GP;
  return undefined;
}

/** Checks that an MSR is one of the clock's. */
export function checkMsr(input: Input, fail: Fail): void {
  const known =
    input.type === 'wrmsr' || input.type === 'KVM_SET_MSRS'
      ? MSR_ROUTES.has(input.index)
      : input.type === 'rdmsr' || input.type === 'KVM_GET_MSRS'
        ? MSR_READERS.has(input.index)
        : true;
  if (!known && 'index' in input) {
    fail('unknown-msr', 'an MSR of the clock', `0x${input.index.toString(16)}`);
  }
}

/** An attribute of the group that came with KVM_VCPU_TSC_OFFSET is ENXIO where it is not known. */
function scaleRefusal(ctx: Ctx): Refusal | undefined {
  const { tscScaleAttr, tscOffsetAttr } = ctx.switches;
  if (tscScaleAttr === 'none') return tscOffsetAttr ? ENXIO : EINVAL;
  const isThere = tscScaleAttr === 'always' || hasTscControl(ctx.host, ctx.switches);
  return isThere ? undefined : ENXIO;
}

/** What the kernel refuses by itself; `undefined` when it does what is asked. */
export function refusalOf(input: Input, ctx: Ctx, exists: boolean): Refusal | undefined {
  switch (input.type) {
    case 'KVM_CREATE_VCPU':
      return exists ? EEXIST : undefined;
    case 'KVM_SET_CLOCK':
      return (input.flags & ~ctx.switches.setClockFlags) !== 0 ? EINVAL : undefined;
    case 'KVM_SET_TSC_KHZ':
      return tooFast(input.khz, ctx) ? EINVAL : undefined;
    case 'KVM_SET_VM_TSC_KHZ':
      if (ctx.switches.vmTscKhz === 'none') return ENOTTY;
      if (tooFast(input.khz, ctx)) return EINVAL;
      return ctx.switches.vmTscKhz === 'before-vcpus' && ctx.vm.createdVcpus > 0
        ? EINVAL
        : undefined;
    case 'KVM_GET_VM_TSC_KHZ':
      return ctx.switches.vmTscKhz === 'none' ? ENOTTY : undefined;
    case 'KVM_HAS_TSC_OFFSET':
    case 'KVM_GET_TSC_OFFSET':
    case 'KVM_SET_TSC_OFFSET':
      return ctx.switches.tscOffsetAttr ? undefined : EINVAL;
    case 'KVM_HAS_TSC_SCALE':
    case 'KVM_GET_TSC_SCALE':
      return scaleRefusal(ctx);
    case 'KVM_SET_TSC_SCALE':
      return scaleRefusal(ctx) ?? EINVAL;
    case 'KVM_GET_CLOCK_GUEST':
      return ctx.switches.clockGuestIoctls === 'none' ? EINVAL : undefined;
    case 'KVM_SET_CLOCK_GUEST':
      return isPageRefused(ctx) ? EINVAL : undefined;
    case 'KVM_GET_TSC_STATE':
    case 'KVM_SET_TSC_STATE':
      return ctx.switches.tscStateIoctls === 'none' ? EINVAL : undefined;
    case 'KVM_KVMCLOCK_CTRL':
      return ctx.vcpu.kvmclock === 'off' ? EINVAL : undefined;
    case 'wrmsr':
    case 'KVM_SET_MSRS':
      return msrRefusal(input, ctx);
    case 'rdmsr':
    case 'KVM_GET_MSRS':
      return isUnknownMsr(input, ctx) ? GP : undefined;
    case 'KVM_XEN_SET_TIMER':
      return ctx.switches.xenTimer === 'none' ? ENOENT : undefined;
    case 'KVM_XEN_VCPU_GET_ATTR': {
      if (!ctx.switches.xenRunstate) return EINVAL;
      const errno = xenAttrErrno(ctx);
      return errno === 0 ? undefined : { errno };
    }
    case 'KVM_XEN_SET_RUNSTATE_ADDR':
    case 'KVM_XEN_SET_RUNSTATE_CURRENT':
    case 'KVM_XEN_SET_RUNSTATE_DATA':
    case 'KVM_XEN_SET_RUNSTATE_ADJUST':
      return !ctx.switches.xenRunstate || refusesRunstate(ctx) ? EINVAL : undefined;
    default:
      return undefined;
  }
}
