import type { EventName } from '../events/index.ts';

/** The kinds of events a replay needs: pass them to `open` so that others are only counted. */
export const REPLAY_EVENTS: readonly EventName[] = [
  'kvm_pvclock_update',
  'kvm_write_tsc_offset',
  'kvm_update_master_clock',
  'kvm_track_tsc',
  'kvm_entry',
  'kvm_exit',
  'kvm_msr',
  'sys_enter_ioctl',
  'sys_exit_ioctl',
  'suspend_resume',
  'gap',
];
