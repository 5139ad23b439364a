/**
 * What happens to a vCPU's clock when a thread takes it onto a host CPU and off again, and at entry
 * and exit.
 *
 * Source: `kvm_arch_vcpu_load()`, `kvm_arch_vcpu_put()`, `vcpu_enter_guest()`,
 * arch/x86/kvm/x86.c.
 */
import { addU64, asS64, defaultTscRatio, scaleTsc } from '../num/index.ts';
import type { Ctx, VcpuGuard, VcpuRecipe, VmRecipe } from './context.ts';
import { isVmx } from './nested-tsc.ts';
import { raise } from './requests.ts';
import { checkTscUnstable } from './timekeeper.ts';
import { l1TscOffset, readL1Tsc, writeTscOffset } from './tsc.ts';
import type { VcpuState } from './vcpu-state.ts';
import { UPDATES_PER_SECOND, type VmState } from './vm-state.ts';

/** The host CPU an input happens on; a vCPU that is synchronised after its creation stays put. */
const cpuOf = (ctx: Ctx): number => ('cpu' in ctx.input ? ctx.input.cpu : ctx.vcpu.cpu);

/** Whether a load does more than count steal time. */
export const loadMatters = (ctx: Ctx): boolean =>
  ctx.vcpu.cpu !== cpuOf(ctx) || checkTscUnstable(ctx.host, ctx.switches);

/** Whether this CPU's TSC is behind the one the vCPU ran on last. */
export const loadSeesBackwardsTsc = (ctx: Ctx): boolean =>
  ctx.vcpu.lastHostTsc !== 0n && asS64(ctx.read('load.tsc') - ctx.vcpu.lastHostTsc) < 0n;

const isFirstLoad = (self: Readonly<VcpuState>): boolean => self.cpu === -1;

/** Whether this load wants the clocks of all vCPUs brought up to date. */
function wantsGlobalUpdate(self: Readonly<VcpuState>, ctx: Ctx): boolean {
  if (ctx.vm.masterclock !== 'on') return true;
  return ctx.switches.globalUpdateOnLoad === 'no-master-or-first' && isFirstLoad(self);
}

/** Whether a second has passed since the first update that this window granted. */
const isWindowOver = (vm: Readonly<VmState>, ctx: Ctx): boolean =>
  vm.updatesInWindow === 0 || ctx.input.tsc - vm.updateWindowTsc > BigInt(ctx.host.tscKhz) * 1000n;

const isGranted = (ctx: Ctx): boolean =>
  !ctx.switches.globalUpdateRateLimit ||
  isWindowOver(ctx.vm, ctx) ||
  ctx.vm.updatesInWindow < UPDATES_PER_SECOND;

export const loadGuards = {
  asksForGlobalUpdate: (self, ctx) => wantsGlobalUpdate(self, ctx) && isGranted(ctx),
  asksForOwnUpdate: (self, ctx) =>
    wantsGlobalUpdate(self, ctx) ||
    (ctx.switches.globalUpdateOnLoad === 'no-master-own-first' && isFirstLoad(self)),
} satisfies Record<string, VcpuGuard>;

/** Whether a load takes one of the VM's global updates of this second. */
export const loadTakesGlobalUpdate = (ctx: Ctx): boolean =>
  ctx.switches.globalUpdateRateLimit && wantsGlobalUpdate(ctx.vcpu, ctx) && isGranted(ctx);

export const loadVmRecipes = {
  countGlobalUpdate: (self, ctx) => {
    if (isWindowOver(self, ctx)) {
      self.updateWindowTsc = ctx.input.tsc;
      self.updatesInWindow = 0;
    }
    self.updatesInWindow += 1;
  },
} satisfies Record<string, VmRecipe>;

export const loadRecipes = {
  /** What the TSC lost over a suspend comes back. */
  applyTscAdjustment: (self, ctx) => {
    const adjustment = scaleTsc(
      self.tscOffsetAdjustment,
      self.l1TscScalingRatio,
      ctx.host.tscScalingRatioFracBits,
    );
    writeTscOffset(self, addU64(self.l1TscOffset, adjustment), ctx);
    self.tscOffsetAdjustment = 0n;
    raise(self, 'CLOCK_UPDATE', ctx);
  },
  /** With an unstable TSC the guest's goes on from where it was last seen. */
  continueTsc: (self, ctx) => {
    writeTscOffset(
      self,
      l1TscOffset(self, ctx.host, self.lastGuestTsc, ctx.read('load.tsc2')),
      ctx,
    );
  },
  moveToCpu: (self, ctx) => {
    const cpu = cpuOf(ctx);
    if (self.cpu !== cpu) raise(self, 'MIGRATE_TIMER', ctx);
    self.cpu = cpu;
  },
  noteHostTsc: (self, ctx) => {
    self.lastHostTsc = ctx.read('put.tsc');
  },
  noteGuestTsc: (self, ctx) => {
    self.lastGuestTsc = readL1Tsc(self, ctx.host, ctx.read('exit.tsc'));
  },
  nameVcpu: (self, ctx) => {
    if ('vcpu' in ctx.input) self.vcpuId = ctx.input.vcpu;
    self.vcpuIdx = ctx.vm.createdVcpus;
    self.cpu = ctx.switches.vmxCreateSetsCpu && isVmx(ctx) ? cpuOf(ctx) : -1;
    self.l2TscMultiplier = defaultTscRatio(ctx.host.tscScalingRatioFracBits);
    self.tscRatioMsr = self.l2TscMultiplier;
  },
} satisfies Record<string, VcpuRecipe>;
