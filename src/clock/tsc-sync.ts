/**
 * TSC synchronisation: is a value written to a TSC meant to agree with the VM's other TSCs?
 *
 * vCPUs whose writes agree share a *generation* (one offset); KVM counts them, and only when all
 * online vCPUs are of the current generation can the VM have a masterclock. A write that does not
 * agree starts a new generation, of which it is the first.
 *
 * Source: `kvm_synchronize_tsc()` (before v5.11 `kvm_write_tsc()`), `__kvm_synchronize_tsc()` and
 * `kvm_arch_tsc_set_attr()`, arch/x86/kvm/x86.c.
 */
import { MSRS } from '../../events/index.ts';
import {
  addU64,
  asU64,
  defaultTscRatio,
  nsecToCycles,
  scaleTsc,
  subU64,
  tscMatchWindow,
} from '../num/index.ts';
import type { Ctx, VcpuRecipe, VmGuard, VmRecipe } from './context.ts';
import { checkTscUnstable } from './timekeeper.ts';
import { l1TscOffset, writeTscOffset } from './tsc.ts';
import { noteMatch } from './tsc-tracking.ts';
import type { VmState } from './vm-state.ts';

type Vm = Readonly<VmState>;

/** What one write comes to. */
interface Synchronization {
  /** Guest TSC recorded as written, cycles. */
  readonly tsc: bigint;
  /** Base clock recorded with it, ns. */
  readonly ns: bigint;
  /** Offset the vCPU gets. */
  readonly offset: bigint;
  /** It joins the current generation. */
  readonly matched: boolean;
  /** User space gave the value. */
  readonly byUser: boolean;
}

/** A write that is remembered. */
interface TscRecord {
  readonly nsec: bigint;
  readonly write: bigint;
  readonly offset: bigint;
}

const lastOf = (vm: Vm): TscRecord => ({
  nsec: vm.lastTscNsec,
  write: vm.lastTscWrite,
  offset: vm.lastTscOffset,
});

const currentOf = (vm: Vm): TscRecord => ({
  nsec: vm.curTscNsec,
  write: vm.curTscWrite,
  offset: vm.curTscOffset,
});

/** What the next write is compared with. */
const recordOf = (vm: Vm, { switches }: Ctx): TscRecord =>
  switches.syncStore === 'current' ? currentOf(vm) : lastOf(vm);

/** What the generation began with. */
const generationOf = (vm: Vm, { switches }: Ctx): TscRecord =>
  switches.syncStore === 'last' ? lastOf(vm) : currentOf(vm);

/**
 * The value written, and by whom. A new vCPU synchronises with no value, which counts as 0; with a
 * new frequency (series-v6) the TSC as it was counts as userspace's.
 */
function written(ctx: Ctx): { data: bigint; byHost: boolean; byUser: boolean } {
  const { input } = ctx;
  if (input.type === 'KVM_SET_MSRS') return { data: input.data, byHost: true, byUser: true };
  if (input.type === 'wrmsr') return { data: input.data, byHost: false, byUser: true };
  const data = input.type === 'vcpu_postcreate' ? 0n : ctx.vcpu.tscBeforeKhz;
  return { data, byHost: true, byUser: input.type !== 'vcpu_postcreate' };
}

/** Whether `data` is close enough to what the VM's TSC should read by now. */
function isWithinWindow(vm: Vm, data: bigint, elapsedNs: bigint, ctx: Ctx): boolean {
  const { virtualTscKhz, virtualTscMult, virtualTscShift } = ctx.vcpu;
  const lastTscWrite = recordOf(vm, ctx).write;
  const write = { data, lastTscWrite, elapsedNs, virtualTscKhz, virtualTscMult, virtualTscShift };
  if (ctx.switches.syncWindow === 'usdiff') return tscMatchWindow(write, 'usdiff').synchronizing;
  if (ctx.switches.syncWindow === 'cycles-after-user-set' && !vm.userSetTsc) return false;
  return tscMatchWindow(write).synchronizing;
}

/** Whether writing 0 always means to synchronise. */
const isZeroSpecial = (byHost: boolean, ctx: Ctx): boolean =>
  ctx.switches.syncZero === 'any' || (ctx.switches.syncZero === 'host' && byHost);

/** Value and time that a write which joins the generation leaves, but for an unstable TSC. */
function matchedRecord(
  vm: Vm,
  data: bigint,
  ns: bigint,
  cycles: bigint,
  ctx: Ctx,
): { tsc: bigint; ns: bigint } {
  switch (ctx.switches.syncRecord) {
    // The value and the time are recorded as given, although the offset is another's: in all
    // merged kernels the next write is compared with what no TSC ever read.
    case 'raw':
      return { tsc: data, ns };
    case 'previous':
      return { tsc: recordOf(vm, ctx).write, ns: generationOf(vm, ctx).nsec };
    case 'elapsed':
      return { tsc: addU64(vm.curTscWrite, cycles), ns };
  }
}

function synchronizeValue(vm: Vm, ctx: Ctx): Synchronization {
  const { vcpu, host, switches } = ctx;
  const { data, byHost, byUser } = written(ctx);
  const hostTsc = ctx.read('sync.tsc');
  const ns = ctx.read('sync.ns');
  const elapsedNs = subU64(ns, recordOf(vm, ctx).nsec);
  const synchronizing =
    vcpu.virtualTscKhz !== 0 &&
    (data === 0n && isZeroSpecial(byHost, ctx) ? true : isWithinWindow(vm, data, elapsedNs, ctx));
  if (!synchronizing || vcpu.virtualTscKhz !== vm.lastTscKhz) {
    const offset = l1TscOffset(vcpu, host, data, hostTsc);
    return { tsc: data, ns, offset, matched: false, byUser };
  }
  // Until v4.11 the window's `do_div(elapsed, 1000)` has left microseconds here, taken for ns.
  const elapsed = switches.syncWindow === 'usdiff' ? elapsedNs / 1000n : elapsedNs;
  const cycles = nsecToCycles(elapsed, vcpu.virtualTscMult, vcpu.virtualTscShift);
  const joined = matchedRecord(vm, data, ns, cycles, ctx);
  if (!checkTscUnstable(host, switches)) {
    const { offset } = generationOf(vm, ctx);
    return { tsc: joined.tsc, ns: joined.ns, offset, matched: true, byUser };
  }
  const tsc = switches.syncRecord === 'elapsed' ? joined.tsc : addU64(joined.tsc, cycles);
  const at = switches.syncRecord === 'raw' ? ctx.read('sync.tsc2') : hostTsc;
  return { tsc, ns, offset: l1TscOffset(vcpu, host, tsc, at), matched: true, byUser };
}

function synchronizeOffset(vm: Vm, offset: bigint, byUser: boolean, ctx: Ctx): Synchronization {
  const { vcpu, host } = ctx;
  const scaled = scaleTsc(
    ctx.read('sync.tsc'),
    vcpu.l1TscScalingRatio,
    host.tscScalingRatioFracBits,
  );
  const matched =
    vcpu.virtualTscKhz !== 0 &&
    vm.lastTscKhz === vcpu.virtualTscKhz &&
    recordOf(vm, ctx).offset === offset;
  return { tsc: addU64(scaled, offset), ns: ctx.read('sync.ns'), offset, matched, byUser };
}

function synchronize(vm: Vm, ctx: Ctx): Synchronization {
  const { input, vcpu } = ctx;
  if (input.type === 'KVM_SET_TSC_OFFSET') return synchronizeOffset(vm, input.offset, true, ctx);
  if (input.type === 'wrmsr' && input.index === MSRS.IA32_TSC_ADJUST) {
    const offset = asU64(vcpu.l1TscOffset + input.data - vcpu.ia32TscAdjust);
    return synchronizeOffset(vm, offset, false, ctx);
  }
  return synchronizeValue(vm, ctx);
}

/** The frequency at a TSC write, counted for the masterclock (series-v6 22). */
function countFrequency(self: VmState, ctx: Ctx): void {
  if (ctx.vcpu.virtualTscKhz !== self.lastTscKhz) {
    self.curTscFreqGeneration += 1n;
    self.allVcpusMatchedFreq = false;
    self.nrVcpusMatchedFreq = 0;
  }
  if (ctx.vcpu.thisTscFreqGeneration !== self.curTscFreqGeneration) self.nrVcpusMatchedFreq += 1;
}

/** What every synchronisation records, matched or not. */
function record(self: VmState, sync: Synchronization, ctx: Ctx): void {
  const { syncStore, userSetTsc, mclkCriterion } = ctx.switches;
  if (sync.byUser && userSetTsc !== 'none') self.userSetTsc = true;
  if (mclkCriterion === 'frequency-generation') countFrequency(self, ctx);
  self.lastTscKhz = ctx.vcpu.virtualTscKhz;
  self.lastTscScalingRatio = ctx.vcpu.l1TscScalingRatio;
  if (syncStore === 'both' || (syncStore === 'last' && !sync.matched)) {
    self.lastTscNsec = sync.ns;
    self.lastTscWrite = sync.tsc;
  }
  if (syncStore !== 'current') self.lastTscOffset = sync.offset;
  self.syncTsc = sync.tsc;
  self.syncOffset = sync.offset;
  self.syncMatched = sync.matched;
}

/** A new VM has a generation that its first vCPU joins: its TSC counts from now (series-v6 36). */
export function seedGeneration(self: VmState, ctx: Ctx): void {
  self.curTscGeneration = 1n;
  self.curTscNsec = ctx.read('create.ns');
  self.curTscWrite = 0n;
  self.curTscOffset = asU64(-ctx.read('create.tsc'));
  self.lastTscKhz = self.defaultTscKhz;
  self.lastTscScalingRatio = defaultTscRatio(ctx.host.tscScalingRatioFracBits);
  self.allVcpusMatchedTsc = true;
  self.allVcpusMatchedFreq = true;
}

export const syncVmGuards = {
  joinsGeneration: (self, ctx) => synchronize(self, ctx).matched,
} satisfies Record<string, VmGuard>;

export const syncVmRecipes = {
  joinGeneration: (self, ctx) => {
    record(self, synchronize(self, ctx), ctx);
    if (ctx.vcpu.thisTscGeneration !== self.curTscGeneration) self.nrVcpusMatchedTsc += 1;
    noteMatch(self, ctx);
  },
  startGeneration: (self, ctx) => {
    const sync = synchronize(self, ctx);
    record(self, sync, ctx);
    self.curTscGeneration += 1n;
    self.curTscNsec = sync.ns;
    self.curTscWrite = sync.tsc;
    self.curTscOffset = sync.offset;
    self.nrVcpusMatchedTsc = 1;
    self.allVcpusMatchedTsc = false;
    noteMatch(self, ctx);
  },
  /** Until v6.14 a value by userspace is noted before it is found that the TSC is not KVM's. */
  noteUserTsc: (self) => {
    self.userSetTsc = true;
  },
  /**
   * The TSC went backwards. Times before the suspend compare with none after it, while the
   * generation stays; or the generation moves along, its offset by host cycles whatever the ratio.
   */
  recordBackwardsTsc: (self, ctx) => {
    self.backwardsTscObserved = true;
    if (ctx.switches.backwardsTscRecord === 'forget-last') {
      self.lastTscNsec = 0n;
      self.lastTscWrite = 0n;
      return;
    }
    const { tscDeficit, tscScalingRatioFracBits } = ctx.host;
    const cycles = scaleTsc(tscDeficit, self.lastTscScalingRatio, tscScalingRatioFracBits);
    self.curTscWrite -= cycles;
    self.curTscOffset += tscDeficit;
  },
} satisfies Record<string, VmRecipe>;

export const syncVcpuRecipes = {
  /** The vCPU takes the offset its VM has just decided, and the generation. */
  adoptSynchronization: (self, ctx) => {
    const { vm } = ctx;
    const previous = self.l1TscOffset;
    const generation = generationOf(vm, ctx);
    self.lastGuestTsc = vm.syncTsc;
    writeTscOffset(self, vm.syncOffset, ctx);
    if (ctx.input.type === 'wrmsr') self.ia32TscAdjust += subU64(vm.syncOffset, previous);
    self.thisTscGeneration = vm.curTscGeneration;
    self.thisTscFreqGeneration = vm.curTscFreqGeneration;
    self.thisTscNsec = generation.nsec;
    self.thisTscWrite = generation.write;
  },
} satisfies Record<string, VcpuRecipe>;
