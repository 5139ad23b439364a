/**
 * The routes of TSCs: a write is matched with the VM's other TSCs, a frequency is set, and whether
 * that changes what the masterclock may be is tracked.
 */
import { type Ctx, isTscProtected, reachesFrequency, setsFrequency } from '../clock/index.ts';
import { eachVcpu, not, type Route, vcpu, vm, when } from './phase.ts';

const scansFrequencies = (ctx: Ctx): boolean => ctx.switches.mclkCriterion === 'frequency';
const rematches = (ctx: Ctx): boolean => ctx.switches.syncOnSetTscKhz === 'rematch';

/** `kvm_track_tsc_matching()`. */
const TRACK_TSC: Route = [
  when(scansFrequencies, vm('BEGIN_FREQUENCY_SCAN'), eachVcpu(vm('COMPARE_FREQUENCY'))),
  vcpu('TRACK_TSC'),
  vm('TRACE_TRACK_TSC'),
];

/** RFC v3 tracks when a frequency is set, and writes of TSCs change nothing that it looks at. */
const tracksWrites = (ctx: Ctx): boolean => !(scansFrequencies(ctx) && rematches(ctx));
const tscIsOurs = (ctx: Ctx): boolean => !isTscProtected(ctx.vcpu, ctx.switches);
/** Until v6.14 userspace's value is noted by the caller, whatever becomes of it. */
const notesUserFirst = (ctx: Ctx): boolean =>
  ctx.switches.userSetTsc === 'after-decision' && ctx.input.type === 'KVM_SET_MSRS';

/** `kvm_synchronize_tsc()`. */
export const SYNCHRONIZE_TSC: Route = [
  when(
    tscIsOurs,
    vm('SYNCHRONIZE_TSC'),
    vcpu('ADOPT_SYNCHRONIZATION'),
    when(tracksWrites, ...TRACK_TSC),
  ),
  when(not(tscIsOurs), when(notesUserFirst, vm('NOTE_USER_TSC'))),
];

const rematchesNow = (ctx: Ctx): boolean => rematches(ctx) && setsFrequency(ctx);
const keepsTscGoing = (ctx: Ctx): boolean =>
  ctx.switches.syncOnSetTscKhz === 'continuous' && setsFrequency(ctx) && reachesFrequency(ctx);

/** `kvm_set_tsc_khz()`. */
export const SET_TSC_KHZ: Route = [
  vcpu('SET_TSC_KHZ'),
  when(rematchesNow, ...TRACK_TSC),
  when(keepsTscGoing, ...SYNCHRONIZE_TSC),
];
