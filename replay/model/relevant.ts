/** Which inputs and observations have to do with what a guest reads; nearly all have nothing. */
import { INPUT_TYPES, type Input, type Observation } from '../../events/index.ts';

// Compared one by one: to look up a name in a set takes several times as long.
export const isAboutClocks = ({ type }: Observation): boolean =>
  type === 'request' ||
  type === 'kvm_pvclock_update' ||
  type === 'kvm_write_tsc_offset' ||
  type === 'kvm_update_master_clock' ||
  type === 'kvmclock_offset';

/** It enables a host CPU, whose TSC may have lost time. */
const enablesCpu = (type: Input['type']): boolean => type === 'resume' || type === 'cpu_online';

/** Inputs, beside entries, that can change what a guest reads and show nothing. */
const isSilent = (type: Input['type']): boolean =>
  type === 'vcpu_reset' ||
  type === 'guest_clears_stopped' ||
  type === 'destroy_vm' ||
  enablesCpu(type);

const flagged = (is: (type: Input['type']) => boolean): Uint8Array =>
  Uint8Array.from(INPUT_TYPES, (type) => (is(type) ? 1 : 0));

/** By code: types whose inputs matter though they show nothing. */
export const SILENT = flagged(isSilent);
/** The same while an entry may bring a changed clock into force. */
export const SILENT_OR_ENTRY = flagged((type) => type === 'kvm_entry' || isSilent(type));
