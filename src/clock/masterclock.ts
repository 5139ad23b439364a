/**
 * The masterclock: one pair (host TSC, base clock) that all vCPUs of a VM reckon from, so that their
 * clocks agree.
 *
 * It is in use while the host's clocksource is the TSC, all online vCPUs share one TSC generation
 * (or, in the KVM clock series, one frequency), the host's TSC never went backwards and vCPU 0 does not use the old kvmclock MSR. Taking the pair
 * anew moves the guest's clock by whatever the base clock and the TSC have drifted apart since.
 *
 * Source: `pvclock_update_vm_gtod_copy()`, `kvm_get_time_and_clockread()`, arch/x86/kvm/x86.c.
 */
import type { Ctx, VmGuard, VmRecipe } from './context.ts';
import { gtodIsBasedOnTsc } from './timekeeper.ts';
import { sawBackwardsTsc, vcpusMatch } from './tsc-tracking.ts';
import { takeGuestScale } from './vm-clock.ts';
import type { VmState } from './vm-state.ts';

type Vm = Readonly<VmState>;

const hostIsTsc = (ctx: Ctx): boolean => gtodIsBasedOnTsc(ctx.host.vclockMode, ctx.switches);

function announce(self: Vm, use: boolean, reason: string, ctx: Ctx): void {
  ctx.out.emit({
    type: 'kvm_update_master_clock',
    useMasterClock: use,
    hostClock: ctx.host.vclockMode,
    offsetMatched: vcpusMatch(self, ctx),
    vm: ctx.vmId,
  });
  ctx.out.considered('recomputed', reason);
}

/** What is amiss where vCPUs do not match. Series v6 counts the vCPUs that were synchronised since. */
const UNMATCHED: Readonly<Record<Ctx['switches']['mclkCriterion'], string>> = {
  offsets: 'the vCPUs’ TSCs are of different generations',
  frequency: 'the vCPUs’ TSCs are of different frequencies',
  'frequency-generation': 'not every vCPU’s TSC was synchronised since a frequency last changed',
};

/** Tells in the tracepoint and the record what the update came to. */
const announceOff =
  (reason: string): VmRecipe =>
  (self, ctx) => {
    announce(self, false, `off: ${reason}`, ctx);
  };

export const masterclockGuards = {
  hostClockIsNotTsc: (_self, ctx) => !hostIsTsc(ctx),
  vcpusDoNotMatch: (self, ctx) => !vcpusMatch(self, ctx),
  tscWentBackwards: (self, ctx) => sawBackwardsTsc(self, ctx),
  bootVcpuRunsOldKvmclock: (self) => self.bootVcpuRunsOldKvmclock,
} satisfies Record<string, VmGuard>;

export const masterclockRecipes = {
  /** The pair is taken whenever the host's clock is the TSC, also when it will not be used. */
  takeReference: (self, ctx) => {
    self.masterCycleNow = ctx.read('snapshot.tsc');
    self.masterKernelNs = ctx.read('snapshot.ns');
    takeGuestScale(self, ctx);
  },
  announceOn: (self, ctx) => {
    announce(self, true, 'on', ctx);
  },
  announceHostClock: announceOff('the host’s clocksource is not the TSC'),
  announceUnmatched: (self, ctx) => {
    announce(self, false, `off: ${UNMATCHED[ctx.switches.mclkCriterion]}`, ctx);
  },
  announceBackwards: announceOff('the TSC went backwards over a suspend'),
  announceOldKvmclock: announceOff('vCPU 0 uses the old kvmclock MSR'),
} satisfies Record<string, VmRecipe>;
