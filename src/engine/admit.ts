/**
 * Refuses what cannot have happened, before anything is stepped.
 *
 * Where the kernel itself answers with an errno (or #GP), that is the input's result (`answers.ts`);
 * where it could not have come to this at all (no such vCPU, entering twice), it is an error of
 * whoever made the input.
 */
import { INPUTS, type InputOf, type InputType } from '../../events/index.ts';
import {
  type HostState,
  hasTscControl,
  isVmx,
  MAX_HOST_CPUS,
  MSR_READERS,
  pageHz,
  requestMask,
  STIMERS,
  VcpuState,
  type VmState,
} from '../clock/index.ts';
import { ANSWERS, type Answer, type Refusal, type Scene } from './answers.ts';
import type { InputErrorCode } from './input-error.ts';
import { regionOffset, stateByte } from './modes.ts';
import { MSR_ROUTES } from './msr-routes.ts';

/** Throws the error of an input. */
export type Fail = (code: InputErrorCode, expected: string, found: string) => never;

/** What inputs of some types meet. An input that nobody asks for need not be made (`Run.input`). */
type SceneOf<T extends InputType> = Scene & { readonly input: InputOf<T> };

/** Throws when an input cannot happen as things are. */
type Check<T extends InputType = InputType> = (ctx: SceneOf<T>, fail: Fail) => void;

type Checks = { readonly [T in InputType]?: Check<T> };

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

const RUN = regionOffset(VcpuState, 'run');
const LIFE = regionOffset(VcpuState, 'life');

/** In which of its states a vCPU, and the thread that runs it, must be. */
export interface VcpuNeeds {
  readonly run: VcpuState['run'];
  readonly life: VcpuState['life'];
  /** The bytes that stand for them: all inputs of vCPUs compare them. */
  readonly runByte: number;
  readonly lifeByte: number;
}

function vcpuNeeds(life: VcpuState['life'], run: VcpuState['run']): VcpuNeeds {
  const runByte = stateByte(VcpuState, 'run', run);
  return { run, life, runByte, lifeByte: stateByte(VcpuState, 'life', life) };
}

/** Whether a vCPU is in these states. */
export const isAsNeeded = ({ at, u8 }: Readonly<VcpuState>, needs: VcpuNeeds): boolean =>
  u8[at + RUN] === needs.runByte && u8[at + LIFE] === needs.lifeByte;

/** Says what is wrong with a vCPU that is in other states. */
function refuseVcpu(vcpu: Readonly<VcpuState>, { life, run }: VcpuNeeds, fail: Fail): never {
  if (vcpu.run !== run) fail('wrong-order', `vCPU ${vcpu.vcpuId} ${run}`, vcpu.run);
  const complete = life === 'created' ? 'a vCPU just created' : 'a vCPU whose creation is complete';
  return fail('wrong-order', complete, vcpu.life);
}

const hostIs =
  (power: HostState['power']): Check =>
  ({ host }, fail) => {
    if (host.power !== power) fail('wrong-order', `a host ${power}`, host.power);
  };

/** The VM's work that fires was going to. */
const workIs =
  (work: 'updateWork' | 'syncWork', state: VmState['updateWork'] | VmState['syncWork']): Check =>
  ({ vm }, fail) => {
    if (vm[work] !== state) fail('wrong-order', `the work ${state}`, vm[work]);
  };

/** The host CPU that an input names. */
const checkCpu: Check = ({ input }, fail) => {
  const { cpu = 0 } = input as InputOf<'KVM_GET_CLOCK' | 'vcpu_load'>;
  if (cpu >= MAX_HOST_CPUS) fail('bad-value', `a host CPU below ${MAX_HOST_CPUS}`, String(cpu));
};

/** The MSR that an input names is one of the clock's. */
const msrIsIn =
  (
    known: ReadonlyMap<number, unknown>,
  ): Check<'rdmsr' | 'wrmsr' | 'KVM_GET_MSRS' | 'KVM_SET_MSRS'> =>
  ({ input: { index } }, fail) => {
    if (known.has(index)) return;
    fail('unknown-msr', 'an MSR of the clock', `0x${index.toString(16)}`);
  };

/** Requests that compute a page. */
const UPDATES = requestMask('CLOCK_UPDATE', 'MASTERCLOCK_UPDATE', 'GLOBAL_CLOCK_UPDATE');

/** An entry for which the kernel would look for a clock scale for ever. */
const entryEnds: Check = (ctx, fail) => {
  const { host, vcpu } = ctx;
  if ((vcpu.requests & UPDATES) === 0) return;
  // A ratio so small that the frequency truncates to 0, on a CPU whose own is known.
  const scaledToNothing =
    hasTscControl(host, ctx.switches) && host.tscKhz !== 0 && pageHz(vcpu, ctx) === 0n;
  if (scaledToNothing && vcpu.cpu >= 0 && host.cpuTscKhz.get(vcpu.cpu) !== 0) {
    fail('kernel-hangs', 'a guest TSC of at least 1 kHz', 'kvm_get_time_scale() with 0 Hz');
  }
};

const checkStimer: Check<'kvm_hv_stimer_callback' | 'hv_message_slot'> = (
  { input: { timer } },
  fail,
) => {
  if (timer >= STIMERS) fail('bad-value', `a timer below ${STIMERS}`, String(timer));
};

/** L1 enters L2, with its vendor's fields alone. */
const entersL2: Check<'kvm_nested_vmenter'> = (ctx, fail) => {
  const { input } = ctx;
  const { level } = ctx.vcpu;
  if (level !== 'l1') fail('wrong-order', 'L1', level);
  const vmx = isVmx(ctx);
  if (vmx && input.eventInj !== undefined) fail('bad-value', 'no eventInj on VMX', 'one');
  if (vmx) return;
  const { tscMultiplier, noTscOffsetting, badGuestState } = input;
  if (tscMultiplier !== undefined) fail('bad-value', 'no tscMultiplier on SVM', 'one');
  if (noTscOffsetting === true) fail('bad-value', 'no noTscOffsetting on SVM', 'true');
  if (badGuestState === true) fail('bad-value', 'no badGuestState on SVM', 'true');
};

/** What else must hold; a timer that fires was set. */
const CHECKS: Checks = {
  KVM_CREATE_VM: ({ input, vmOf }, fail) => {
    if (vmOf !== undefined) fail('vm-exists', 'a VM id that no VM has', String(input.vm));
  },
  suspend: hostIs('running'),
  timekeeping_suspend: hostIs('suspending'),
  resume: hostIs('suspended'),
  suspend_end: hostIs('suspending'),
  pvclock_gtod_work: ({ host }, fail) => {
    if (!host.gtodWorkQueued) fail('wrong-order', 'the work queued', 'no work');
  },
  timekeeping_update: ({ input: { monoShift, rawShift } }, fail) => {
    if (monoShift <= 63 && rawShift <= 63) return;
    fail('bad-value', 'clock shifts below 64', `${monoShift} and ${rawShift}`);
  },
  kvmclock_update_work: workIs('updateWork', 'queued'),
  kvmclock_sync_work: workIs('syncWork', 'armed'),
  /** No thread runs what is destroyed. */
  destroy_vm: ({ vmOf }, fail) => {
    for (const { state } of vmOf?.vcpus.values() ?? []) {
      const { vcpuId, run } = state;
      if (run !== 'unloaded') fail('wrong-order', `vCPU ${vcpuId} unloaded`, run);
    }
  },
  tsc_deadline: ({ vcpu }, fail) => {
    if (vcpu.deadlineTimer === 'off') fail('wrong-order', 'a deadline', 'none');
  },
  xen_timer: ({ vcpu }, fail) => {
    if (vcpu.xenTimer === 'off') fail('wrong-order', 'Xen’s timer armed', vcpu.xenTimer);
  },
  kvm_hv_stimer_callback: (ctx, fail) => {
    checkStimer(ctx, fail);
    const { timer } = ctx.input;
    if ((ctx.vcpu.stimerArmed & (1 << timer)) !== 0) return;
    fail('wrong-order', `synthetic timer ${timer} armed`, 'not armed');
  },
  hv_message_slot: checkStimer,
  kvm_nested_vmenter: entersL2,
  kvm_nested_vmexit: ({ vcpu }, fail) => {
    if (vcpu.level !== 'l2') fail('wrong-order', 'L2', vcpu.level);
  },
  KVM_SET_CPUID2: ({ input: { shift } }, fail) => {
    if (Math.abs(shift) > 31) fail('bad-value', 'a shift of −31 … 31', String(shift));
  },
  KVM_SET_CLOCK_GUEST: ({ input: { tscShift } }, fail) => {
    if (tscShift < -128 || tscShift > 127) fail('bad-value', 'a shift as an s8', String(tscShift));
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

/** What must hold for inputs of one type, as the code of all types is called. */
export interface Admission {
  /** Of what the input names: no order of events would make it right. */
  readonly names: readonly Check[];
  readonly vcpu: VcpuNeeds | undefined;
  readonly checks: readonly Check[];
  readonly answer: Answer | undefined;
}

const present = (...checks: readonly (Checks[InputType] | undefined)[]): readonly Check[] =>
  checks.filter((check) => check !== undefined) as readonly Check[];

/** What is looked at before an input of this type. */
export function admissionOf(type: InputType): Admission {
  const run = RUN_STATE[type];
  const life = type === 'vcpu_postcreate' ? 'created' : 'online';
  return {
    names: present('cpu' in INPUTS[type].fields ? checkCpu : undefined, MSR_CHECKS[type]),
    vcpu: run === undefined ? undefined : vcpuNeeds(life, run),
    checks: present(CHECKS[type]),
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
  { names, vcpu: needs, checks, answer }: Admission,
  ctx: Scene,
  fail: Fail,
): Refusal | undefined {
  for (let i = 0; i < names.length; i++) names[i]!(ctx, fail);
  if (needs !== undefined && !isAsNeeded(ctx.vcpu, needs)) refuseVcpu(ctx.vcpu, needs, fail);
  for (let i = 0; i < checks.length; i++) checks[i]!(ctx, fail);
  return answer === undefined ? undefined : answer(ctx.input, ctx);
}
