/**
 * Inputs of the model that no merged kernel takes: ioctls of postings, which answer with an errno
 * elsewhere.
 *
 * Source: “Cleaning up the KVM clock mess”, RFC v3 (2024) and v6 (2026); “RFC: Precise TSC
 * migration” (2020).
 */
import { inputs } from './model-spec.ts';

const none = {} as const;

export const POSTED_INPUTS = inputs({
  KVM_HAS_TSC_SCALE: {
    target: 'vcpu',
    doc: 'KVM_HAS_DEVICE_ATTR for KVM_VCPU_TSC_SCALE.',
    fields: none,
  },
  KVM_GET_TSC_SCALE: {
    target: 'vcpu',
    doc: 'KVM_GET_DEVICE_ATTR of KVM_VCPU_TSC_SCALE.',
    fields: none,
  },
  KVM_SET_TSC_SCALE: {
    target: 'vcpu',
    doc: 'KVM_SET_DEVICE_ATTR of KVM_VCPU_TSC_SCALE, which nobody may.',
    fields: none,
  },
  KVM_GET_CLOCK_GUEST: {
    target: 'vcpu',
    doc: 'The VM’s clock is read as this vCPU’s pvclock page; posted, not merged.',
    fields: none,
  },
  KVM_SET_CLOCK_GUEST: {
    target: 'vcpu',
    doc: 'The VM’s clock is set by a pvclock page of this vCPU; posted, not merged.',
    fields: {
      tscTimestamp: { type: 'u64', doc: 'guest TSC, cycles' },
      systemTime: { type: 'u64', doc: 'kvmclock then, ns' },
      tscToSystemMul: { type: 'u32', doc: 'cycles to ns' },
      tscShift: { type: 's32', doc: 'cycles to ns, −128 … 127' },
      pad: { type: 'u32', doc: 'the bytes that must be 0, combined', optional: true },
    },
  },
  KVM_GET_TSC_STATE: {
    target: 'vcpu',
    doc: 'TSC and TSC_ADJUST are read, with CLOCK_REALTIME; posted in 2020, not merged.',
    fields: none,
  },
  KVM_SET_TSC_STATE: {
    target: 'vcpu',
    doc: 'They are put back, moved on by the realtime since; posted in 2020, not merged.',
    fields: {
      flags: { type: 'u32', doc: 'TSC_ADJUST_VALID, in v2 TIMESTAMP_VALID' },
      nsec: { type: 'u64', doc: 'CLOCK_REALTIME when they were read, ns' },
      guestTsc: { type: 'u64', doc: 'TSC, cycles' },
      tscAdjust: { type: 'u64', doc: 'TSC_ADJUST, cycles' },
    },
  },
  KVM_CAP_DISABLE_QUIRKS: {
    target: 'vm',
    doc: 'KVM_ENABLE_CAP with it: quirks the VMM does without.',
    fields: { quirks: { type: 'u32', doc: '32 TSC_HOST_ACCESS, where that was posted' } },
  },
});
