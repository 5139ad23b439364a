/**
 * What can happen to the clock of a virtual machine: the inputs of the model, declared once.
 *
 * An input is a primitive step of the kernel: an ioctl, an access to an MSR, a vCPU's load, put,
 * entry or exit, a timekeeping update, a work item that fires. What a VMM does in one go (hotplug,
 * migration) is made of these. Every input has one instant, `tsc`, and may carry `readings`: what
 * the kernel's own clock reads returned where it reads a clock more than once (`readings.ts`).
 *
 * Source: arch/x86/kvm/x86.c and arch/x86/kvm/hyperv.c, Linux 4.4 to 7.3.
 */

import { NESTED_INPUTS } from './inputs-nested.ts';
import { XEN_INPUTS } from './inputs-xen.ts';
import { type InputTarget, inputs, type ValueSpec, type ValuesOf } from './model-spec.ts';
import { POSTED_INPUTS } from './posted-inputs.ts';
import type { ReadingName } from './readings.ts';

const none = {} as const;
const msrIndex = { type: 'u32', doc: 'MSR number' } as const satisfies ValueSpec;
const msrData = { type: 'u64', doc: 'value' } as const satisfies ValueSpec;
const cpu = { type: 'u32', doc: 'host CPU' } as const satisfies ValueSpec;
const here = {
  type: 'u32',
  doc: 'host CPU it runs on, whose frequency counts; 0 when left out',
  optional: true,
} as const satisfies ValueSpec;
const khz = { type: 'u32', doc: 'kHz; 0 asks for the host’s own' } as const satisfies ValueSpec;

export const INPUTS = inputs({
  timekeeping_update: {
    target: 'host',
    doc: 'The kernel hands its timekeepers to KVM (pvclock_gtod_notify): tick, NTP, clocksource.',
    fields: {
      vclockMode: { type: 'u32', doc: 'vDSO clock mode: 0 none, 1 tsc, 2 pvclock, 3 hvclock' },
      monoCycleLast: { type: 'u64', doc: 'tkr_mono.cycle_last, cycles' },
      monoMult: { type: 'u32', doc: 'tkr_mono.mult: steered by NTP' },
      monoShift: { type: 'u32', doc: 'tkr_mono.shift' },
      monoXtimeNsec: { type: 'u64', doc: 'tkr_mono.xtime_nsec, ns << shift' },
      monoBase: { type: 'u64', doc: 'tkr_mono.base, ns' },
      rawCycleLast: { type: 'u64', doc: 'tkr_raw.cycle_last, cycles' },
      rawMult: { type: 'u32', doc: 'tkr_raw.mult' },
      rawShift: { type: 'u32', doc: 'tkr_raw.shift' },
      rawXtimeNsec: { type: 'u64', doc: 'tkr_raw.xtime_nsec, ns << shift' },
      rawBase: { type: 'u64', doc: 'tkr_raw.base, ns' },
      offsBoot: { type: 's64', doc: 'CLOCK_BOOTTIME − CLOCK_MONOTONIC, ns', optional: true },
      offsReal: { type: 's64', doc: 'CLOCK_REALTIME − CLOCK_MONOTONIC, ns', optional: true },
    },
  },
  adjtimex: {
    target: 'host',
    doc: 'NTP steers CLOCK_MONOTONIC: from this instant on it advances by another multiplier.',
    fields: { monoMult: { type: 'u32', doc: 'tkr_mono.mult from now on' } },
  },
  clock_settime: {
    target: 'host',
    doc: 'CLOCK_REALTIME is set.',
    fields: { offsReal: { type: 's64', doc: 'CLOCK_REALTIME − CLOCK_MONOTONIC, ns' } },
  },
  change_clocksource: {
    target: 'host',
    doc: 'The clocksource becomes another one; the clocks go on from where they are.',
    fields: { vclockMode: { type: 'u32', doc: 'vDSO clock mode of the new one' } },
  },
  mark_tsc_unstable: {
    target: 'host',
    doc: 'The clocksource watchdog finds the TSC unstable. For good.',
    fields: none,
  },
  pvclock_gtod_work: {
    target: 'host',
    doc: 'The work queued when the clocksource left the TSC runs (pvclock_gtod_update_fn).',
    fields: none,
  },
  cpufreq: {
    target: 'host',
    doc: 'A host CPU changed its frequency; only without X86_FEATURE_CONSTANT_TSC.',
    fields: { cpu, khz: { type: 'u32', doc: 'its TSC from now on, kHz' } },
  },
  cpu_offline: { target: 'host', doc: 'A host CPU goes offline.', fields: { cpu } },
  cpu_online: {
    target: 'host',
    doc: 'A host CPU comes online and is enabled for virtualization (hardware_enable).',
    fields: { cpu },
  },
  suspend: {
    target: 'host',
    doc: 'The host is about to suspend (PM_SUSPEND_PREPARE, PM_HIBERNATION_PREPARE).',
    fields: none,
  },
  timekeeping_suspend: {
    target: 'host',
    doc: 'The host’s clocks stop; the TSC may go on.',
    fields: none,
  },
  resume: {
    target: 'host',
    doc: 'The host’s clocks go on, and its boot CPU is enabled for virtualization again.',
    fields: {
      cpu,
      offsBoot: { type: 's64', doc: 'CLOCK_BOOTTIME − CLOCK_MONOTONIC from now on, ns' },
    },
  },
  suspend_end: {
    target: 'host',
    doc: 'The host is awake, or did not suspend after all (PM_POST_SUSPEND).',
    fields: none,
  },
  KVM_CREATE_VM: { target: 'vm', doc: 'A VM is created.', fields: none },
  destroy_vm: {
    target: 'vm',
    doc: 'The last file descriptor of a VM is closed; each of its vCPUs is loaded once more.',
    fields: { cpu },
  },
  KVM_GET_CLOCK: { target: 'vm', doc: 'The VM’s clock is read.', fields: { cpu: here } },
  KVM_SET_CLOCK: {
    target: 'vm',
    doc: 'The VM’s clock is set.',
    fields: {
      clock: { type: 'u64', doc: 'kvmclock, ns' },
      flags: { type: 'u32', doc: '2 TSC_STABLE, 4 REALTIME, 8 HOST_TSC' },
      realtime: { type: 'u64', doc: 'CLOCK_REALTIME when `clock` was read, ns', optional: true },
      cpu: here,
    },
  },
  KVM_SET_VM_TSC_KHZ: {
    target: 'vm',
    doc: 'KVM_SET_TSC_KHZ on a VM: frequency of vCPUs created from now on.',
    fields: { khz },
  },
  KVM_GET_VM_TSC_KHZ: { target: 'vm', doc: 'KVM_GET_TSC_KHZ on a VM.', fields: none },
  kvmclock_update_work: {
    target: 'vm',
    doc: 'The delayed work that brings all pages up to date runs.',
    fields: none,
  },
  kvmclock_sync_work: {
    target: 'vm',
    doc: 'The periodic work (300 s) that brings all pages up to date runs.',
    fields: none,
  },
  KVM_CREATE_VCPU: {
    target: 'vcpu',
    doc: 'A vCPU is created and counted as online; `vcpu_postcreate` follows.',
    fields: { cpu },
  },
  vcpu_postcreate: {
    target: 'vcpu',
    doc: 'A new vCPU’s TSC is synchronised (kvm_arch_vcpu_postcreate). It is loaded here.',
    fields: none,
  },
  vcpu_reset: {
    target: 'vcpu',
    doc: 'The vCPU is reset (INIT, KVM_SET_MP_STATE): its kvmclock page and steal time record are off.',
    fields: none,
  },
  vcpu_load: {
    target: 'vcpu',
    doc: 'A thread takes the vCPU onto a host CPU: at every vCPU ioctl and when scheduled in.',
    fields: { cpu },
  },
  vcpu_put: {
    target: 'vcpu',
    doc: 'The vCPU leaves its host CPU.',
    fields: {
      preempted: { type: 'bool', doc: 'scheduled out while runnable', optional: true },
      midInstruction: {
        type: 'bool',
        doc: 'preempted while KVM was about to emulate an instruction',
        optional: true,
      },
    },
  },
  vcpu_requests: {
    target: 'vcpu',
    doc: 'The vCPU serves its requests and then does not enter the guest.',
    fields: none,
  },
  kvm_entry: { target: 'vcpu', doc: 'The vCPU serves its requests and enters.', fields: none },
  kvm_exit: { target: 'vcpu', doc: 'The vCPU leaves the guest.', fields: none },
  rdtsc: { target: 'vcpu', doc: 'The guest reads its TSC.', fields: none },
  rdmsr: { target: 'vcpu', doc: 'The guest reads an MSR.', fields: { index: msrIndex } },
  wrmsr: {
    target: 'vcpu',
    doc: 'The guest writes an MSR.',
    fields: { index: msrIndex, data: msrData },
  },
  KVM_GET_MSRS: { target: 'vcpu', doc: 'The VMM reads an MSR.', fields: { index: msrIndex } },
  KVM_SET_MSRS: {
    target: 'vcpu',
    doc: 'The VMM writes an MSR.',
    fields: { index: msrIndex, data: msrData },
  },
  KVM_SET_TSC_KHZ: { target: 'vcpu', doc: 'KVM_SET_TSC_KHZ on a vCPU.', fields: { khz } },
  KVM_GET_TSC_KHZ: { target: 'vcpu', doc: 'KVM_GET_TSC_KHZ on a vCPU.', fields: none },
  KVM_HAS_TSC_OFFSET: {
    target: 'vcpu',
    doc: 'KVM_HAS_DEVICE_ATTR for KVM_VCPU_TSC_OFFSET.',
    fields: none,
  },
  KVM_GET_TSC_OFFSET: {
    target: 'vcpu',
    doc: 'KVM_GET_DEVICE_ATTR of KVM_VCPU_TSC_OFFSET.',
    fields: none,
  },
  KVM_SET_TSC_OFFSET: {
    target: 'vcpu',
    doc: 'KVM_SET_DEVICE_ATTR of KVM_VCPU_TSC_OFFSET.',
    fields: { offset: { type: 'u64', doc: 'cycles, modulo 2^64' } },
  },
  KVM_KVMCLOCK_CTRL: {
    target: 'vcpu',
    doc: 'The VMM tells that the guest was stopped.',
    fields: none,
  },
  tsc_deadline: {
    target: 'vcpu',
    doc: 'The timer of IA32_TSC_DEADLINE fires.',
    fields: none,
  },
  guest_clears_stopped: {
    target: 'vcpu',
    doc: 'The guest’s watchdog clears PVCLOCK_GUEST_STOPPED in its pvclock page.',
    fields: none,
  },
  clock_pairing: {
    target: 'vcpu',
    doc: 'The guest’s KVM_HC_CLOCK_PAIRING hypercall.',
    fields: {
      gpa: { type: 'u64', doc: 'where the answer goes' },
      clockType: { type: 'u64', doc: '0, CLOCK_REALTIME, is the only one there is' },
    },
  },
  kvm_hv_stimer_callback: {
    target: 'vcpu',
    doc: 'The timer behind one of Hyper-V’s synthetic timers fires.',
    fields: { timer: { type: 'u32', doc: 'which of the four' } },
  },
  hv_message_slot: {
    target: 'vcpu',
    doc: 'The guest’s slot for the messages of a synthetic timer fills up, or is free again.',
    fields: {
      timer: { type: 'u32', doc: 'which of the four' },
      busy: { type: 'bool', doc: 'a message of somebody else’s is in it' },
    },
  },
  ...XEN_INPUTS,
  ...NESTED_INPUTS,
  ...POSTED_INPUTS,
  protect_tsc: {
    target: 'vcpu',
    doc: 'From now on its TSC is not the host’s to set: TDX, or SecureTSC of SEV-SNP (v6.15+).',
    fields: none,
  },
});

/** Name of an input. */
export type InputType = keyof typeof INPUTS;

/**
 * What the host's clocks said where an input's code read them. A list where each vCPU in turn did so,
 * in the order of their creation; a vCPU of which it is not known has `undefined`.
 */
export type Readings = {
  readonly [N in ReadingName]?: bigint | readonly (bigint | undefined)[];
};

/** Which VM and vCPU an input names. */
type Names<T extends InputTarget> = T extends 'host'
  ? unknown
  : T extends 'vm'
    ? { /** The VM: any number that no other VM has. */ readonly vm: number }
    : { readonly vm: number /** vCPU id. */; readonly vcpu: number };

/** An input of kind `T`. */
export type InputOf<T extends InputType> = {
  readonly type: T;
  /** Its instant: host TSC, u64. */
  readonly tsc: bigint;
  readonly readings?: Readings;
} & Names<(typeof INPUTS)[T]['target']> &
  ValuesOf<(typeof INPUTS)[T]['fields']>;

/** Anything that can happen. `switch (input.type)` narrows it. */
export type Input = { [T in InputType]: InputOf<T> }[InputType];
