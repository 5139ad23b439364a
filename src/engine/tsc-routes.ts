/**
 * The routes of TSCs: a write is matched with the VM's other TSCs, a frequency is set, and whether
 * that changes what the masterclock may be is tracked.
 */
import { call, eachVcpu, unless, vcpu, vm, when } from './phase.ts';

const TRACK_TSC = call(
  'kvm_track_tsc_matching',
  when('scansFrequencies', vm('BEGIN_FREQUENCY_SCAN'), eachVcpu(vm('COMPARE_FREQUENCY'))),
  vcpu('TRACK_TSC'),
  vm('TRACE_TRACK_TSC'),
);

export const SYNCHRONIZE_TSC = call(
  'kvm_synchronize_tsc',
  when(
    'tscIsOurs',
    vm('SYNCHRONIZE_TSC'),
    vcpu('ADOPT_SYNCHRONIZATION'),
    when('tracksWrites', TRACK_TSC),
  ),
  unless('tscIsOurs', when('notesUserFirst', vm('NOTE_USER_TSC'))),
);

export const SET_TSC_KHZ = call(
  'kvm_set_tsc_khz',
  vcpu('SET_TSC_KHZ'),
  when('rematchesNow', TRACK_TSC),
  when('keepsTscGoing', SYNCHRONIZE_TSC),
);
