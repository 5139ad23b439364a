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
        doc: 'pvclock, xen_pvclock, wall_clock, steal_time, hv_tsc_page, clock_pairing',
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
    },
  },
  timer_fired: {
    doc: 'It fired.',
    fields: { name: { type: 'text', doc: 'the input' } },
  },
});

/** Tracepoints of the kernel that the model predicts. */
export type TracepointName =
  | 'kvm_write_tsc_offset'
  | 'kvm_track_tsc'
  | 'kvm_update_master_clock'
  | 'kvm_pvclock_update';

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
