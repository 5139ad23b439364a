/** What the machine vm does at each signal. Derived from it by XState: `npm run build`. */
import {
  type Ctx,
  type VmGuard,
  type VmRecipe,
  type VmState,
  vmGuards,
  vmRecipes,
} from '../../clock/index.ts';
import type { VmCell } from '../stepper.ts';

const guards: Readonly<Record<keyof typeof vmGuards, VmGuard>> = vmGuards;
const recipes: Readonly<Record<keyof typeof vmRecipes, VmRecipe>> = vmRecipes;

// Where in the struct the state of a region stands, and the bytes that stand for its states.
const LIFE = 288;
const LIFE_ABSENT = 0;
const LIFE_ALIVE = 1;
const LIFE_DESTROYED = 2;
const MASTERCLOCK = 289;
const MASTERCLOCK_OFF_UNMATCHED = 0;
const MASTERCLOCK_OFF_HOST_CLOCK = 1;
const MASTERCLOCK_OFF_BACKWARDS_TSC = 2;
const MASTERCLOCK_OFF_OLD_KVMCLOCK = 3;
const MASTERCLOCK_ON = 4;
const HV_TSC_PAGE = 290;
const HV_TSC_PAGE_UNSET = 0;
const HV_TSC_PAGE_GUEST_CHANGED = 1;
const HV_TSC_PAGE_HOST_CHANGED = 2;
const HV_TSC_PAGE_SET = 3;
const HV_TSC_PAGE_BROKEN = 4;
const UPDATE_WORK = 291;
const UPDATE_WORK_IDLE = 0;
const UPDATE_WORK_QUEUED = 1;
const SYNC_WORK = 292;
const SYNC_WORK_IDLE = 0;
const SYNC_WORK_ARMED = 1;

/** A machine vm on its live struct. */
export class VmTable implements VmCell {
  readonly state: VmState;

  constructor(state: VmState) {
    this.state = state;
  }

  ARM_SYNC_WORK(ctx: Ctx): void {
    const self = this.state;
    const { at, u8 } = self;
    if (u8[at + SYNC_WORK] === SYNC_WORK_IDLE) {
      recipes.armSyncWork(self, ctx);
      u8[at + SYNC_WORK] = SYNC_WORK_ARMED;
    }
  }

  BACKWARDS_TSC(ctx: Ctx): void {
    const self = this.state;
    const { at, u8 } = self;
    if (u8[at + LIFE] === LIFE_ALIVE) {
      recipes.recordBackwardsTsc(self, ctx);
    }
  }

  BEGIN_FREQUENCY_SCAN(ctx: Ctx): void {
    const self = this.state;
    const { at, u8 } = self;
    if (u8[at + LIFE] === LIFE_ALIVE) {
      recipes.beginFrequencyScan(self, ctx);
    }
  }

  COMPARE_FREQUENCY(ctx: Ctx): void {
    const self = this.state;
    const { at, u8 } = self;
    if (u8[at + LIFE] === LIFE_ALIVE) {
      recipes.compareFrequency(self, ctx);
    }
  }

  COUNT_GLOBAL_UPDATE(ctx: Ctx): void {
    const self = this.state;
    const { at, u8 } = self;
    if (u8[at + LIFE] === LIFE_ALIVE) {
      recipes.countGlobalUpdate(self, ctx);
    }
  }

  COUNT_VCPU(ctx: Ctx): void {
    const self = this.state;
    const { at, u8 } = self;
    if (u8[at + LIFE] === LIFE_ALIVE) {
      recipes.countVcpu(self, ctx);
    }
  }

  CREATE_VM(ctx: Ctx): void {
    const self = this.state;
    const { at, u8 } = self;
    if (u8[at + LIFE] === LIFE_ABSENT) {
      recipes.initVmClock(self, ctx);
      u8[at + LIFE] = LIFE_ALIVE;
    }
  }

  DESTROY_VM(): void {
    const { at, u8 } = this.state;
    if (u8[at + LIFE] === LIFE_ALIVE) {
      u8[at + LIFE] = LIFE_DESTROYED;
    }
  }

  DISABLE_QUIRKS(ctx: Ctx): void {
    const self = this.state;
    const { at, u8 } = self;
    if (u8[at + LIFE] === LIFE_ALIVE) {
      recipes.disableQuirks(self, ctx);
      recipes.reportDone(self, ctx);
    }
  }

  GET_CLOCK(ctx: Ctx): void {
    const self = this.state;
    const { at, u8 } = self;
    if (u8[at + LIFE] === LIFE_ALIVE) {
      recipes.reportClock(self, ctx);
    }
  }

  HV_EMULATION_CONTROL(ctx: Ctx): void {
    const self = this.state;
    const { at, u8 } = self;
    if (u8[at + LIFE] === LIFE_ALIVE) {
      recipes.storeEmulationControl(self, ctx);
    }
  }

  HV_EMULATION_STATUS(ctx: Ctx): void {
    const self = this.state;
    const { at, u8 } = self;
    if (u8[at + LIFE] === LIFE_ALIVE) {
      recipes.storeEmulationStatus(self, ctx);
    }
  }

  HV_INVTSC_CONTROL(ctx: Ctx): void {
    const self = this.state;
    const { at, u8 } = self;
    if (u8[at + LIFE] === LIFE_ALIVE) {
      recipes.storeInvtscControl(self, ctx);
    }
  }

  HV_PAGE(ctx: Ctx): void {
    const self = this.state;
    const { at, u8 } = self;
    if (u8[at + HV_TSC_PAGE] === HV_TSC_PAGE_GUEST_CHANGED) {
      if (guards.pageIsExpressible(self, ctx)) {
        recipes.writeHvPage(self, ctx);
        u8[at + HV_TSC_PAGE] = HV_TSC_PAGE_SET;
      } else {
        recipes.invalidatePage(self, ctx);
        u8[at + HV_TSC_PAGE] = HV_TSC_PAGE_BROKEN;
      }
    } else if (u8[at + HV_TSC_PAGE] === HV_TSC_PAGE_HOST_CHANGED) {
      if (guards.keepsPage(self, ctx)) {
        u8[at + HV_TSC_PAGE] = HV_TSC_PAGE_SET;
      } else if (guards.pageIsExpressible(self, ctx)) {
        recipes.writeHvPage(self, ctx);
        u8[at + HV_TSC_PAGE] = HV_TSC_PAGE_SET;
      } else {
        recipes.invalidatePage(self, ctx);
        u8[at + HV_TSC_PAGE] = HV_TSC_PAGE_BROKEN;
      }
    } else if (u8[at + HV_TSC_PAGE] === HV_TSC_PAGE_SET) {
      if (guards.rewritesPage(self, ctx)) {
        recipes.writeHvPage(self, ctx);
      } else if (guards.invalidatesPage(self, ctx)) {
        recipes.invalidatePage(self, ctx);
        u8[at + HV_TSC_PAGE] = HV_TSC_PAGE_BROKEN;
      }
    } else if (u8[at + HV_TSC_PAGE] === HV_TSC_PAGE_BROKEN) {
      if (guards.mendsPage(self, ctx)) {
        recipes.writeHvPage(self, ctx);
        u8[at + HV_TSC_PAGE] = HV_TSC_PAGE_SET;
      } else if (guards.cannotMendPage(self, ctx)) {
        recipes.invalidatePage(self, ctx);
      }
    }
  }

  HV_PAGE_REQUEST(ctx: Ctx): void {
    const self = this.state;
    const { at, u8 } = self;
    if (
      u8[at + HV_TSC_PAGE] === HV_TSC_PAGE_GUEST_CHANGED ||
      u8[at + HV_TSC_PAGE] === HV_TSC_PAGE_HOST_CHANGED
    ) {
      if (guards.invalidatesAtRequest(self, ctx)) {
        recipes.invalidatePage(self, ctx);
      }
    } else if (u8[at + HV_TSC_PAGE] === HV_TSC_PAGE_SET) {
      if (guards.invalidatesAtRequest(self, ctx)) {
        recipes.invalidatePage(self, ctx);
        u8[at + HV_TSC_PAGE] = HV_TSC_PAGE_HOST_CHANGED;
      } else if (guards.mayUpdatePage(self, ctx)) {
        u8[at + HV_TSC_PAGE] = HV_TSC_PAGE_HOST_CHANGED;
      }
    }
  }

  HV_REENLIGHTENMENT_CONTROL(ctx: Ctx): void {
    const self = this.state;
    const { at, u8 } = self;
    if (u8[at + LIFE] === LIFE_ALIVE) {
      recipes.storeReenlightenmentControl(self, ctx);
    }
  }

  HV_REFERENCE_TSC(ctx: Ctx): void {
    const self = this.state;
    const { at, u8 } = self;
    if (u8[at + HV_TSC_PAGE] === HV_TSC_PAGE_SET || u8[at + HV_TSC_PAGE] === HV_TSC_PAGE_BROKEN) {
      if (guards.guestEnablesPage(self, ctx)) {
        recipes.storeReferenceTsc(self, ctx);
        u8[at + HV_TSC_PAGE] = HV_TSC_PAGE_GUEST_CHANGED;
      } else if (guards.hostEnablesPage(self, ctx)) {
        recipes.storeReferenceTsc(self, ctx);
        u8[at + HV_TSC_PAGE] = HV_TSC_PAGE_HOST_CHANGED;
      } else {
        recipes.storeReferenceTsc(self, ctx);
        u8[at + HV_TSC_PAGE] = HV_TSC_PAGE_UNSET;
      }
    } else if (
      u8[at + HV_TSC_PAGE] === HV_TSC_PAGE_UNSET ||
      u8[at + HV_TSC_PAGE] === HV_TSC_PAGE_GUEST_CHANGED ||
      u8[at + HV_TSC_PAGE] === HV_TSC_PAGE_HOST_CHANGED
    ) {
      if (guards.guestEnablesPage(self, ctx)) {
        recipes.storeReferenceTsc(self, ctx);
        u8[at + HV_TSC_PAGE] = HV_TSC_PAGE_GUEST_CHANGED;
      } else if (guards.hostEnablesPage(self, ctx)) {
        recipes.storeReferenceTsc(self, ctx);
        u8[at + HV_TSC_PAGE] = HV_TSC_PAGE_HOST_CHANGED;
      } else {
        recipes.storeReferenceTsc(self, ctx);
        u8[at + HV_TSC_PAGE] = HV_TSC_PAGE_UNSET;
      }
    }
  }

  NOTE_BOOT_VCPU_MSR(ctx: Ctx): void {
    const self = this.state;
    const { at, u8 } = self;
    if (u8[at + LIFE] === LIFE_ALIVE) {
      recipes.noteBootVcpuMsr(self, ctx);
    }
  }

  NOTE_USER_TSC(ctx: Ctx): void {
    const self = this.state;
    const { at, u8 } = self;
    if (u8[at + LIFE] === LIFE_ALIVE) {
      recipes.noteUserTsc(self, ctx);
    }
  }

  QUEUE_UPDATE_WORK(ctx: Ctx): void {
    const self = this.state;
    const { at, u8 } = self;
    if (u8[at + UPDATE_WORK] === UPDATE_WORK_IDLE) {
      recipes.armUpdateWork(self, ctx);
      u8[at + UPDATE_WORK] = UPDATE_WORK_QUEUED;
    }
  }

  REPORT_DEFAULT_TSC_KHZ(ctx: Ctx): void {
    const self = this.state;
    const { at, u8 } = self;
    if (u8[at + LIFE] === LIFE_ALIVE) {
      recipes.reportDefaultTscKhz(self, ctx);
    }
  }

  REPORT_DONE(ctx: Ctx): void {
    const self = this.state;
    const { at, u8 } = self;
    if (u8[at + LIFE] === LIFE_ALIVE) {
      recipes.reportDone(self, ctx);
    }
  }

  RESTART_CLOCK(ctx: Ctx): void {
    const self = this.state;
    const { at, u8 } = self;
    if (u8[at + LIFE] === LIFE_ALIVE) {
      recipes.restartClock(self, ctx);
    }
  }

  SET_CLOCK_AGAINST_BASE(ctx: Ctx): void {
    const self = this.state;
    const { at, u8 } = self;
    if (u8[at + LIFE] === LIFE_ALIVE) {
      recipes.setClockAgainstBase(self, ctx);
    }
  }

  SET_CLOCK_AGAINST_NOW(ctx: Ctx): void {
    const self = this.state;
    const { at, u8 } = self;
    if (u8[at + LIFE] === LIFE_ALIVE) {
      recipes.setClockAgainstNow(self, ctx);
    }
  }

  SET_CLOCK_AGAINST_REFERENCE(ctx: Ctx): void {
    const self = this.state;
    const { at, u8 } = self;
    if (u8[at + LIFE] === LIFE_ALIVE) {
      recipes.setClockAgainstReference(self, ctx);
    }
  }

  SET_CLOCK_GUEST(ctx: Ctx): void {
    const self = this.state;
    const { at, u8 } = self;
    if (u8[at + LIFE] === LIFE_ALIVE) {
      if (guards.acceptsClockGuest(self, ctx)) {
        recipes.setClockByGuest(self, ctx);
      }
    }
  }

  SET_DEFAULT_TSC_KHZ(ctx: Ctx): void {
    const self = this.state;
    const { at, u8 } = self;
    if (u8[at + LIFE] === LIFE_ALIVE) {
      recipes.setDefaultTscKhz(self, ctx);
      recipes.reportDone(self, ctx);
    }
  }

  SYNCHRONIZE_TSC(ctx: Ctx): void {
    const self = this.state;
    const { at, u8 } = self;
    if (u8[at + LIFE] === LIFE_ALIVE) {
      if (guards.joinsGeneration(self, ctx)) {
        recipes.joinGeneration(self, ctx);
      } else {
        recipes.startGeneration(self, ctx);
      }
    }
  }

  SYNC_WORK(ctx: Ctx): void {
    const self = this.state;
    const { at, u8 } = self;
    if (u8[at + SYNC_WORK] === SYNC_WORK_ARMED) {
      if (guards.syncWorkEnds(self, ctx)) {
        recipes.workFired(self, ctx);
        u8[at + SYNC_WORK] = SYNC_WORK_IDLE;
      } else {
        recipes.workFired(self, ctx);
        recipes.armSyncWork(self, ctx);
      }
    }
  }

  TRACE_TRACK_TSC(ctx: Ctx): void {
    const self = this.state;
    const { at, u8 } = self;
    if (u8[at + LIFE] === LIFE_ALIVE) {
      recipes.traceTrackTsc(self, ctx);
    }
  }

  UPDATE_COPY(ctx: Ctx): void {
    const self = this.state;
    const { at, u8 } = self;
    if (guards.hostClockIsNotTsc(self, ctx)) {
      recipes.announceHostClock(self, ctx);
      u8[at + MASTERCLOCK] = MASTERCLOCK_OFF_HOST_CLOCK;
    } else if (guards.vcpusDoNotMatch(self, ctx)) {
      recipes.takeReference(self, ctx);
      recipes.announceUnmatched(self, ctx);
      u8[at + MASTERCLOCK] = MASTERCLOCK_OFF_UNMATCHED;
    } else if (guards.tscWentBackwards(self, ctx)) {
      recipes.takeReference(self, ctx);
      recipes.announceBackwards(self, ctx);
      u8[at + MASTERCLOCK] = MASTERCLOCK_OFF_BACKWARDS_TSC;
    } else if (guards.bootVcpuRunsOldKvmclock(self, ctx)) {
      recipes.takeReference(self, ctx);
      recipes.announceOldKvmclock(self, ctx);
      u8[at + MASTERCLOCK] = MASTERCLOCK_OFF_OLD_KVMCLOCK;
    } else {
      recipes.takeReference(self, ctx);
      recipes.announceOn(self, ctx);
      u8[at + MASTERCLOCK] = MASTERCLOCK_ON;
    }
  }

  UPDATE_WORK(ctx: Ctx): void {
    const self = this.state;
    const { at, u8 } = self;
    if (u8[at + UPDATE_WORK] === UPDATE_WORK_QUEUED) {
      recipes.workFired(self, ctx);
      u8[at + UPDATE_WORK] = UPDATE_WORK_IDLE;
    }
  }

  WRITE_WALL_CLOCK(ctx: Ctx): void {
    const self = this.state;
    const { at, u8 } = self;
    if (u8[at + LIFE] === LIFE_ALIVE) {
      recipes.writeWallClock(self, ctx);
    }
  }

  XEN_CONFIG(ctx: Ctx): void {
    const self = this.state;
    const { at, u8 } = self;
    if (u8[at + LIFE] === LIFE_ALIVE) {
      recipes.storeXenFlags(self, ctx);
      recipes.reportDone(self, ctx);
    }
  }

  XEN_LONG_MODE(ctx: Ctx): void {
    const self = this.state;
    const { at, u8 } = self;
    if (u8[at + LIFE] === LIFE_ALIVE) {
      recipes.storeXenLongMode(self, ctx);
      recipes.reportDone(self, ctx);
    }
  }

  XEN_WALL_CLOCK(ctx: Ctx): void {
    const self = this.state;
    const { at, u8 } = self;
    if (u8[at + LIFE] === LIFE_ALIVE) {
      recipes.writeXenWallClock(self, ctx);
    }
  }
}
