/**
 * Xen's runstates: how long a vCPU ran, waited for a CPU, was blocked or offline, by the VM's clock.
 *
 * Each change accounts the time since the last one to the state that ends; of time spent running,
 * what the thread waited for a CPU counts as *runnable*. The clock can have been set back meanwhile:
 * until v7.2 the negative time is added modulo 2^64, and the guest reports that all its time is being
 * stolen, for centuries.
 *
 * Source: `kvm_xen_update_runstate()`, `kvm_xen_update_runstate_guest()`, `kvm_xen_vcpu_set_attr()`,
 * arch/x86/kvm/xen.c.
 */
import { addU64, asS64, U64_MAX } from '../num/index.ts';
import { type Ctx, inputOf, type VcpuRecipe } from './context.ts';
import type { VcpuState } from './vcpu-state.ts';
import { getKvmclock } from './vm-clock.ts';

type Vcpu = Readonly<VcpuState>;

/** RUNSTATE_running, …: their places in the times. */
const STATES = ['running', 'runnable', 'blocked', 'offline'] as const;
const RUNNABLE = 1;
/** The top bit of the entry time says that the struct is being written. */
const UPDATE_BIT = 1n << 63n;

/** What the state counts as: a vCPU that was never accounted for was offline. */
const placeOf = (vcpu: Vcpu): number =>
  vcpu.runstateEntryNs === 0n ? STATES.indexOf('offline') : STATES.indexOf(vcpu.runstate);

const clockNow = (ctx: Ctx): bigint => getKvmclock(ctx.vm, ctx).clock;

/** Writes `struct vcpu_runstate_info`, which 32-bit guests have without padding after the state. */
function write(self: Vcpu, state: number, isBeingWritten: boolean, ctx: Ctx): void {
  const at = ctx.vm.xenLongMode ? 8 : 4;
  const view = new DataView(new ArrayBuffer(at + 40));
  view.setUint32(0, state, true);
  const entry = isBeingWritten ? self.runstateEntryNs | UPDATE_BIT : self.runstateEntryNs;
  view.setBigUint64(at, entry, true);
  for (let i = 0; i < STATES.length; i++) {
    view.setBigUint64(at + 8 + 8 * i, self.runstateNs.get(i), true);
  }
  const bytes = new Uint8Array(view.buffer);
  const gpa = self.runstateGpa;
  ctx.out.emit({
    type: 'guest_write',
    vcpu: self.vcpuId,
    gpa,
    bytes,
    what: 'xen_runstate',
    vm: ctx.vmId,
  });
}

function writeToGuest(self: Vcpu, state: number, ctx: Ctx): void {
  if (!self.hasRunstateArea) return;
  write(self, state, true, ctx);
  write(self, state, false, ctx);
}

/** The state that a change ends in. */
function stateAfter({ input }: Ctx): number {
  switch (input.type) {
    case 'KVM_XEN_SET_RUNSTATE_CURRENT':
    case 'KVM_XEN_SET_RUNSTATE_DATA':
    case 'KVM_XEN_SET_RUNSTATE_ADJUST':
      return Number(input.state);
    case 'vcpu_put':
      return RUNNABLE;
    default:
      return 0;
  }
}

const addTo = (self: VcpuState, place: number, ns: bigint): void => {
  self.runstateNs.set(place, addU64(self.runstateNs.get(place), ns));
};

/** No more can have been stolen than has passed. */
function clampSteal(steal: bigint, passed: bigint): bigint {
  if (steal < 0n) return 0n;
  return steal > passed ? passed : steal;
}

/** Accounts the time since the last change; `clamp` never lets time stolen be more than time passed. */
function account(self: VcpuState, now: bigint, ctx: Ctx): void {
  const clamp = ctx.switches.xenRunstateClamp === 'clamp';
  const place = placeOf(self);
  let delta = asS64(now - self.runstateEntryNs);
  const runDelay = ctx.read('run_delay');
  if (clamp && delta < 0n) {
    self.xenLastSteal = runDelay;
    return;
  }
  if (place === STATES.indexOf('running')) {
    let steal = asS64(runDelay - self.xenLastSteal);
    if (clamp) steal = clampSteal(steal, delta);
    delta -= steal;
    addTo(self, RUNNABLE, steal);
  }
  self.xenLastSteal = runDelay;
  addTo(self, place, delta);
  self.runstateEntryNs = now;
}

type Times = { readonly [K in 'runningNs' | 'runnableNs' | 'blockedNs' | 'offlineNs']: bigint };

const timesOf = (told: Times): readonly bigint[] => [
  told.runningNs,
  told.runnableNs,
  told.blockedNs,
  told.offlineNs,
];

/** `RFC v3` does nothing at all while the clock is behind the last change. */
export const runstateMoves = (ctx: Ctx): boolean =>
  ctx.switches.xenRunstateClamp !== 'skip' || clockNow(ctx) >= ctx.vcpu.runstateEntryNs;

/** Whether runstates take the place of steal time: Xen's interface is in use. */
export const countsRunstate = ({ switches, vm }: Ctx): boolean =>
  switches.xenRunstate && vm.xenMsr !== 0;

/** Whether a put changes the runstate: the vCPU was preempted. */
export const putChangesRunstate = (ctx: Ctx): boolean =>
  countsRunstate(ctx) && inputOf(ctx, 'vcpu_put').preempted === true;

/** Whether RUNSTATE_ADJUST names a state to change to. */
export const adjustNamesState = (ctx: Ctx): boolean =>
  inputOf(ctx, 'KVM_XEN_SET_RUNSTATE_ADJUST').state !== U64_MAX;

/** Whether KVM refuses an attribute of the runstate: EINVAL. */
export function refusesRunstate(ctx: Ctx): boolean {
  const { input, vcpu } = ctx;
  if (input.type === 'KVM_XEN_SET_RUNSTATE_CURRENT') return input.state > 3n;
  if (input.type !== 'KVM_XEN_SET_RUNSTATE_DATA' && input.type !== 'KVM_XEN_SET_RUNSTATE_ADJUST') {
    return false;
  }
  const adjusts = input.type === 'KVM_XEN_SET_RUNSTATE_ADJUST';
  if (input.state > 3n && !(adjusts && input.state === U64_MAX)) return true;
  const sum = timesOf(input).reduce(addU64);
  if (input.entryTimeNs !== sum) return true;
  const entry = adjusts ? addU64(vcpu.runstateEntryNs, sum) : sum;
  return clockNow(ctx) < entry;
}

const asksFor =
  (place: number) =>
  (_self: Vcpu, ctx: Ctx): boolean =>
    stateAfter(ctx) === place;

export const xenRunstateGuards = {
  asksRunning: asksFor(0),
  asksRunnable: asksFor(RUNNABLE),
  asksBlocked: asksFor(2),
  placesRunstate: (_self: Vcpu, ctx: Ctx) =>
    inputOf(ctx, 'KVM_XEN_SET_RUNSTATE_ADDR').gpa !== U64_MAX,
};

export const xenRunstateRecipes = {
  accountRunstate: (self, ctx) => {
    account(self, clockNow(ctx), ctx);
    writeToGuest(self, stateAfter(ctx), ctx);
  },
  storeRunstate: (self, ctx) => {
    const told = inputOf(ctx, 'KVM_XEN_SET_RUNSTATE_DATA');
    self.runstateEntryNs = told.entryTimeNs;
    timesOf(told).forEach((ns, place) => {
      self.runstateNs.set(place, ns);
    });
    self.xenLastSteal = ctx.read('run_delay');
  },
  adjustRunstate: (self, ctx) => {
    const told = inputOf(ctx, 'KVM_XEN_SET_RUNSTATE_ADJUST');
    self.runstateEntryNs = addU64(self.runstateEntryNs, told.entryTimeNs);
    timesOf(told).forEach((ns, place) => {
      addTo(self, place, ns);
    });
    if (!adjustNamesState(ctx)) writeToGuest(self, STATES.indexOf(self.runstate), ctx);
  },
  placeRunstate: (self, ctx) => {
    self.runstateGpa = inputOf(ctx, 'KVM_XEN_SET_RUNSTATE_ADDR').gpa;
    self.hasRunstateArea = true;
    writeToGuest(self, STATES.indexOf(self.runstate), ctx);
  },
  removeRunstate: (self) => {
    self.hasRunstateArea = false;
  },
} satisfies Record<string, VcpuRecipe>;
