/** Places of the fields that a replay reads, in the rows of a batch. */
import { slotOf } from '../events/index.ts';

export const PAGE = {
  vcpu: slotOf('kvm_pvclock_update', 'vcpu_id'),
  version: slotOf('kvm_pvclock_update', 'version'),
  tscTimestamp: slotOf('kvm_pvclock_update', 'tsc_timestamp'),
  systemTime: slotOf('kvm_pvclock_update', 'system_time'),
  mul: slotOf('kvm_pvclock_update', 'tsc_to_system_mul'),
  shift: slotOf('kvm_pvclock_update', 'tsc_shift'),
  flags: slotOf('kvm_pvclock_update', 'flags'),
} as const;

export const OFFSET = {
  vcpu: slotOf('kvm_write_tsc_offset', 'vcpu_id'),
  previous: slotOf('kvm_write_tsc_offset', 'previous_tsc_offset'),
  next: slotOf('kvm_write_tsc_offset', 'next_tsc_offset'),
} as const;

export const MASTERCLOCK = {
  use: slotOf('kvm_update_master_clock', 'use_master_clock'),
  hostClock: slotOf('kvm_update_master_clock', 'host_clock'),
  matched: slotOf('kvm_update_master_clock', 'offset_matched'),
} as const;

export const TRACK = {
  vcpu: slotOf('kvm_track_tsc', 'vcpu_id'),
  matched: slotOf('kvm_track_tsc', 'nr_vcpus_matched_tsc'),
  online: slotOf('kvm_track_tsc', 'online_vcpus'),
  use: slotOf('kvm_track_tsc', 'use_master_clock'),
  hostClock: slotOf('kvm_track_tsc', 'host_clock'),
} as const;

export const ENTRY = {
  vcpu: slotOf('kvm_entry', 'vcpu_id'),
  immediateExit: slotOf('kvm_entry', 'immediate_exit'),
} as const;

export const EXIT = { vcpu: slotOf('kvm_exit', 'vcpu_id') } as const;

export const MSR = {
  write: slotOf('kvm_msr', 'write'),
  ecx: slotOf('kvm_msr', 'ecx'),
  data: slotOf('kvm_msr', 'data'),
  exception: slotOf('kvm_msr', 'exception'),
} as const;

export const IOCTL = {
  fd: slotOf('sys_enter_ioctl', 'fd'),
  cmd: slotOf('sys_enter_ioctl', 'cmd'),
  arg: slotOf('sys_enter_ioctl', 'arg'),
  ret: slotOf('sys_exit_ioctl', 'ret'),
} as const;

export const SUSPEND = { start: slotOf('suspend_resume', 'start') } as const;

export const GAP = { lost: slotOf('gap', 'lost') } as const;
