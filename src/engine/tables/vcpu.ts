/** What the machine vcpu does at each signal. Derived from it by XState: `npm run build`. */
import {
  type Ctx,
  type VcpuGuard,
  type VcpuRecipe,
  type VcpuState,
  vcpuGuards,
  vcpuRecipes,
} from '../../clock/index.ts';
import type { VcpuCell } from '../stepper.ts';

const guards: Readonly<Record<keyof typeof vcpuGuards, VcpuGuard>> = vcpuGuards;
const recipes: Readonly<Record<keyof typeof vcpuRecipes, VcpuRecipe>> = vcpuRecipes;

// Where in the struct the state of a region stands, and the bytes that stand for its states.
const LIFE = 496;
const LIFE_ABSENT = 0;
const LIFE_CREATED = 1;
const LIFE_ONLINE = 2;
const LIFE_DESTROYED = 3;
const RUN = 497;
const RUN_UNLOADED = 0;
const RUN_LOADED = 1;
const RUN_GUEST = 2;
const KVMCLOCK = 498;
const KVMCLOCK_OFF = 0;
const KVMCLOCK_OLD = 1;
const KVMCLOCK_NEW = 2;
const CATCHUP = 499;
const CATCHUP_OFF = 0;
const CATCHUP_CATCHUP = 1;
const CATCHUP_ALWAYS = 2;
const DEADLINE_TIMER = 504;
const DEADLINE_TIMER_OFF = 0;
const DEADLINE_TIMER_SOFTWARE = 1;
const DEADLINE_TIMER_PREEMPTION = 2;
const LEVEL = 500;
const LEVEL_L1 = 0;
const LEVEL_L2 = 1;
const XEN_TIMER = 505;
const XEN_TIMER_OFF = 0;
const XEN_TIMER_ARMED = 1;
const RUNSTATE = 506;
const RUNSTATE_RUNNING = 0;
const RUNSTATE_RUNNABLE = 1;
const RUNSTATE_BLOCKED = 2;
const RUNSTATE_OFFLINE = 3;
const XEN_VCPU_INFO = 501;
const XEN_VCPU_INFO_OFF = 0;
const XEN_VCPU_INFO_ON = 1;
const XEN_VCPU_TIME_INFO = 502;
const XEN_VCPU_TIME_INFO_OFF = 0;
const XEN_VCPU_TIME_INFO_ON = 1;
const STOPPED = 503;
const STOPPED_NO = 0;
const STOPPED_REQUESTED = 1;

/** A machine vcpu on its live struct. */
export class VcpuTable implements VcpuCell {
  readonly state: VcpuState;

  constructor(state: VcpuState) {
    this.state = state;
  }

  ADJUST_GUEST_TSC(ctx: Ctx): void {
    const self = this.state;
    recipes.adjustGuestTsc(self, ctx);
  }

  ADOPT_SYNCHRONIZATION(ctx: Ctx): void {
    const self = this.state;
    recipes.adoptSynchronization(self, ctx);
  }

  APPLY_TSC_ADJUSTMENT(ctx: Ctx): void {
    const self = this.state;
    recipes.applyTscAdjustment(self, ctx);
  }

  ASK_FOR_UPDATE(ctx: Ctx): void {
    const self = this.state;
    if (guards.asksForGlobalUpdate(self, ctx)) {
      recipes.requestGlobalClockUpdate(self, ctx);
    } else if (guards.asksForOwnUpdate(self, ctx)) {
      recipes.requestClockUpdate(self, ctx);
    }
  }

  BACKWARDS_TSC(ctx: Ctx): void {
    const self = this.state;
    recipes.noteTscDeficit(self, ctx);
    recipes.requestUpdateForBackwardsTsc(self, ctx);
  }

  BOOT_VCPU_CHANGES_MSR(ctx: Ctx): void {
    const self = this.state;
    recipes.requestUpdateForMsr(self, ctx);
  }

  CLEAR_STOPPED_FLAG(ctx: Ctx): void {
    const self = this.state;
    recipes.clearStoppedFlag(self, ctx);
  }

  CREATE_VCPU(ctx: Ctx): void {
    const self = this.state;
    const { at, u8 } = self;
    if (u8[at + LIFE] === LIFE_ABSENT) {
      recipes.nameVcpu(self, ctx);
      u8[at + LIFE] = LIFE_CREATED;
    }
  }

  DESTROY_VCPU(): void {
    const { at, u8 } = this.state;
    if (u8[at + LIFE] === LIFE_CREATED || u8[at + LIFE] === LIFE_ONLINE) {
      u8[at + LIFE] = LIFE_DESTROYED;
    }
  }

  ENTER(): void {
    const { at, u8 } = this.state;
    if (u8[at + RUN] === RUN_LOADED) {
      u8[at + RUN] = RUN_GUEST;
    }
  }

  ENTER_L2(ctx: Ctx): void {
    const self = this.state;
    const { at, u8 } = self;
    if (u8[at + LEVEL] === LEVEL_L1) {
      if (guards.nestedEntryIsRefused(self, ctx)) {
        recipes.refuseNestedEntry(self, ctx);
      } else if (guards.nestedEntryFails(self, ctx)) {
        recipes.failNestedEntry(self, ctx);
      } else {
        recipes.enterL2(self, ctx);
        u8[at + LEVEL] = LEVEL_L2;
      }
    }
  }

  EXIT(ctx: Ctx): void {
    const self = this.state;
    const { at, u8 } = self;
    let run = 0;
    if (u8[at + RUN] === RUN_GUEST) {
      run = 1;
    }
    let catchup = 0;
    if (u8[at + CATCHUP] === CATCHUP_ALWAYS) {
      catchup = 1;
    }
    if (run === 1) {
      recipes.noteGuestTsc(self, ctx);
    }
    if (catchup === 1) {
      recipes.requestClockUpdate(self, ctx);
    }
    if (run === 1) {
      u8[at + RUN] = RUN_LOADED;
    }
  }

  FIRE_TSC_DEADLINE(ctx: Ctx): void {
    const self = this.state;
    const { at, u8 } = self;
    if (
      u8[at + DEADLINE_TIMER] === DEADLINE_TIMER_SOFTWARE ||
      u8[at + DEADLINE_TIMER] === DEADLINE_TIMER_PREEMPTION
    ) {
      recipes.fireTscDeadline(self, ctx);
      u8[at + DEADLINE_TIMER] = DEADLINE_TIMER_OFF;
    }
  }

  GUEST_PAUSED(ctx: Ctx): void {
    const self = this.state;
    const { at, u8 } = self;
    recipes.requestClockUpdate(self, ctx);
    u8[at + STOPPED] = STOPPED_REQUESTED;
  }

  GUEST_TIME_UPDATE(ctx: Ctx): void {
    const self = this.state;
    const { at, u8 } = self;
    let kvmclock = 0;
    if (guards.hostFrequencyIsUnknown(self, ctx)) {
      kvmclock = 1;
    } else if (guards.hasPage(self, ctx)) {
      kvmclock = 2;
    } else {
      kvmclock = 3;
    }
    let stopped = 0;
    if (u8[at + STOPPED] === STOPPED_REQUESTED) {
      if (guards.writesPage(self, ctx)) {
        stopped = 1;
      }
    }
    if (kvmclock === 1) {
      recipes.retryClockUpdate(self, ctx);
    } else if (kvmclock === 2) {
      recipes.computePvclock(self, ctx);
      recipes.writePage(self, ctx);
    } else if (kvmclock === 3) {
      recipes.computePvclock(self, ctx);
    }
    if (stopped === 1) {
      u8[at + STOPPED] = STOPPED_NO;
    }
  }

  LEAVE_L2(ctx: Ctx): void {
    const self = this.state;
    const { at, u8 } = self;
    if (u8[at + LEVEL] === LEVEL_L2) {
      recipes.leaveL2(self, ctx);
      u8[at + LEVEL] = LEVEL_L1;
    }
  }

  LOAD(ctx: Ctx): void {
    const self = this.state;
    const { at, u8 } = self;
    if (u8[at + RUN] === RUN_UNLOADED) {
      recipes.moveToCpu(self, ctx);
      recipes.requestStealUpdate(self, ctx);
      u8[at + RUN] = RUN_LOADED;
    }
  }

  LOAD_UNSTABLE(ctx: Ctx): void {
    const self = this.state;
    const { at, u8 } = self;
    if (u8[at + CATCHUP] === CATCHUP_OFF) {
      recipes.continueTsc(self, ctx);
      u8[at + CATCHUP] = CATCHUP_CATCHUP;
    } else if (u8[at + CATCHUP] === CATCHUP_CATCHUP || u8[at + CATCHUP] === CATCHUP_ALWAYS) {
      recipes.continueTsc(self, ctx);
    }
  }

  MESSAGE_SLOT(ctx: Ctx): void {
    const self = this.state;
    recipes.noteMessageSlot(self, ctx);
  }

  MSR_WRITTEN(ctx: Ctx): void {
    const self = this.state;
    recipes.msrWritten(self, ctx);
  }

  PAIR_CLOCKS(ctx: Ctx): void {
    const self = this.state;
    recipes.pairClocks(self, ctx);
  }

  POSTCREATE(): void {
    const { at, u8 } = this.state;
    if (u8[at + LIFE] === LIFE_CREATED) {
      u8[at + LIFE] = LIFE_ONLINE;
    }
  }

  PROCESS_STIMERS(ctx: Ctx): void {
    const self = this.state;
    recipes.processStimers(self, ctx);
  }

  PROTECT_TSC(ctx: Ctx): void {
    const self = this.state;
    recipes.protectTsc(self, ctx);
  }

  PUT(ctx: Ctx): void {
    const self = this.state;
    const { at, u8 } = self;
    if (u8[at + RUN] === RUN_LOADED) {
      recipes.markPreempted(self, ctx);
      recipes.noteHostTsc(self, ctx);
      u8[at + RUN] = RUN_UNLOADED;
    }
  }

  READ_MSR(ctx: Ctx): void {
    const self = this.state;
    recipes.readMsr(self, ctx);
  }

  READ_TSC(ctx: Ctx): void {
    const self = this.state;
    recipes.readTsc(self, ctx);
  }

  RECORD_STEAL_TIME(ctx: Ctx): void {
    const self = this.state;
    recipes.recordStealTime(self, ctx);
  }

  REPORT_CLOCK_GUEST(ctx: Ctx): void {
    const self = this.state;
    recipes.reportClockGuest(self, ctx);
  }

  REPORT_CLOCK_GUEST_SET(ctx: Ctx): void {
    const self = this.state;
    recipes.reportClockGuestSet(self, ctx);
  }

  REPORT_DONE(ctx: Ctx): void {
    const self = this.state;
    recipes.reportVcpuDone(self, ctx);
  }

  REPORT_GUEST_PAUSED(ctx: Ctx): void {
    const self = this.state;
    recipes.reportGuestPaused(self, ctx);
  }

  REPORT_TSC_KHZ(ctx: Ctx): void {
    const self = this.state;
    recipes.reportTscKhz(self, ctx);
  }

  REPORT_TSC_KHZ_SET(ctx: Ctx): void {
    const self = this.state;
    recipes.reportTscKhzSet(self, ctx);
  }

  REPORT_TSC_OFFSET(ctx: Ctx): void {
    const self = this.state;
    recipes.reportTscOffset(self, ctx);
  }

  REPORT_TSC_SCALE(ctx: Ctx): void {
    const self = this.state;
    recipes.reportTscScale(self, ctx);
  }

  REPORT_TSC_STATE(ctx: Ctx): void {
    const self = this.state;
    recipes.reportTscState(self, ctx);
  }

  REQUEST_CLOCK_UPDATE(ctx: Ctx): void {
    const self = this.state;
    recipes.requestClockUpdate(self, ctx);
  }

  REQUEST_HV_UPDATE(ctx: Ctx): void {
    const self = this.state;
    recipes.requestUpdateForHyperv(self, ctx);
  }

  REQUEST_MASTERCLOCK_UPDATE(ctx: Ctx): void {
    const self = this.state;
    recipes.requestUpdateForClocksource(self, ctx);
  }

  REQUEST_UPDATE_HERE(ctx: Ctx): void {
    const self = this.state;
    if (guards.wasLastOnThisCpu(self, ctx)) {
      recipes.requestClockUpdate(self, ctx);
    }
  }

  REQUEST_XEN_UPDATE(ctx: Ctx): void {
    const self = this.state;
    recipes.requestUpdateForXen(self, ctx);
  }

  RESET(ctx: Ctx): void {
    const self = this.state;
    const { at, u8 } = self;
    let run = 0;
    run = 1;
    let kvmclock = 0;
    if (u8[at + KVMCLOCK] === KVMCLOCK_OFF) {
      kvmclock = 1;
    } else if (u8[at + KVMCLOCK] === KVMCLOCK_OLD || u8[at + KVMCLOCK] === KVMCLOCK_NEW) {
      kvmclock = 2;
    }
    let level = 0;
    if (u8[at + LEVEL] === LEVEL_L2) {
      level = 1;
    }
    if (run === 1) {
      recipes.forgetStealTimeMsr(self, ctx);
    }
    if (kvmclock === 1) {
      recipes.forgetSystemTimeMsr(self, ctx);
    } else if (kvmclock === 2) {
      recipes.forgetSystemTimeMsr(self, ctx);
    }
    if (level === 1) {
      recipes.leaveL2(self, ctx);
    }
    if (kvmclock === 2) {
      u8[at + KVMCLOCK] = KVMCLOCK_OFF;
    }
    if (level === 1) {
      u8[at + LEVEL] = LEVEL_L1;
    }
  }

  RESTART_DEADLINE(ctx: Ctx): void {
    const self = this.state;
    const { at, u8 } = self;
    if (u8[at + DEADLINE_TIMER] === DEADLINE_TIMER_PREEMPTION) {
      if (guards.deadlineIsDue(self, ctx)) {
        recipes.fireTscDeadline(self, ctx);
        u8[at + DEADLINE_TIMER] = DEADLINE_TIMER_OFF;
      } else if (guards.usesPreemptionTimer(self, ctx)) {
        recipes.armPreemptionTimer(self, ctx);
      } else {
        recipes.armDeadline(self, ctx);
        u8[at + DEADLINE_TIMER] = DEADLINE_TIMER_SOFTWARE;
      }
    }
  }

  RUNSTATE_ADDR(ctx: Ctx): void {
    const self = this.state;
    if (guards.placesRunstate(self, ctx)) {
      recipes.placeRunstate(self, ctx);
    } else {
      recipes.removeRunstate(self, ctx);
    }
  }

  RUNSTATE_ADJUST(ctx: Ctx): void {
    const self = this.state;
    recipes.adjustRunstate(self, ctx);
  }

  RUNSTATE_CHANGE(ctx: Ctx): void {
    const self = this.state;
    const { at, u8 } = self;
    if (guards.asksRunning(self, ctx)) {
      recipes.accountRunstate(self, ctx);
      u8[at + RUNSTATE] = RUNSTATE_RUNNING;
    } else if (guards.asksRunnable(self, ctx)) {
      recipes.accountRunstate(self, ctx);
      u8[at + RUNSTATE] = RUNSTATE_RUNNABLE;
    } else if (guards.asksBlocked(self, ctx)) {
      recipes.accountRunstate(self, ctx);
      u8[at + RUNSTATE] = RUNSTATE_BLOCKED;
    } else {
      recipes.accountRunstate(self, ctx);
      u8[at + RUNSTATE] = RUNSTATE_OFFLINE;
    }
  }

  RUNSTATE_DATA(ctx: Ctx): void {
    const self = this.state;
    const { at, u8 } = self;
    if (guards.asksRunning(self, ctx)) {
      recipes.storeRunstate(self, ctx);
      u8[at + RUNSTATE] = RUNSTATE_RUNNING;
    } else if (guards.asksRunnable(self, ctx)) {
      recipes.storeRunstate(self, ctx);
      u8[at + RUNSTATE] = RUNSTATE_RUNNABLE;
    } else if (guards.asksBlocked(self, ctx)) {
      recipes.storeRunstate(self, ctx);
      u8[at + RUNSTATE] = RUNSTATE_BLOCKED;
    } else {
      recipes.storeRunstate(self, ctx);
      u8[at + RUNSTATE] = RUNSTATE_OFFLINE;
    }
  }

  SERVE_CLOCK_UPDATE(ctx: Ctx): void {
    const self = this.state;
    recipes.serveClockUpdate(self, ctx);
  }

  SERVE_GLOBAL_CLOCK_UPDATE(ctx: Ctx): void {
    const self = this.state;
    recipes.serveGlobalClockUpdate(self, ctx);
  }

  SERVE_HV_STIMER(ctx: Ctx): void {
    const self = this.state;
    recipes.serveHvStimer(self, ctx);
  }

  SERVE_MASTERCLOCK_UPDATE(ctx: Ctx): void {
    const self = this.state;
    recipes.serveMasterclockUpdate(self, ctx);
  }

  SERVE_MIGRATE_TIMER(ctx: Ctx): void {
    const self = this.state;
    recipes.serveMigrateTimer(self, ctx);
  }

  SERVE_STEAL_UPDATE(ctx: Ctx): void {
    const self = this.state;
    recipes.serveStealUpdate(self, ctx);
  }

  SET_TSC_DEADLINE(ctx: Ctx): void {
    const self = this.state;
    const { at, u8 } = self;
    if (guards.isNoDeadline(self, ctx)) {
      recipes.storeTscDeadline(self, ctx);
      u8[at + DEADLINE_TIMER] = DEADLINE_TIMER_OFF;
    } else if (guards.deadlineIsDue(self, ctx)) {
      recipes.storeTscDeadline(self, ctx);
      recipes.fireTscDeadline(self, ctx);
      u8[at + DEADLINE_TIMER] = DEADLINE_TIMER_OFF;
    } else if (guards.usesPreemptionTimer(self, ctx)) {
      recipes.storeTscDeadline(self, ctx);
      recipes.armPreemptionTimer(self, ctx);
      u8[at + DEADLINE_TIMER] = DEADLINE_TIMER_PREEMPTION;
    } else {
      recipes.storeTscDeadline(self, ctx);
      recipes.armDeadline(self, ctx);
      u8[at + DEADLINE_TIMER] = DEADLINE_TIMER_SOFTWARE;
    }
  }

  SET_TSC_KHZ(ctx: Ctx): void {
    const self = this.state;
    const { at, u8 } = self;
    if (u8[at + CATCHUP] === CATCHUP_OFF || u8[at + CATCHUP] === CATCHUP_CATCHUP) {
      if (guards.needsSoftwareUpscaling(self, ctx)) {
        recipes.setTscKhz(self, ctx);
        u8[at + CATCHUP] = CATCHUP_ALWAYS;
      } else {
        recipes.setTscKhz(self, ctx);
      }
    } else if (u8[at + CATCHUP] === CATCHUP_ALWAYS) {
      if (guards.needsSoftwareUpscaling(self, ctx)) {
        recipes.setTscKhz(self, ctx);
      } else {
        recipes.setTscKhz(self, ctx);
      }
    }
  }

  SET_TSC_STATE(ctx: Ctx): void {
    const self = this.state;
    recipes.setTscState(self, ctx);
  }

  STEAL_TIME_MSR(ctx: Ctx): void {
    const self = this.state;
    recipes.storeStealTimeMsr(self, ctx);
  }

  STIMER_CONFIG_MSR(ctx: Ctx): void {
    const self = this.state;
    recipes.storeStimerConfig(self, ctx);
  }

  STIMER_COUNT_MSR(ctx: Ctx): void {
    const self = this.state;
    recipes.storeStimerCount(self, ctx);
  }

  STIMER_FIRED(ctx: Ctx): void {
    const self = this.state;
    recipes.stimerFired(self, ctx);
  }

  STORE_TSC_ADJUST(ctx: Ctx): void {
    const self = this.state;
    recipes.storeTscAdjust(self, ctx);
  }

  SYSTEM_TIME_MSR(ctx: Ctx): void {
    const self = this.state;
    const { at, u8 } = self;
    if (guards.enablesOldKvmclock(self, ctx)) {
      recipes.storeSystemTimeMsr(self, ctx);
      u8[at + KVMCLOCK] = KVMCLOCK_OLD;
    } else if (guards.enablesNewKvmclock(self, ctx)) {
      recipes.storeSystemTimeMsr(self, ctx);
      u8[at + KVMCLOCK] = KVMCLOCK_NEW;
    } else {
      recipes.storeSystemTimeMsr(self, ctx);
      u8[at + KVMCLOCK] = KVMCLOCK_OFF;
    }
  }

  TRACK_TSC(ctx: Ctx): void {
    const self = this.state;
    if (guards.trackingAsksForUpdate(self, ctx)) {
      recipes.requestTrackedUpdate(self, ctx);
    } else {
      recipes.trackingKeeps(self, ctx);
    }
  }

  TSC_RATIO_MSR(ctx: Ctx): void {
    const self = this.state;
    recipes.storeTscRatioMsr(self, ctx);
  }

  WRITE_GUEST_TSC(ctx: Ctx): void {
    const self = this.state;
    recipes.writeGuestTsc(self, ctx);
  }

  XEN_HYPERCALL_DONE(ctx: Ctx): void {
    const self = this.state;
    recipes.xenHypercallDone(self, ctx);
  }

  XEN_READ_ATTR(ctx: Ctx): void {
    const self = this.state;
    recipes.readXenAttr(self, ctx);
  }

  XEN_READ_LEAF(ctx: Ctx): void {
    const self = this.state;
    recipes.readXenLeaf(self, ctx);
  }

  XEN_SET_LEAF(ctx: Ctx): void {
    const self = this.state;
    recipes.storeXenLeaf(self, ctx);
  }

  XEN_SET_TIMER(ctx: Ctx): void {
    const self = this.state;
    const { at, u8 } = self;
    recipes.stopXenTimer(self, ctx);
    recipes.storeXenTimerPort(self, ctx);
    u8[at + XEN_TIMER] = XEN_TIMER_OFF;
  }

  XEN_START_TIMER(ctx: Ctx): void {
    const self = this.state;
    const { at, u8 } = self;
    if (guards.xenTimerIsDue(self, ctx)) {
      recipes.fireXenTimerAtOnce(self, ctx);
      u8[at + XEN_TIMER] = XEN_TIMER_OFF;
    } else {
      recipes.armXenTimer(self, ctx);
      u8[at + XEN_TIMER] = XEN_TIMER_ARMED;
    }
  }

  XEN_STOP_TIMER(ctx: Ctx): void {
    const self = this.state;
    const { at, u8 } = self;
    recipes.stopXenTimer(self, ctx);
    u8[at + XEN_TIMER] = XEN_TIMER_OFF;
  }

  XEN_TIMER(ctx: Ctx): void {
    const self = this.state;
    const { at, u8 } = self;
    if (u8[at + XEN_TIMER] === XEN_TIMER_ARMED) {
      recipes.fireXenTimer(self, ctx);
      u8[at + XEN_TIMER] = XEN_TIMER_OFF;
    }
  }

  XEN_TIME_UPDATE(ctx: Ctx): void {
    const self = this.state;
    const { at, u8 } = self;
    let xenVcpuInfo = 0;
    if (u8[at + XEN_VCPU_INFO] === XEN_VCPU_INFO_ON) {
      xenVcpuInfo = 1;
    }
    let xenVcpuTimeInfo = 0;
    if (u8[at + XEN_VCPU_TIME_INFO] === XEN_VCPU_TIME_INFO_ON) {
      xenVcpuTimeInfo = 1;
    }
    if (xenVcpuInfo === 1) {
      recipes.writeVcpuInfo(self, ctx);
    }
    if (xenVcpuTimeInfo === 1) {
      recipes.writeVcpuTimeInfo(self, ctx);
    }
  }

  XEN_VCPU_INFO(ctx: Ctx): void {
    const self = this.state;
    const { at, u8 } = self;
    if (guards.placesXenPage(self, ctx)) {
      recipes.placeVcpuInfo(self, ctx);
      u8[at + XEN_VCPU_INFO] = XEN_VCPU_INFO_ON;
    } else {
      u8[at + XEN_VCPU_INFO] = XEN_VCPU_INFO_OFF;
    }
  }

  XEN_VCPU_TIME_INFO(ctx: Ctx): void {
    const self = this.state;
    const { at, u8 } = self;
    if (guards.placesXenPage(self, ctx)) {
      recipes.placeVcpuTimeInfo(self, ctx);
      u8[at + XEN_VCPU_TIME_INFO] = XEN_VCPU_TIME_INFO_ON;
    } else {
      u8[at + XEN_VCPU_TIME_INFO] = XEN_VCPU_TIME_INFO_OFF;
    }
  }
}
