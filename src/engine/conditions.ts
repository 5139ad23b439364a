/**
 * What routes ask: under which conditions a phase happens, by name. A condition sees what recipes
 * see, and is asked when its turn comes.
 */
import {
  adjustNamesState,
  armsSyncWork,
  asksForHvPage,
  bootVcpuChangesMsr,
  bootVcpuWrites,
  type Ctx,
  changesXenTscUnstable,
  checkTscUnstable,
  countsRunstate,
  cpuidAsksForClock,
  hasTscHostAccess,
  ignoresTscRatio,
  isPageOutdated,
  isTscProtected,
  loadMatters,
  loadSeesBackwardsTsc,
  loadTakesGlobalUpdate,
  placesSharedInfo,
  putChangesRunstate,
  type Request,
  reachesFrequency,
  requestMask,
  restartsClock,
  runstateMoves,
  setsFrequency,
  startsXenTimer,
  stopsXenTimer,
  updateArmsSyncWork,
} from '../clock/index.ts';

/** Whether a phase happens. */
export type Condition = (ctx: Ctx) => boolean;

function requested(request: Request): Condition {
  const mask = requestMask(request);
  return (ctx) => (ctx.vcpu.requests & mask) !== 0;
}

const CLOCK_UPDATE = requestMask('CLOCK_UPDATE');

const scansFrequencies: Condition = ({ switches }) => switches.mclkCriterion === 'frequency';
const rematches: Condition = ({ switches }) => switches.syncOnSetTscKhz === 'rematch';
/** Until v5.17 only the first vCPU keeps Hyper-V's page up to date. */
const updatesHvPage: Condition = ({ switches, vcpu }) =>
  switches.hvPageFrom === 'any' || vcpu.vcpuIdx === 0;

export const CONDITIONS = {
  ...{ adjustNamesState, armsSyncWork, asksForHvPage, bootVcpuChangesMsr, bootVcpuWrites },
  ...{ changesXenTscUnstable, countsRunstate, cpuidAsksForClock, hasTscHostAccess },
  ...{ ignoresTscRatio, isPageOutdated, loadMatters, loadSeesBackwardsTsc },
  ...{ loadTakesGlobalUpdate, placesSharedInfo, putChangesRunstate, restartsClock, runstateMoves },
  ...{ startsXenTimer, stopsXenTimer, updateArmsSyncWork },

  anyRequested: (ctx) => ctx.vcpu.requests !== 0,
  migrateTimerRequested: requested('MIGRATE_TIMER'),
  masterclockUpdateRequested: requested('MASTERCLOCK_UPDATE'),
  globalClockUpdateRequested: requested('GLOBAL_CLOCK_UPDATE'),
  clockUpdateRequested: requested('CLOCK_UPDATE'),
  stealUpdateRequested: requested('STEAL_UPDATE'),
  hvStimerRequested: requested('HV_STIMER'),

  masterclockIsOn: ({ vm }) => vm.masterclock === 'on',
  tscIsUnstable: ({ host, switches }) => checkTscUnstable(host, switches),
  tscIsBehind: ({ host, switches }) => !checkTscUnstable(host, switches) && host.tscDeficit > 0n,
  /** KVM listens to cpufreq only where the TSC's frequency is the CPU's (`kvm_timer_init()`). */
  tscFollowsCpu: ({ host }) => !host.constantTsc,
  tscLostTime: ({ vcpu }) => vcpu.tscOffsetAdjustment !== 0n,
  tscIsOurs: ({ vcpu, switches }) => !isTscProtected(vcpu, switches),

  /** Only an update that is to be retried leaves the request up. */
  pageIsUpToDate: ({ vcpu }) => (vcpu.requests & CLOCK_UPDATE) === 0,
  answersAllRequests: ({ switches }) => switches.mclkUpdateDedup,
  updatesOthersLater: ({ switches }) => switches.globalUpdateMechanism === 'delayed',
  updatesHvPageFirst: (ctx) => ctx.switches.hvPageBeforeXen && updatesHvPage(ctx),
  updatesHvPageLast: (ctx) => !ctx.switches.hvPageBeforeXen && updatesHvPage(ctx),

  updatesBeforeSetting: ({ switches: { setClockOrder } }) =>
    setClockOrder === 'update-then-now' || setClockOrder === 'update-then-reference',
  setsAgainstBase: ({ switches }) => switches.setClockOrder === 'base-then-update',
  setsAgainstNow: ({ switches: { setClockOrder } }) =>
    setClockOrder === 'now-then-update' || setClockOrder === 'update-then-now',
  setsAgainstReference: ({ switches }) => switches.setClockOrder === 'update-then-reference',

  syncWorkGoesOn: ({ vm }) => vm.syncWork === 'armed',
  setsKhzBeforeLoad: ({ switches }) => switches.createSetsKhz === 'before-load',
  destroyLoads: ({ switches }) => switches.destroyLoads,
  suspendStopsGuests: ({ switches }) => switches.suspendStopsGuests,
  hasKvmclock: ({ vcpu }) => vcpu.kvmclock !== 'off',
  /** Taking the page away asks for nothing. */
  sharedInfoAsksForUpdate: (ctx) => ctx.switches.mclkUpdateOnXenSharedInfo && placesSharedInfo(ctx),

  scansFrequencies,
  /** RFC v3 tracks when a frequency is set, and writes of TSCs change nothing that it looks at. */
  tracksWrites: (ctx) => !(scansFrequencies(ctx) && rematches(ctx)),
  /** Until v6.14 userspace's value is noted by the caller, whatever becomes of it. */
  notesUserFirst: ({ switches, input }) =>
    switches.userSetTsc === 'after-decision' && input.type === 'KVM_SET_MSRS',
  rematchesNow: (ctx) => rematches(ctx) && setsFrequency(ctx),
  keepsTscGoing: (ctx) =>
    ctx.switches.syncOnSetTscKhz === 'continuous' && setsFrequency(ctx) && reachesFrequency(ctx),
  guestSynchronizes: ({ switches }) => switches.tscWriteByGuest === 'sync',
  adjustSynchronizes: ({ switches }) => switches.tscAdjustSynchronizes,
  adjustRaisesClockUpdate: ({ switches }) => switches.tscAdjustRaisesClockUpdate,
} satisfies Record<string, Condition>;

/** Name of a condition. */
export type ConditionName = keyof typeof CONDITIONS;
