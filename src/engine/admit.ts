/**
 * Refuses what cannot have happened, before anything is stepped.
 *
 * Where the kernel itself answers with an errno (or #GP), that is the input's result; where it could
 * not have come to this at all (no such vCPU, entering twice), it is an error of whoever made the
 * input.
 */
import { INPUTS, type Input, type InputOf, type InputType, MSRS } from '../../events/index.ts';
import {
  type Ctx,
  type HostState,
  MAX_HOST_CPUS,
  MSR_READERS,
  pageHz,
  requestMask,
  type VcpuState,
  type VmState,
} from '../clock/index.ts';
import type { InputErrorCode } from './input-error.ts';
import { MSR_ROUTES } from './msr-routes.ts';

/** What the kernel answers instead of doing it. */
export type Refusal = { readonly errno: number } | { readonly gp: true };

const EEXIST = { errno: 17 } as const;
const EINVAL = { errno: 22 } as const;
/** What a VM answers to an ioctl that it does not know; a vCPU says EINVAL. */
const ENOTTY = { errno: 25 } as const;
const GP = { gp: true } as const;

/** Throws the error of an input. */
export type Fail = (code: InputErrorCode, expected: string, found: string) => never;

/** What an input meets. */
interface Scene extends Ctx {
  /** The vCPU whose turn it is, if there is one. */
  readonly subject: Readonly<VcpuState> | undefined;
  /** The VM's vCPUs. */
  readonly vmOf: { readonly vcpus: ReadonlyMap<number, { readonly state: VcpuState }> } | undefined;
}

/** Throws when an input cannot happen as things are. */
type Check<T extends InputType = InputType> = (input: InputOf<T>, ctx: Scene, fail: Fail) => void;

/** By the types of inputs that it concerns. */
type ByType<F extends { [T in InputType]: unknown }> = { readonly [T in InputType]?: F[T] };
type Checks = ByType<{ [T in InputType]: Check<T> }>;

/** In which of its states a vCPU must be for an input. */
const RUN_STATE: Partial<Record<InputType, VcpuState['run']>> = {
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
  KVM_KVMCLOCK_CTRL: 'loaded',
  KVM_XEN_SET_VCPU_INFO: 'loaded',
  KVM_XEN_SET_VCPU_TIME_INFO: 'loaded',
  clock_pairing: 'loaded',
};

/** The vCPU is in this state of its creation, and its thread in that one. */
function vcpuIs(life: VcpuState['life'], run: VcpuState['run']): Check {
  const complete = life === 'created' ? 'a vCPU just created' : 'a vCPU whose creation is complete';
  return (_input, { vcpu }, fail) => {
    if (vcpu.run !== run) fail('wrong-order', `vCPU ${vcpu.vcpuId} ${run}`, vcpu.run);
    if (vcpu.life !== life) fail('wrong-order', complete, vcpu.life);
  };
}

const hostIs =
  (power: HostState['power']): Check =>
  (_input, { host }, fail) => {
    if (host.power !== power) fail('wrong-order', `a host ${power}`, host.power);
  };

/** The VM's work that fires was going to. */
const workIs =
  (work: 'updateWork' | 'syncWork', state: VmState['updateWork'] | VmState['syncWork']): Check =>
  (_input, { vm }, fail) => {
    if (vm[work] !== state) fail('wrong-order', `the work ${state}`, vm[work]);
  };

/** The host CPU that an input names. */
const checkCpu: Check = (input, _ctx, fail) => {
  const { cpu = 0 } = input as InputOf<'KVM_GET_CLOCK' | 'vcpu_load'>;
  if (cpu >= MAX_HOST_CPUS) fail('bad-value', `a host CPU below ${MAX_HOST_CPUS}`, String(cpu));
};

/** The MSR that an input names is one of the clock's. */
const msrIsIn =
  (
    known: ReadonlyMap<number, unknown>,
  ): Check<'rdmsr' | 'wrmsr' | 'KVM_GET_MSRS' | 'KVM_SET_MSRS'> =>
  ({ index }, _ctx, fail) => {
    if (known.has(index)) return;
    fail('unknown-msr', 'an MSR of the clock', `0x${index.toString(16)}`);
  };

/** Requests that compute a page. */
const UPDATES = requestMask('CLOCK_UPDATE', 'MASTERCLOCK_UPDATE', 'GLOBAL_CLOCK_UPDATE');

/** An entry for which the kernel would look for a clock scale for ever. */
const entryEnds: Check = (_input, ctx, fail) => {
  const { host, vcpu } = ctx;
  if ((vcpu.requests & UPDATES) === 0) return;
  // A ratio so small that the frequency truncates to 0, on a CPU whose own is known.
  const scaledToNothing = host.hasTscControl && host.tscKhz !== 0 && pageHz(vcpu, ctx) === 0n;
  if (scaledToNothing && vcpu.cpu >= 0 && host.cpuTscKhz.get(vcpu.cpu) !== 0) {
    fail('kernel-hangs', 'a guest TSC of at least 1 kHz', 'kvm_get_time_scale() with 0 Hz');
  }
};

/** What else must hold. */
const CHECKS: Checks = {
  suspend: hostIs('running'),
  timekeeping_suspend: hostIs('suspending'),
  resume: hostIs('suspended'),
  suspend_end: hostIs('suspending'),
  pvclock_gtod_work: (_input, { host }, fail) => {
    if (!host.gtodWorkQueued) fail('wrong-order', 'the work queued', 'no work');
  },
  timekeeping_update: ({ monoShift, rawShift }, _ctx, fail) => {
    if (monoShift <= 63 && rawShift <= 63) return;
    fail('bad-value', 'clock shifts below 64', `${monoShift} and ${rawShift}`);
  },
  kvmclock_update_work: workIs('updateWork', 'queued'),
  kvmclock_sync_work: workIs('syncWork', 'armed'),
  /** No thread runs what is destroyed. */
  destroy_vm: (_input, { vmOf }, fail) => {
    for (const { state } of vmOf?.vcpus.values() ?? []) {
      const { vcpuId, run } = state;
      if (run !== 'unloaded') fail('wrong-order', `vCPU ${vcpuId} unloaded`, run);
    }
  },
  /** A timer that fires was set. */
  tsc_deadline: (_input, { vcpu }, fail) => {
    if (vcpu.tscDeadline === 0n) fail('wrong-order', 'a deadline', 'none');
  },
  vcpu_requests: entryEnds,
  kvm_entry: entryEnds,
};

/** MSRs that are known, by what is done with them. */
const MSR_CHECKS: Checks = {
  rdmsr: msrIsIn(MSR_READERS),
  KVM_GET_MSRS: msrIsIn(MSR_READERS),
  wrmsr: msrIsIn(MSR_ROUTES),
  KVM_SET_MSRS: msrIsIn(MSR_ROUTES),
};

const tooFast = (khz: number, { host }: Ctx): boolean =>
  host.hasTscControl && khz >= host.maxGuestTscKhz;

/** Reserved bits of MSR_KVM_STEAL_TIME. */
const STEAL_RESERVED = 0x3en;

function refuseMsr(input: InputOf<'wrmsr' | 'KVM_SET_MSRS'>): Refusal | undefined {
  const byGuest = input.type === 'wrmsr';
  if (input.index === MSRS.MSR_KVM_STEAL_TIME && (input.data & STEAL_RESERVED) !== 0n) return GP;
  if (input.index === MSRS.HV_X64_MSR_TIME_REF_COUNT && byGuest) return GP;
  return undefined;
}

/** What the kernel answers; `undefined` when it does what is asked. */
type Answer<T extends InputType = InputType> = (
  input: InputOf<T>,
  ctx: Scene,
) => Refusal | undefined;

const hasTscOffsetAttr: Answer = (_input, { switches }) =>
  switches.tscOffsetAttr ? undefined : EINVAL;

/** What the kernel refuses by itself. */
const ANSWERS: ByType<{ [T in InputType]: Answer<T> }> = {
  KVM_CREATE_VCPU: (_input, { subject }) => (subject === undefined ? undefined : EEXIST),
  KVM_SET_CLOCK: ({ flags }, { switches }) =>
    (flags & ~switches.setClockFlags) === 0 ? undefined : EINVAL,
  KVM_SET_TSC_KHZ: ({ khz }, ctx) => (tooFast(khz, ctx) ? EINVAL : undefined),
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
  KVM_KVMCLOCK_CTRL: (_input, { vcpu }) => (vcpu.kvmclock === 'off' ? EINVAL : undefined),
  wrmsr: refuseMsr,
  KVM_SET_MSRS: refuseMsr,
};

/** What must hold for inputs of one type, as the code of all types is called. */
export interface Admission {
  readonly checks: readonly Check[];
  readonly answer: Answer | undefined;
}

/** What is looked at before an input of this type. */
export function admissionOf(type: InputType): Admission {
  const run = RUN_STATE[type];
  const life = type === 'vcpu_postcreate' ? 'created' : 'online';
  const checks = [
    'cpu' in INPUTS[type].fields ? checkCpu : undefined,
    MSR_CHECKS[type],
    run === undefined ? undefined : vcpuIs(life, run),
    CHECKS[type],
  ];
  return {
    checks: checks.filter((check): check is Check => check !== undefined),
    answer: ANSWERS[type] as Answer | undefined,
  };
}

/**
 * Whether an input can happen.
 *
 * @returns what the kernel answers instead of doing it; `undefined` when it does it.
 * @throws what `fail` throws.
 */
export function admit(
  input: Input,
  { checks, answer }: Admission,
  ctx: Scene,
  fail: Fail,
): Refusal | undefined {
  for (let i = 0; i < checks.length; i++) checks[i]!(input, ctx, fail);
  return answer?.(input, ctx);
}
