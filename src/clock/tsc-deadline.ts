/**
 * The TSC deadline timer: fires when the guest's TSC reaches a value.
 *
 * The hypervisor turns the distance into nanoseconds once, when the guest writes the deadline; a TSC
 * offset that changes later does not move a timer that is running. The product in that conversion
 * wraps at 2^64, so a deadline of hours ahead fires early.
 *
 * Source: `start_sw_tscdeadline()`, `kvm_set_lapic_tscdeadline_msr()`, arch/x86/kvm/lapic.c.
 */
import { asU64, subU64 } from '../num/index.ts';
import { type Ctx, inputOf, type VcpuRecipe } from './context.ts';
import { readL1Tsc } from './tsc.ts';
import type { VcpuState } from './vcpu-state.ts';

/** The timer's name in observations, and the input that lets it fire. */
const TIMER = 'tsc_deadline';

/** How far the deadline is, ns; 0 when it has passed. */
function delayNs(self: Readonly<VcpuState>, ctx: Ctx): bigint {
  const now = readL1Tsc(self, ctx.host, ctx.read('getClock.tsc'));
  if (self.tscDeadline <= now) return 0n;
  const cycles = subU64(self.tscDeadline, now);
  return asU64(cycles * 1_000_000n) / BigInt(self.virtualTscKhz);
}

export const tscDeadlineRecipes = {
  /** Arms the timer; a deadline that has passed fires at once, and 0 means none. */
  setTscDeadline: (self, ctx) => {
    self.tscDeadline = inputOf(ctx, 'wrmsr', 'KVM_SET_MSRS').data;
    if (self.tscDeadline === 0n || self.virtualTscKhz === 0) return;
    const delay = delayNs(self, ctx);
    if (delay > 0n) {
      ctx.out.emit({ type: 'timer_armed', vcpu: self.vcpuId, name: TIMER, delayNs: delay });
      return;
    }
    self.tscDeadline = 0n;
    ctx.out.emit({ type: 'timer_fired', vcpu: self.vcpuId, name: TIMER });
  },
  /** The interrupt is the guest's; the deadline is spent. */
  fireTscDeadline: (self, ctx) => {
    self.tscDeadline = 0n;
    ctx.out.emit({ type: 'timer_fired', vcpu: self.vcpuId, name: TIMER });
  },
} satisfies Record<string, VcpuRecipe>;
