/**
 * What can happen to the clocks that KVM keeps for Xen guests: pages, timers, runstates, CPUID.
 *
 * Source: arch/x86/kvm/xen.c, Linux 5.12 to 7.3.
 */
import { inputs, type ValueSpec } from './model-spec.ts';

const gpa = {
  type: 'u64',
  doc: 'guest physical address; 2^64 − 1: none',
} as const satisfies ValueSpec;

/** `struct kvm_xen_vcpu_attr`'s member `runstate`. */
const runstate = {
  state: { type: 'u64', doc: '0 running, 1 runnable, 2 blocked, 3 offline' },
  entryTimeNs: { type: 'u64', doc: 'when it was entered: must be the sum of the four times' },
  runningNs: { type: 'u64', doc: 'time spent running, ns' },
  runnableNs: { type: 'u64', doc: 'time spent waiting for a CPU, ns' },
  blockedNs: { type: 'u64', doc: 'time spent with nothing to do, ns' },
  offlineNs: { type: 'u64', doc: 'time spent offline, ns' },
} as const satisfies Record<string, ValueSpec>;

export const XEN_INPUTS = inputs({
  KVM_XEN_HVM_CONFIG: {
    target: 'vm',
    doc: 'What the VMM wants of Xen’s interface.',
    fields: {
      flags: {
        type: 'u32',
        doc: '2 INTERCEPT_HCALL, 128 PVCLOCK_TSC_UNSTABLE; others do not touch clocks',
      },
      msr: {
        type: 'u32',
        doc: 'MSR of the hypercall page; with one, vCPUs have runstates instead of steal time',
        optional: true,
      },
    },
  },
  KVM_XEN_SET_LONG_MODE: {
    target: 'vm',
    doc: 'KVM_XEN_HVM_SET_ATTR of the guest’s mode, which decides how its structs are laid out.',
    fields: { longMode: { type: 'bool', doc: '64-bit' } },
  },
  KVM_XEN_SET_SHARED_INFO: {
    target: 'vm',
    doc: 'KVM_XEN_HVM_SET_ATTR of the shared_info page, which holds a wall clock.',
    fields: { gpa },
  },
  KVM_XEN_SET_VCPU_INFO: {
    target: 'vcpu',
    doc: 'KVM_XEN_VCPU_SET_ATTR of vcpu_info, which holds a pvclock page.',
    fields: { gpa },
  },
  KVM_XEN_SET_VCPU_TIME_INFO: {
    target: 'vcpu',
    doc: 'KVM_XEN_VCPU_SET_ATTR of vcpu_time_info, a pvclock page of its own.',
    fields: { gpa },
  },
  KVM_XEN_SET_RUNSTATE_ADDR: {
    target: 'vcpu',
    doc: 'KVM_XEN_VCPU_SET_ATTR of where the guest reads its runstate.',
    fields: { gpa },
  },
  KVM_XEN_SET_RUNSTATE_CURRENT: {
    target: 'vcpu',
    doc: 'KVM_XEN_VCPU_SET_ATTR: the vCPU changes to a runstate.',
    fields: { state: runstate.state },
  },
  KVM_XEN_SET_RUNSTATE_DATA: {
    target: 'vcpu',
    doc: 'KVM_XEN_VCPU_SET_ATTR of the runstate and all its times.',
    fields: runstate,
  },
  KVM_XEN_SET_RUNSTATE_ADJUST: {
    target: 'vcpu',
    doc: 'KVM_XEN_VCPU_SET_ATTR: times are added; a state of 2^64 − 1 leaves it as it is.',
    fields: runstate,
  },
  KVM_XEN_SET_TIMER: {
    target: 'vcpu',
    doc: 'KVM_XEN_VCPU_SET_ATTR of the timer.',
    fields: {
      port: { type: 'u32', doc: 'event channel; 0: the kernel has no timer for this vCPU' },
      expiresNs: { type: 'u64', doc: 'when it shall fire, by the guest’s clock; 0: not at all' },
    },
  },
  KVM_XEN_VCPU_GET_ATTR: {
    target: 'vcpu',
    doc: 'One of these attributes is read.',
    fields: {
      attr: {
        type: 'u32',
        doc: '0 vcpu_info, 1 vcpu_time_info, 2 runstate address, 3 current runstate, 4 its data, 7 timer',
      },
    },
  },
  xen_hypercall: {
    target: 'vcpu',
    doc: 'The guest calls Xen, about its timer.',
    fields: {
      nr: { type: 'u32', doc: '15 set_timer_op, 24 vcpu_op' },
      cmd: {
        type: 'u32',
        doc: 'of vcpu_op: 6, 7 set and stop a periodic timer, 8, 9 a single shot',
        optional: true,
      },
      vcpuId: { type: 'u32', doc: 'of vcpu_op: whose; the caller’s when left out', optional: true },
      timeoutNs: { type: 'u64', doc: 'when it shall fire, by the guest’s clock', optional: true },
      flags: { type: 'u32', doc: 'of a single shot: 1 VCPU_SSHOTTMR_future', optional: true },
    },
  },
  xen_timer: {
    target: 'vcpu',
    doc: 'The timer that the guest or the VMM set fires.',
    fields: {},
  },
  KVM_SET_CPUID2: {
    target: 'vcpu',
    doc: 'The VMM gives the vCPU Xen’s CPUID leaf with the TSC’s frequency (0x40000x03).',
    fields: {
      mul: { type: 'u32', doc: 'multiplier of the pvclock: subleaf 1, ECX' },
      shift: { type: 's32', doc: 'its shift, −31 … 31: subleaf 1, EDX' },
      khz: { type: 'u32', doc: 'frequency of the TSC: subleaf 2, EAX' },
    },
  },
  cpuid: {
    target: 'vcpu',
    doc: 'The guest reads that leaf.',
    fields: { subleaf: { type: 'u32', doc: '1 or 2; others say nothing of clocks' } },
  },
});
