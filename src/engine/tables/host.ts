/** What the machine host does at each signal. Derived from it by XState: `npm run build`. */
import {
  type Ctx,
  type HostGuard,
  type HostRecipe,
  type HostState,
  hostGuards,
  hostRecipes,
} from '../../clock/index.ts';
import type { HostCell } from '../stepper.ts';

const guards: Readonly<Record<keyof typeof hostGuards, HostGuard>> = hostGuards;
const recipes: Readonly<Record<keyof typeof hostRecipes, HostRecipe>> = hostRecipes;

// Where in the struct the state of a region stands, and the bytes that stand for its states.
const CLOCKSOURCE = 2176;
const CLOCKSOURCE_TSC = 0;
const CLOCKSOURCE_OTHER = 1;
const TSC = 2177;
const TSC_STABLE = 0;
const TSC_UNSTABLE = 1;
const POWER = 2178;
const POWER_RUNNING = 0;
const POWER_SUSPENDING = 1;
const POWER_SUSPENDED = 2;

/** A machine host on its live struct. */
export class HostTable implements HostCell {
  readonly state: HostState;

  constructor(state: HostState) {
    this.state = state;
  }

  BACKWARDS_TSC(ctx: Ctx): void {
    const self = this.state;
    const { at, u8 } = self;
    if (u8[at + TSC] === TSC_STABLE) {
      recipes.noteBackwardsTsc(self, ctx);
    }
  }

  CHANGE_CLOCKSOURCE(ctx: Ctx): void {
    const self = this.state;
    const { at, u8 } = self;
    if (u8[at + CLOCKSOURCE] === CLOCKSOURCE_TSC) {
      if (guards.clockModeIsNotTsc(self, ctx)) {
        recipes.changeClocksource(self, ctx);
        u8[at + CLOCKSOURCE] = CLOCKSOURCE_OTHER;
      } else {
        recipes.changeClocksource(self, ctx);
      }
    } else if (u8[at + CLOCKSOURCE] === CLOCKSOURCE_OTHER) {
      if (guards.clockModeIsTsc(self, ctx)) {
        recipes.changeClocksource(self, ctx);
        u8[at + CLOCKSOURCE] = CLOCKSOURCE_TSC;
      } else {
        recipes.changeClocksource(self, ctx);
      }
    }
  }

  COMPARE_TSC(ctx: Ctx): void {
    const self = this.state;
    recipes.compareTsc(self, ctx);
  }

  CPU_OFFLINE(ctx: Ctx): void {
    const self = this.state;
    recipes.cpuGone(self, ctx);
  }

  CPU_ONLINE(ctx: Ctx): void {
    const self = this.state;
    recipes.cpuCame(self, ctx);
  }

  FORGET_LARGEST_TSC(ctx: Ctx): void {
    const self = this.state;
    recipes.forgetLargestTsc(self, ctx);
  }

  GATHER_LARGEST_TSC(ctx: Ctx): void {
    const self = this.state;
    recipes.gatherLargestTsc(self, ctx);
  }

  GTOD_WORK(ctx: Ctx): void {
    const self = this.state;
    recipes.gtodWorkDone(self, ctx);
  }

  MASTERCLOCK_TAKEN(ctx: Ctx): void {
    const self = this.state;
    recipes.noteMasterclock(self, ctx);
  }

  RESUME(ctx: Ctx): void {
    const self = this.state;
    const { at, u8 } = self;
    if (u8[at + POWER] === POWER_SUSPENDED) {
      recipes.restartClocks(self, ctx);
      u8[at + POWER] = POWER_SUSPENDING;
    }
  }

  SET_CPU_KHZ(ctx: Ctx): void {
    const self = this.state;
    recipes.setCpuKhz(self, ctx);
  }

  SET_REALTIME(ctx: Ctx): void {
    const self = this.state;
    recipes.setRealtime(self, ctx);
  }

  STEER(ctx: Ctx): void {
    const self = this.state;
    recipes.steerMonotonic(self, ctx);
  }

  STOP_CLOCKS(ctx: Ctx): void {
    const self = this.state;
    const { at, u8 } = self;
    if (u8[at + POWER] === POWER_SUSPENDING) {
      recipes.stopClocks(self, ctx);
      u8[at + POWER] = POWER_SUSPENDED;
    }
  }

  SUSPEND(): void {
    const { at, u8 } = this.state;
    if (u8[at + POWER] === POWER_RUNNING) {
      u8[at + POWER] = POWER_SUSPENDING;
    }
  }

  SUSPEND_END(): void {
    const { at, u8 } = this.state;
    if (u8[at + POWER] === POWER_SUSPENDING) {
      u8[at + POWER] = POWER_RUNNING;
    }
  }

  TIMEKEEPING_UPDATE(ctx: Ctx): void {
    const self = this.state;
    const { at, u8 } = self;
    if (u8[at + CLOCKSOURCE] === CLOCKSOURCE_TSC) {
      if (guards.clockModeIsNotTsc(self, ctx)) {
        recipes.copyTimekeepers(self, ctx);
        u8[at + CLOCKSOURCE] = CLOCKSOURCE_OTHER;
      } else {
        recipes.copyTimekeepers(self, ctx);
      }
    } else if (u8[at + CLOCKSOURCE] === CLOCKSOURCE_OTHER) {
      if (guards.clockModeIsTsc(self, ctx)) {
        recipes.copyTimekeepers(self, ctx);
        u8[at + CLOCKSOURCE] = CLOCKSOURCE_TSC;
      } else {
        recipes.copyTimekeepers(self, ctx);
      }
    }
  }

  TSC_UNSTABLE(): void {
    const { at, u8 } = this.state;
    if (u8[at + TSC] === TSC_STABLE) {
      u8[at + TSC] = TSC_UNSTABLE;
    }
  }
}
