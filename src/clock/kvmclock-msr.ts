/**
 * MSR_KVM_SYSTEM_TIME and MSR_KVM_SYSTEM_TIME_NEW: where the guest wants its pvclock page.
 *
 * Source: `kvm_write_system_time()`, `kvm_set_guest_paused()`, arch/x86/kvm/x86.c.
 */
import { MSRS } from '../../events/index.ts';
import { type Ctx, inputOf, type VcpuGuard, type VcpuRecipe, type VmRecipe } from './context.ts';
import { answerVcpu } from './ioctl-result.ts';
import { raise, raiseMasterclockUpdate } from './requests.ts';

/** Bit 0 turns the page on. */
const ENABLE = 1n;

const write = (ctx: Ctx) => inputOf(ctx, 'wrmsr', 'KVM_SET_MSRS');
const enables = (ctx: Ctx): boolean => (write(ctx).data & ENABLE) !== 0n;
const isOldMsr = (ctx: Ctx): boolean => write(ctx).index === MSRS.MSR_KVM_SYSTEM_TIME;

/** Whether the guest's boot vCPU writes where its page is. */
export const bootVcpuWrites = (ctx: Ctx): boolean =>
  ctx.vcpu.vcpuId === 0 && ctx.input.type === 'wrmsr';

/** Whether that starts the VM's clock again (PVCLOCK_COUNTS_FROM_ZERO, v4.2). */
export const restartsClock = (ctx: Ctx): boolean =>
  ctx.switches.countsFromZero && bootVcpuWrites(ctx);

/** Whether the guest's boot vCPU turns from one of the two MSRs to the other. */
export const bootVcpuChangesMsr = (ctx: Ctx): boolean =>
  bootVcpuWrites(ctx) && ctx.vm.bootVcpuRunsOldKvmclock !== isOldMsr(ctx);

export const kvmclockGuards = {
  enablesOldKvmclock: (_self, ctx) => enables(ctx) && isOldMsr(ctx),
  enablesNewKvmclock: (_self, ctx) => enables(ctx) && !isOldMsr(ctx),
} satisfies Record<string, VcpuGuard>;

export const kvmclockVmRecipes = {
  noteBootVcpuMsr: (self, ctx) => {
    self.bootVcpuRunsOldKvmclock = isOldMsr(ctx);
  },
} satisfies Record<string, VmRecipe>;

export const kvmclockRecipes = {
  requestUpdateForMsr: (self, ctx) => {
    raiseMasterclockUpdate(self, 'vCPU 0 changed between old and new kvmclock MSR', ctx);
  },
  storeSystemTimeMsr: (self, ctx) => {
    const { data } = write(ctx);
    const gpa = data & ~ENABLE;
    // Another page is other memory; a fresh one reads 0.
    if (enables(ctx) && gpa !== self.pageGpa) {
      self.pageGpa = gpa;
      self.pageVersion = 0;
      self.pageTscTimestamp = 0n;
      self.pageSystemTime = 0n;
      self.pageMul = 0;
      self.pageShift = 0;
      self.pageFlags = 0;
    }
    self.systemTimeMsr = data;
    if (ctx.switches.globalUpdateOnSystemTimeMsr) raise(self, 'GLOBAL_CLOCK_UPDATE', ctx);
    else if (enables(ctx)) raise(self, 'CLOCK_UPDATE', ctx);
  },
  forgetSystemTimeMsr: (self) => {
    self.systemTimeMsr = 0n;
  },
  reportGuestPaused: (self, ctx) => {
    answerVcpu(self, 0, ctx);
  },
} satisfies Record<string, VcpuRecipe>;
