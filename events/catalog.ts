/**
 * What can be seen in a recording, declared once.
 *
 * Every entry is a kernel tracepoint (or one of two things a tracer adds: a `marker` that someone
 * wrote to trace_marker, and a `gap` where events were lost). An entry's fields carry the kernel's
 * own names and widths; from this table derive the typed events (`./event.ts`), the columns that
 * carry them in bulk (`./batch.ts`), the binary decoding by a recording's format files and the text
 * grammar (`replay/formats`). Nothing else repeats a field name.
 *
 * Source: arch/x86/kvm/trace.h, include/trace/events/power.h and kernel/trace/trace_syscalls.c of
 * Linux 4.4 to 7.3. Where the text of an event changed between releases, all its forms are listed.
 */
import type { EventSpec, FieldSpec } from './spec.ts';

const vcpuId = { type: 'u32', doc: 'vCPU id (not unique across VMs)' } as const satisfies FieldSpec;
const signedVcpuId = {
  type: 's32',
  doc: 'vCPU id (not unique across VMs)',
} as const satisfies FieldSpec;
const timerIndex = { type: 's32', doc: 'synthetic timer, 0 to 3' } as const satisfies FieldSpec;
const useMasterClock = { type: 'bool', doc: 'ka->use_master_clock' } as const satisfies FieldSpec;
const hostClock = {
  type: 'u32',
  doc: 'host vDSO clock mode: 0 none, 1 tsc, 2 pvclock, 3 hvclock (v4.4: 2 hpet, 3 pvclock)',
} as const satisfies FieldSpec;
const noFields = {} as const;

const spec = <const T extends Record<string, EventSpec>>(table: T): T => table;

export const EVENTS = spec({
  kvm_pvclock_update: {
    role: 'observation',
    system: 'kvm',
    doc: "A vCPU's pvclock page is written. The version is odd up to v5.18, even from v5.19 on.",
    fields: {
      vcpu_id: vcpuId,
      version: { type: 'u32', doc: 'version as traced; never test its parity' },
      tsc_timestamp: { type: 'u64', doc: 'reference, guest TSC cycles' },
      system_time: { type: 'u64', doc: 'kvmclock at the reference, ns' },
      tsc_to_system_mul: { type: 'u32', doc: 'multiplier of pvclock_scale_delta' },
      tsc_shift: { type: 's8', doc: 'shift of pvclock_scale_delta' },
      flags: { type: 'u8', doc: 'bit 0 TSC_STABLE, bit 1 GUEST_STOPPED' },
    },
    print: [
      'vcpu_id %vcpu_id, pvclock { version %version, tsc_timestamp %tsc_timestamp, system_time %system_time, tsc_to_system_mul %tsc_to_system_mul, tsc_shift %tsc_shift, flags %flags',
    ],
  },
  kvm_write_tsc_offset: {
    role: 'observation',
    system: 'kvm',
    doc: "A vCPU's TSC offset is about to be stored. Also emitted when it does not change.",
    fields: {
      vcpu_id: vcpuId,
      previous_tsc_offset: { type: 'u64', doc: 'cycles, modulo 2^64' },
      next_tsc_offset: { type: 'u64', doc: 'cycles, modulo 2^64' },
    },
    print: ['vcpu=%vcpu_id prev=%previous_tsc_offset next=%next_tsc_offset'],
  },
  kvm_update_master_clock: {
    role: 'observation',
    system: 'kvm',
    doc: 'The masterclock was recomputed (end of pvclock_update_vm_gtod_copy). Names no VM.',
    fields: {
      use_master_clock: useMasterClock,
      host_clock: hostClock,
      offset_matched: { type: 'bool', doc: 'all vCPUs of the VM share one TSC generation' },
    },
    print: [
      'masterclock %use_master_clock hostclock %host_clock:clock offsetmatched %offset_matched',
    ],
  },
  kvm_track_tsc: {
    role: 'observation',
    system: 'kvm',
    doc: 'A TSC synchronisation was tracked; shows the flag before the update it asks for.',
    fields: {
      vcpu_id: vcpuId,
      nr_vcpus_matched_tsc: { type: 'u32', doc: 'matched vCPUs, without the reference vCPU' },
      online_vcpus: { type: 'u32', doc: 'vCPUs online in the VM' },
      use_master_clock: useMasterClock,
      host_clock: hostClock,
    },
    print: [
      'vcpu_id %vcpu_id masterclock %use_master_clock offsetmatched %nr_vcpus_matched_tsc nr_online %online_vcpus hostclock %host_clock:clock',
    ],
  },
  kvm_hv_stimer_start_periodic: {
    role: 'observation',
    system: 'kvm',
    doc: 'A periodic Hyper-V synthetic timer is armed.',
    fields: {
      vcpu_id: signedVcpuId,
      timer_index: timerIndex,
      time_now: { type: 'u64', doc: 'reference time, 100 ns' },
      exp_time: { type: 'u64', doc: 'expiry, 100 ns' },
    },
    print: ['vcpu_id %vcpu_id timer %timer_index time_now %time_now exp_time %exp_time'],
  },
  kvm_hv_stimer_start_one_shot: {
    role: 'observation',
    system: 'kvm',
    doc: 'A one-shot Hyper-V synthetic timer is armed.',
    fields: {
      vcpu_id: signedVcpuId,
      timer_index: timerIndex,
      time_now: { type: 'u64', doc: 'reference time, 100 ns' },
      count: { type: 'u64', doc: 'expiry, 100 ns' },
    },
    print: ['vcpu_id %vcpu_id timer %timer_index time_now %time_now count %count'],
  },
  kvm_hv_stimer_expiration: {
    role: 'observation',
    system: 'kvm',
    doc: 'A Hyper-V synthetic timer fired.',
    fields: {
      vcpu_id: signedVcpuId,
      timer_index: timerIndex,
      direct: { type: 's32', doc: 'direct mode', absent: 0 },
      msg_send_result: { type: 's32', doc: 'result of sending the message' },
    },
    print: [
      'vcpu_id %vcpu_id timer %timer_index direct %direct send result %msg_send_result',
      'vcpu_id %vcpu_id timer %timer_index msg send result %msg_send_result',
    ],
  },
  kvm_hv_timer_state: {
    role: 'observation',
    system: 'kvm',
    doc: 'The TSC deadline timer moved to or from the VMX preemption timer.',
    fields: {
      vcpu_id: vcpuId,
      hv_timer_in_use: { type: 'u32', doc: '1 when the preemption timer runs it' },
    },
    print: ['vcpu_id %vcpu_id:x hv_timer %hv_timer_in_use:x'],
  },
  kvm_wait_lapic_expire: {
    role: 'observation',
    system: 'kvm',
    doc: 'A TSC deadline was delivered.',
    fields: {
      vcpu_id: vcpuId,
      delta: { type: 's64', doc: 'guest cycles past (+) or before (-) the deadline' },
    },
    print: ['vcpu %vcpu_id: delta %delta'],
  },
  kvm_entry: {
    role: 'input',
    system: 'kvm',
    doc: 'A vCPU enters the guest.',
    fields: {
      vcpu_id: vcpuId,
      immediate_exit: { type: 'bool', doc: 'entered only to leave again at once', absent: 0 },
    },
    print: ['vcpu %vcpu_id%immediate_exit?[immediate exit]'],
  },
  kvm_exit: {
    role: 'input',
    system: 'kvm',
    doc: 'A vCPU left the guest. Kernels before v5.10 do not say which: it is the one that entered.',
    fields: {
      vcpu_id: { type: 'u32', doc: 'vCPU id', absent: 0xffffffff },
    },
    print: ['vcpu %vcpu_id', 'reason'],
  },
  kvm_msr: {
    role: 'input',
    system: 'kvm',
    doc: 'The guest read or wrote an MSR. Accesses by the host are not traced.',
    fields: {
      write: { type: 'bool', doc: '1 for WRMSR' },
      ecx: { type: 'u32', doc: 'MSR number' },
      data: { type: 'u64', doc: 'value' },
      exception: { type: 'bool', doc: 'the access raised #GP', absent: 0 },
    },
    print: ['msr_%write:rw %ecx:x = %data%exception?(#GP)'],
  },
  kvm_hv_stimer_set_config: {
    role: 'input',
    system: 'kvm',
    doc: 'STIMERn_CONFIG written.',
    fields: {
      vcpu_id: signedVcpuId,
      timer_index: timerIndex,
      config: { type: 'u64', doc: 'MSR value' },
      host: { type: 'bool', doc: 'written by the VMM' },
    },
    print: ['vcpu_id %vcpu_id timer %timer_index config %config host %host'],
  },
  kvm_hv_stimer_set_count: {
    role: 'input',
    system: 'kvm',
    doc: 'STIMERn_COUNT written.',
    fields: {
      vcpu_id: signedVcpuId,
      timer_index: timerIndex,
      count: { type: 'u64', doc: 'MSR value, 100 ns' },
      host: { type: 'bool', doc: 'written by the VMM' },
    },
    print: ['vcpu_id %vcpu_id timer %timer_index count %count host %host'],
  },
  sys_enter_ioctl: {
    role: 'input',
    system: 'syscalls',
    doc: 'ioctl(2) begins. Carries the request number, never what the argument points to.',
    fields: {
      fd: { type: 'u32', doc: 'file descriptor of the calling process' },
      cmd: { type: 'u32', doc: 'request number' },
      arg: { type: 'u64', doc: 'argument: a value or a user address' },
    },
    // Kernels up to 6.x print hexadecimal without 0x; a name with "(" or " ->" tells the two apart.
    print: ['(fd: %fd:x, cmd: %cmd:x, arg: %arg:x', 'fd: %fd:x, cmd: %cmd:x, arg: %arg:x'],
  },
  sys_exit_ioctl: {
    role: 'input',
    system: 'syscalls',
    doc: 'ioctl(2) returns.',
    fields: { ret: { type: 's64', doc: 'result, or minus errno' } },
    print: ['-> %ret', '%ret'],
  },
  sys_enter_adjtimex: {
    role: 'input',
    system: 'syscalls',
    doc: 'The host clock is steered.',
    fields: noFields,
  },
  sys_enter_clock_adjtime: {
    role: 'input',
    system: 'syscalls',
    doc: 'The host clock is steered.',
    fields: noFields,
  },
  sys_enter_clock_settime: {
    role: 'input',
    system: 'syscalls',
    doc: 'The host wall clock is set.',
    fields: noFields,
  },
  suspend_resume: {
    role: 'input',
    system: 'power',
    doc: 'A step of host suspend or resume begins or ends; `text` names the step.',
    fields: {
      val: { type: 's32', doc: 'argument of the step' },
      start: { type: 'bool', doc: '1 when the step begins' },
    },
    text: true,
    print: ['%text[%val] %start:01'],
  },
  marker: {
    role: 'tracer',
    system: 'ftrace',
    doc: 'A line someone wrote to trace_marker.',
    fields: noFields,
    text: true,
    aliases: ['tracing_mark_write', 'print'],
    print: ['%text'],
  },
  gap: {
    role: 'tracer',
    system: 'tracer',
    doc: 'Events are missing here: what was known of clocks before is no longer known.',
    fields: {
      lost: { type: 'u64', doc: 'how many were lost; 0 when the tracer does not know' },
    },
    text: true,
  },
});

/** Name of an event: the kernel's, or `marker` or `gap`. */
export type EventName = keyof typeof EVENTS;

/** All names, in the order of the catalogue; an event's code is its place here. */
export const EVENT_NAMES = Object.keys(EVENTS) as readonly EventName[];

/** Code of each event: what batches store. Not stable across releases; never written to files. */
export const EVENT_CODES = Object.fromEntries(
  EVENT_NAMES.map((name, code) => [name, code]),
) as Readonly<Record<EventName, number>>;

/** The clock's own tracepoints: what a guest's clock is known from. */
export const CLOCK_EVENTS = [
  'kvm_write_tsc_offset',
  'kvm_track_tsc',
  'kvm_update_master_clock',
  'kvm_pvclock_update',
] as const satisfies readonly EventName[];
