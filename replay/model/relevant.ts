/** Which inputs and observations have to do with what a guest reads; nearly all have nothing. */
import { INPUT_TYPES, type Input, type Observation } from '../../events/index.ts';

const OBSERVATIONS: ReadonlySet<Observation['type']> = new Set([
  'kvm_pvclock_update',
  'kvm_write_tsc_offset',
  'kvm_update_master_clock',
  'kvmclock_offset',
  'request',
]);

export const isAboutClocks = ({ type }: Observation): boolean => OBSERVATIONS.has(type);

/** Inputs that enable a host CPU, whose TSC may have lost time. */
const ENABLE_CPU: readonly Input['type'][] = ['resume', 'cpu_online'];

export const enablesCpu = (type: Input['type']): boolean => ENABLE_CPU.includes(type);

/** Inputs, beside entries, that can change what a guest reads and show nothing. */
const SILENT_TYPES: readonly Input['type'][] = [
  'vcpu_reset',
  'guest_clears_stopped',
  'destroy_vm',
  ...ENABLE_CPU,
];

const flagged = (types: readonly Input['type'][]): Uint8Array =>
  Uint8Array.from(INPUT_TYPES, (type) => (types.includes(type) ? 1 : 0));

/** By code: types whose inputs matter though they show nothing. */
export const SILENT = flagged(SILENT_TYPES);
/** The same while an entry may bring a changed clock into force. */
export const SILENT_OR_ENTRY = flagged([...SILENT_TYPES, 'kvm_entry']);
/** By code: types whose inputs matter beside what they show. */
export const SETTLING = flagged([
  ...SILENT_TYPES,
  'KVM_CREATE_VM',
  'KVM_CREATE_VCPU',
  'KVM_SET_TSC_KHZ',
  'kvm_entry',
  'vcpu_requests',
  'wrmsr',
  'KVM_SET_MSRS',
]);
