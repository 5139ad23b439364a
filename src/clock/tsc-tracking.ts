/**
 * Whether a VM's TSCs allow a masterclock, and who asks for one when that changes.
 *
 * Source: `kvm_track_tsc_matching()`, and of the KVM clock series `kvm_use_master_clock()`,
 * arch/x86/kvm/x86.c.
 */
import type { Ctx, VcpuGuard, VcpuRecipe, VmRecipe } from './context.ts';
import { raiseMasterclockUpdate } from './requests.ts';
import { gtodIsBasedOnTsc } from './timekeeper.ts';
import type { VmState } from './vm-state.ts';

type Vm = Readonly<VmState>;

/** The kernel's count of one generation leaves out who started it, so that it starts at 0. */
const countedAsOne = (vm: Vm): number => Math.max(vm.nrVcpusMatchedTsc, 1);

/** Whether all online vCPUs are of one generation; without vCPUs, whether there is one to join. */
const allOffsetsMatch = (vm: Vm): boolean =>
  vm.onlineVcpus === 0 ? vm.curTscGeneration > 0n : countedAsOne(vm) === vm.onlineVcpus;

/** Whether all vCPUs share what the masterclock needs. */
export function vcpusMatch(vm: Vm, { switches }: Ctx): boolean {
  if (switches.mclkCriterion === 'offsets') return allOffsetsMatch(vm);
  if (switches.mclkCriterion === 'frequency') return vm.allVcpusMatchedFreq;
  // It starts as true, but without a generation there is no ratio to reckon with.
  return vm.allVcpusMatchedFreq && (vm.onlineVcpus > 0 || vm.curTscGeneration > 0n);
}

/** The TSC went backwards over a suspend: in this VM, or where one flag stands for all, in any. */
export const sawBackwardsTsc = (vm: Vm, ctx: Ctx): boolean =>
  ctx.switches.backwardsTsc === 'global' ? ctx.host.backwardsTscObserved : vm.backwardsTscObserved;

/** What tracking takes for possible, which may be more than an update then finds. */
function mayUseMasterclock(vm: Vm, ctx: Ctx): boolean {
  if (!vcpusMatch(vm, ctx) || !gtodIsBasedOnTsc(ctx.host.vclockMode, ctx.switches)) return false;
  if (!ctx.switches.mclkRequestChecksAll) return true;
  return !sawBackwardsTsc(vm, ctx) && !vm.bootVcpuRunsOldKvmclock;
}

/** Why tracking asks for a masterclock update; `undefined` when it does not. */
function reasonToUpdate(vm: Vm, ctx: Ctx): string | undefined {
  const { mclkRequestOnTrack } = ctx.switches;
  const use = vm.masterclock === 'on';
  const possible = mayUseMasterclock(vm, ctx);
  if (mclkRequestOnTrack === 'active-or-matched') {
    if (use) return 'mclkRequestOnTrack: masterclock in use';
    return possible ? 'mclkRequestOnTrack: all vCPUs matched' : undefined;
  }
  if (use && mclkRequestOnTrack !== 'toggle' && !vm.syncMatched) {
    return 'mclkRequestOnTrack: new generation';
  }
  if (use && mclkRequestOnTrack === 'toggle-or-stable' && vm.syncChangedMatch) {
    return 'mclkRequestOnTrack: TSC_STABLE changes';
  }
  return use === possible ? undefined : 'mclkRequestOnTrack: masterclock toggles';
}

/** Notes, at the end of a TSC write, whether all vCPUs are of its generation now. */
export function noteMatch(self: VmState, { switches }: Ctx): void {
  const matched = self.nrVcpusMatchedTsc >= self.onlineVcpus;
  self.syncChangedMatch = matched !== self.allVcpusMatchedTsc;
  self.allVcpusMatchedTsc = matched;
  if (switches.mclkCriterion !== 'frequency-generation') return;
  if (matched || self.nrVcpusMatchedFreq >= self.onlineVcpus) self.allVcpusMatchedFreq = true;
}

/** The number of vCPUs that matched, as each kernel prints it; rfc-v3 prints whether they did. */
function printedCount(vm: Vm, { switches }: Ctx): number {
  switch (switches.mclkCriterion) {
    case 'offsets':
      return countedAsOne(vm) - 1;
    case 'frequency':
      return vm.allVcpusMatchedFreq ? 1 : 0;
    case 'frequency-generation':
      return vm.nrVcpusMatchedTsc;
  }
}

export const trackingVmRecipes = {
  /** A scan for another frequency than the acting vCPU's begins. */
  beginFrequencyScan: (self, ctx) => {
    self.scannedTscKhz = ctx.vcpu.virtualTscKhz;
    self.allVcpusMatchedFreq = true;
    self.syncMatched = true;
    self.syncChangedMatch = false;
  },
  compareFrequency: (self, ctx) => {
    if (ctx.vcpu.virtualTscKhz !== self.scannedTscKhz) self.allVcpusMatchedFreq = false;
  },
  traceTrackTsc: (self, ctx) => {
    ctx.out.emit({
      type: 'kvm_track_tsc',
      vcpu: ctx.vcpu.vcpuId,
      vcpuId: ctx.vcpu.vcpuId,
      nrVcpusMatchedTsc: printedCount(self, ctx),
      onlineVcpus: self.onlineVcpus,
      useMasterClock: self.masterclock === 'on',
      hostClock: ctx.host.vclockMode,
      vm: ctx.vmId,
    });
  },
} satisfies Record<string, VmRecipe>;

export const trackingVcpuGuards = {
  trackingAsksForUpdate: (_self, ctx) => reasonToUpdate(ctx.vm, ctx) !== undefined,
} satisfies Record<string, VcpuGuard>;

export const trackingVcpuRecipes = {
  requestTrackedUpdate: (self, ctx) => {
    raiseMasterclockUpdate(self, reasonToUpdate(ctx.vm, ctx) ?? '', ctx);
  },
  trackingKeeps: (_self, ctx) => {
    ctx.out.considered('kept', `mclkRequestOnTrack: ${ctx.switches.mclkRequestOnTrack}`);
  },
} satisfies Record<string, VcpuRecipe>;
