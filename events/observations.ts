/**
 * What the model lets be seen: the kernel's own tracepoints, writes to guest memory, results.
 *
 * The tracepoints among them carry the fields of the catalogue (`catalog.ts`) in the spelling of
 * typed events, so that what the model says and what a recording says compare field by field.
 */
import type { EventHeader, EventOf } from './event.ts';
import type { ValueSpecs, ValuesOf } from './model-spec.ts';

/** One kind of observation that no tracepoint shows. */
interface ObservationSpec {
  readonly doc: string;
  readonly fields: ValueSpecs;
}

const spec = <const T extends Record<string, ObservationSpec>>(table: T): T => table;

export const OBSERVATIONS = spec({
  guest_write: {
    doc: 'Bytes written to guest memory, in the order in which another vCPU could see them.',
    fields: {
      gpa: { type: 'u64', doc: 'guest physical address' },
      bytes: { type: 'bytes', doc: 'what is there now' },
      what: {
        type: 'text',
        doc: 'pvclock, xen_pvclock, wall_clock, xen_wall_clock, xen_runstate, steal_time, hv_tsc_page, clock_pairing',
      },
    },
  },
  msr_result: {
    doc: 'How an access to an MSR ended.',
    fields: {
      index: { type: 'u32', doc: 'MSR number' },
      ok: { type: 'bool', doc: 'false: #GP in the guest, or 0 MSRs done for the VMM' },
      data: { type: 'u64', doc: 'what was read', optional: true },
    },
  },
  ioctl_result: {
    doc: 'What an ioctl or hypercall returned.',
    fields: {
      name: { type: 'text', doc: 'of the input' },
      ret: { type: 's32', doc: '0 or more, or minus errno' },
      clock: { type: 'u64', doc: 'KVM_GET_CLOCK: kvmclock, ns', optional: true },
      flags: { type: 'u32', doc: 'KVM_GET_CLOCK(_GUEST), _TSC_STATE: flags', optional: true },
      realtime: { type: 'u64', doc: 'KVM_GET_CLOCK: CLOCK_REALTIME, ns', optional: true },
      hostTsc: { type: 'u64', doc: 'KVM_GET_CLOCK: cycles', optional: true },
      offset: { type: 'u64', doc: 'KVM_VCPU_TSC_OFFSET, cycles', optional: true },
      ratio: { type: 'u64', doc: 'KVM_VCPU_TSC_SCALE: fixed point', optional: true },
      fracBits: { type: 'u32', doc: 'KVM_VCPU_TSC_SCALE: its fractional bits', optional: true },
      version: { type: 'u32', doc: 'KVM_GET_CLOCK_GUEST: of the page', optional: true },
      tscTimestamp: { type: 'u64', doc: 'KVM_GET_CLOCK_GUEST: cycles', optional: true },
      systemTime: { type: 'u64', doc: 'KVM_GET_CLOCK_GUEST: ns', optional: true },
      tscToSystemMul: { type: 'u32', doc: 'KVM_GET_CLOCK_GUEST', optional: true },
      tscShift: { type: 's32', doc: 'KVM_GET_CLOCK_GUEST', optional: true },
      nsec: { type: 'u64', doc: 'KVM_GET_TSC_STATE: CLOCK_REALTIME, ns', optional: true },
      guestTsc: { type: 'u64', doc: 'KVM_GET_TSC_STATE: cycles', optional: true },
      tscAdjust: { type: 'u64', doc: 'KVM_GET_TSC_STATE: cycles', optional: true },
    },
  },
  tsc_value: {
    doc: 'The guest’s TSC.',
    fields: { tsc: { type: 'u64', doc: 'cycles' } },
  },
  request: {
    doc: 'A request was raised on a vCPU, which serves it before it next enters the guest.',
    fields: { name: { type: 'text', doc: 'MASTERCLOCK_UPDATE, CLOCK_UPDATE, …' } },
  },
  kvmclock_offset: {
    doc: 'The VM’s kvmclock offset was set. No tracepoint shows it.',
    fields: { offset: { type: 's64', doc: 'ns, added to the base clock' } },
  },
  timer_armed: {
    doc: 'Work or a timer was set to fire.',
    fields: {
      name: { type: 'text', doc: 'the input that will follow' },
      delayNs: { type: 'u64', doc: 'from now, ns; the kernel may be later, never earlier' },
      timer: { type: 'u32', doc: 'which, where a vCPU has several of the name', optional: true },
      expires: { type: 'u64', doc: 'when, by the clock it was asked for in', optional: true },
      errorNs: {
        type: 's64',
        doc: 'by how much the guest’s own clock is ahead of what KVM took for it: it fires so much late',
        optional: true,
      },
      gapNs: {
        type: 's64',
        doc: 'time between two clock reads that KVM took for one: it fires so much late',
        optional: true,
      },
    },
  },
  timer_fired: {
    doc: 'It fired.',
    fields: {
      name: { type: 'text', doc: 'the input' },
      timer: { type: 'u32', doc: 'which, where a vCPU has several of the name', optional: true },
      lateNs: {
        type: 's64',
        doc: 'what the guest’s clock reads now minus what it was to read, ns; negative: early',
        optional: true,
      },
    },
  },
  xen_attr: {
    doc: 'What an attribute of Xen’s interface reads as.',
    fields: {
      attr: { type: 'u32', doc: 'KVM_XEN_VCPU_ATTR_TYPE_…' },
      gpa: { type: 'u64', doc: 'guest physical address', optional: true },
      state: { type: 'u64', doc: 'runstate', optional: true },
      entryTimeNs: { type: 'u64', doc: 'when it was entered', optional: true },
      runningNs: { type: 'u64', doc: 'ns', optional: true },
      runnableNs: { type: 'u64', doc: 'ns', optional: true },
      blockedNs: { type: 'u64', doc: 'ns', optional: true },
      offlineNs: { type: 'u64', doc: 'ns', optional: true },
      port: { type: 'u32', doc: 'the timer’s event channel', optional: true },
      expiresNs: { type: 'u64', doc: 'when the timer fires, by the guest’s clock', optional: true },
    },
  },
  xen_hypercall_result: {
    doc: 'How a hypercall to Xen ended.',
    fields: {
      handled: { type: 'bool', doc: 'false: it is the VMM’s' },
      ret: { type: 's32', doc: '0, or minus errno', optional: true },
    },
  },
  cpuid_result: {
    doc: 'What the guest reads of Xen’s CPUID leaf with the TSC’s frequency.',
    fields: {
      subleaf: { type: 'u32', doc: '1 or 2' },
      eax: { type: 'u32', doc: 'subleaf 2: kHz' },
      ecx: { type: 'u32', doc: 'subleaf 1: multiplier of the pvclock' },
      edx: { type: 'u32', doc: 'subleaf 1: its shift, as a u32' },
    },
  },
  nested_result: {
    doc: 'How L1’s attempt to run L2 ended.',
    fields: {
      outcome: {
        type: 'text',
        doc: 'entered, VMEXIT_INVALID (SVM), VMfailValid or entry failure (VMX)',
      },
      code: {
        type: 's64',
        doc: '0, exit_code (SVM), VM-instruction error or exit reason (VMX)',
      },
    },
  },
});

/** Tracepoints of the kernel that the model predicts. */
export type TracepointName =
  | 'kvm_write_tsc_offset'
  | 'kvm_track_tsc'
  | 'kvm_update_master_clock'
  | 'kvm_pvclock_update'
  | 'kvm_hv_stimer_set_config'
  | 'kvm_hv_stimer_set_count'
  | 'kvm_hv_stimer_start_periodic'
  | 'kvm_hv_stimer_start_one_shot'
  | 'kvm_hv_stimer_expiration'
  | 'kvm_hv_timer_state';

/** Where an observation was made. */
export interface ObservationHeader {
  readonly vm: number;
  /** vCPU id, where it concerns one. */
  readonly vcpu?: number;
}

type Tracepoint = {
  [N in TracepointName]: { readonly type: N } & Omit<EventOf<N>, keyof EventHeader | 'type'>;
}[TracepointName];

type Other = {
  [N in keyof typeof OBSERVATIONS]: { readonly type: N } & ValuesOf<
    (typeof OBSERVATIONS)[N]['fields']
  >;
}[keyof typeof OBSERVATIONS];

/** Something seen. `switch (observation.type)` narrows it. */
export type Observation = ObservationHeader & (Tracepoint | Other);

/** An observation of kind `N`. */
export type ObservationOf<N extends Observation['type']> = Extract<
  Observation,
  { readonly type: N }
>;
