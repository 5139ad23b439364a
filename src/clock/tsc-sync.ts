/**
 * TSC synchronisation: is a value written to a TSC meant to agree with the VM's other TSCs?
 *
 * vCPUs whose writes agree share a *generation* (one offset); KVM counts them, and only when all
 * online vCPUs are of the current generation can the VM have a masterclock. A write that does not
 * agree starts a new generation, of which it is the first.
 *
 * Source: `kvm_synchronize_tsc()` (before v5.11 `kvm_write_tsc()`), `__kvm_synchronize_tsc()`,
 * `kvm_track_tsc_matching()` and `kvm_arch_tsc_set_attr()`, arch/x86/kvm/x86.c.
 */
import { addU64, nsecToCycles, scaleTsc, subU64, tscMatchWindow } from '../num/index.ts';
import type { Ctx, VcpuGuard, VcpuRecipe, VmGuard, VmRecipe } from './context.ts';
import { raiseMasterclockUpdate } from './requests.ts';
import { isTscMode } from './timekeeper.ts';
import { l1TscOffset, writeTscOffset } from './tsc.ts';
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

/** The value written, and by whom; a new vCPU synchronises with no value, which counts as 0. */
function written(ctx: Ctx): { data: bigint; byHost: boolean; byUser: boolean } {
  const { input } = ctx;
  if (input.type === 'KVM_SET_MSRS') return { data: input.data, byHost: true, byUser: true };
  if (input.type === 'wrmsr') return { data: input.data, byHost: false, byUser: true };
  return { data: 0n, byHost: true, byUser: false };
}

/** Whether `data` is close enough to what the VM's TSC should read by now. */
function isWithinWindow(vm: Vm, data: bigint, elapsedNs: bigint, ctx: Ctx): boolean {
  const { virtualTscKhz, virtualTscMult, virtualTscShift } = ctx.vcpu;
  const { lastTscWrite } = vm;
  const write = { data, lastTscWrite, elapsedNs, virtualTscKhz, virtualTscMult, virtualTscShift };
  if (ctx.switches.syncWindow === 'usdiff') return tscMatchWindow(write, 'usdiff').synchronizing;
  if (ctx.switches.syncWindow === 'cycles-after-user-set' && !vm.userSetTsc) return false;
  return tscMatchWindow(write).synchronizing;
}

/** Whether writing 0 always means to synchronise. */
const isZeroSpecial = (byHost: boolean, ctx: Ctx): boolean =>
  ctx.switches.syncZero === 'any' || (ctx.switches.syncZero === 'host' && byHost);

function synchronizeValue(vm: Vm, ctx: Ctx): Synchronization {
  const { vcpu, host } = ctx;
  const { data, byHost, byUser } = written(ctx);
  const hostTsc = ctx.read('sync.tsc');
  const ns = ctx.read('sync.ns');
  const elapsedNs = subU64(ns, vm.lastTscNsec);
  const synchronizing =
    vcpu.virtualTscKhz !== 0 &&
    (data === 0n && isZeroSpecial(byHost, ctx) ? true : isWithinWindow(vm, data, elapsedNs, ctx));
  if (!synchronizing || vcpu.virtualTscKhz !== vm.lastTscKhz) {
    const offset = l1TscOffset(vcpu, host, data, hostTsc);
    return { tsc: data, ns, offset, matched: false, byUser };
  }
  // The value and the time are recorded as given, although the offset is another's: §5.9 of the
  // project's notes, "misrecorded reference", in all merged kernels.
  if (host.tsc === 'stable') {
    return { tsc: data, ns, offset: vm.curTscOffset, matched: true, byUser };
  }
  // Until v4.11 the window's `do_div(elapsed, 1000)` has left microseconds here, taken for ns.
  const elapsed = ctx.switches.syncWindow === 'usdiff' ? elapsedNs / 1000n : elapsedNs;
  const { virtualTscMult, virtualTscShift } = vcpu;
  const tsc = addU64(data, nsecToCycles(elapsed, virtualTscMult, virtualTscShift));
  const offset = l1TscOffset(vcpu, host, tsc, ctx.read('sync.tsc2'));
  return { tsc, ns, offset, matched: true, byUser };
}

function synchronizeOffset(vm: Vm, offset: bigint, ctx: Ctx): Synchronization {
  const { vcpu, host } = ctx;
  const scaled = scaleTsc(
    ctx.read('sync.tsc'),
    vcpu.l1TscScalingRatio,
    host.tscScalingRatioFracBits,
  );
  const matched =
    vcpu.virtualTscKhz !== 0 && vm.lastTscKhz === vcpu.virtualTscKhz && vm.lastTscOffset === offset;
  return { tsc: addU64(scaled, offset), ns: ctx.read('sync.ns'), offset, matched, byUser: true };
}

const synchronize = (vm: Vm, ctx: Ctx): Synchronization =>
  ctx.input.type === 'KVM_SET_TSC_OFFSET'
    ? synchronizeOffset(vm, ctx.input.offset, ctx)
    : synchronizeValue(vm, ctx);

/** What every synchronisation records, matched or not. */
function record(self: VmState, sync: Synchronization, ctx: Ctx): void {
  if (sync.byUser && ctx.switches.userSetTsc !== 'none') self.userSetTsc = true;
  self.lastTscNsec = sync.ns;
  self.lastTscWrite = sync.tsc;
  self.lastTscKhz = ctx.vcpu.virtualTscKhz;
  self.lastTscOffset = sync.offset;
  self.syncMatched = sync.matched;
}

/** Whether all online vCPUs are of one generation: the count leaves out the one that started it. */
export const allOffsetsMatch = (vm: Vm): boolean => vm.nrVcpusMatchedTsc + 1 === vm.onlineVcpus;

/** Why tracking asks for a masterclock update; `undefined` when it does not. */
function reasonToUpdate(vm: Vm, ctx: Ctx): string | undefined {
  const use = vm.masterclock === 'on';
  const possible = allOffsetsMatch(vm) && isTscMode(ctx.host.vclockMode);
  if (ctx.switches.mclkRequestOnTrack === 'active-or-matched') {
    if (use) return 'mclkRequestOnTrack: masterclock in use';
    return possible ? 'mclkRequestOnTrack: all vCPUs matched' : undefined;
  }
  if (use && !vm.syncMatched) return 'mclkRequestOnTrack: new generation';
  return use === possible ? undefined : 'mclkRequestOnTrack: masterclock toggles';
}

export const syncVmGuards = {
  joinsGeneration: (self, ctx) => synchronize(self, ctx).matched,
} satisfies Record<string, VmGuard>;

export const syncVmRecipes = {
  joinGeneration: (self, ctx) => {
    record(self, synchronize(self, ctx), ctx);
    if (ctx.vcpu.thisTscGeneration !== self.curTscGeneration) self.nrVcpusMatchedTsc += 1;
  },
  startGeneration: (self, ctx) => {
    const sync = synchronize(self, ctx);
    record(self, sync, ctx);
    self.curTscGeneration += 1n;
    self.curTscNsec = sync.ns;
    self.curTscWrite = sync.tsc;
    self.curTscOffset = sync.offset;
    self.nrVcpusMatchedTsc = 0;
  },
  traceTrackTsc: (self, ctx) => {
    ctx.out.emit({
      type: 'kvm_track_tsc',
      vcpu: ctx.vcpu.vcpuId,
      vcpuId: ctx.vcpu.vcpuId,
      nrVcpusMatchedTsc: self.nrVcpusMatchedTsc,
      onlineVcpus: self.onlineVcpus,
      useMasterClock: self.masterclock === 'on',
      hostClock: ctx.host.vclockMode,
    });
  },
  /** Times before the suspend compare with none after it; the generation stays. */
  forgetLastWrite: (self) => {
    self.backwardsTscObserved = true;
    self.lastTscNsec = 0n;
    self.lastTscWrite = 0n;
  },
} satisfies Record<string, VmRecipe>;

export const syncVcpuGuards = {
  trackingAsksForUpdate: (_self, ctx) => reasonToUpdate(ctx.vm, ctx) !== undefined,
} satisfies Record<string, VcpuGuard>;

export const syncVcpuRecipes = {
  /** The vCPU takes the offset its VM has just recorded, and the generation. */
  adoptSynchronization: (self, ctx) => {
    const { vm } = ctx;
    const previous = self.l1TscOffset;
    self.lastGuestTsc = vm.lastTscWrite;
    writeTscOffset(self, vm.lastTscOffset, ctx);
    if (ctx.input.type === 'wrmsr') self.ia32TscAdjust += subU64(vm.lastTscOffset, previous);
    self.thisTscGeneration = vm.curTscGeneration;
    self.thisTscNsec = vm.curTscNsec;
    self.thisTscWrite = vm.curTscWrite;
  },
  requestTrackedUpdate: (self, ctx) => {
    raiseMasterclockUpdate(self, reasonToUpdate(ctx.vm, ctx) ?? '', ctx);
  },
  trackingKeeps: (_self, ctx) => {
    ctx.out.considered('kept', `mclkRequestOnTrack: ${ctx.switches.mclkRequestOnTrack}`);
  },
} satisfies Record<string, VcpuRecipe>;
