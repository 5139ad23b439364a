/**
 * How a Linux guest accounts the time stolen from it: at each tick, what its steal clock advanced by,
 * and never more than the tick itself.
 *
 * Only what was accounted is taken off the clock's advance, so that no time is lost to the limit. So a
 * steal clock that went back looks 2^64 ns ahead, and every tick is stolen until it has caught up:
 * 584 years. RFC PATCH v3 21/21 takes the clock as it is once the advance is twice the tick or more.
 *
 * Source: `steal_account_process_time()`, kernel/sched/cputime.c; `kvm_steal_clock()`,
 * arch/x86/kernel/kvm.c; `xen_steal_clock()`, drivers/xen/time.c.
 */
import { addU64, subU64 } from '../num/index.ts';
import type { GuestCtx } from './guest-clock.ts';
import type { GuestState } from './guest-state.ts';

type Guest = Readonly<GuestState>;

/** How much the steal clock seems to have advanced, ns modulo 2^64. */
const advanceOf = (self: Guest, { cpu, stealClockNs }: GuestCtx): bigint =>
  subU64(stealClockNs, self.prevStealNs.get(cpu));

const isMoreThanTick = (self: Guest, ctx: GuestCtx): boolean => advanceOf(self, ctx) > ctx.tickNs;

/** Reports what was stolen, at most the tick. */
function account(self: GuestState, ctx: GuestCtx): bigint {
  const advance = advanceOf(self, ctx);
  const stolen = isMoreThanTick(self, ctx) ? ctx.tickNs : advance;
  self.stolenNs.set(ctx.cpu, addU64(self.stolenNs.get(ctx.cpu), stolen));
  return stolen;
}

export const guestStealGuards = {
  stealClockLeapt: (self: Guest, ctx: GuestCtx) =>
    self.stealResync && advanceOf(self, ctx) >= 2n * ctx.tickNs,
};

export const guestStealRecipes = {
  accountSteal: (self: GuestState, ctx: GuestCtx) => {
    const stolen = account(self, ctx);
    self.prevStealNs.set(ctx.cpu, addU64(self.prevStealNs.get(ctx.cpu), stolen));
  },
  resyncSteal: (self: GuestState, ctx: GuestCtx) => {
    account(self, ctx);
    self.prevStealNs.set(ctx.cpu, ctx.stealClockNs);
  },
};
