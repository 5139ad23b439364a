/** Which inputs and observations have to do with what a guest reads; nearly all have nothing. */
import type { Input, Observation } from '../../events/index.ts';

const OBSERVATIONS: ReadonlySet<Observation['type']> = new Set([
  'kvm_pvclock_update',
  'kvm_write_tsc_offset',
  'kvm_update_master_clock',
  'kvmclock_offset',
  'request',
]);

export const isAboutClocks = ({ type }: Observation): boolean => OBSERVATIONS.has(type);

/** It enables a host CPU, whose TSC may have lost time. */
export const enablesCpu = ({ type }: Input): boolean => type === 'resume' || type === 'cpu_online';

/** Inputs, beside entries, that can change what a guest reads and show nothing. */
const SILENT: ReadonlySet<Input['type']> = new Set([
  'vcpu_reset',
  'guest_clears_stopped',
  'destroy_vm',
]);

/** An input that shows nothing may still change a clock, or bring one into force that `changed`. */
export function mayChangeClocks(input: Input, changed: ReadonlySet<unknown>): boolean {
  const { type } = input;
  if (type === 'kvm_exit') return false;
  if (type === 'kvm_entry') return changed.size > 0;
  return SILENT.has(type) || enablesCpu(input);
}
