/**
 * How a Linux guest compares TSCs when it brings a CPU up.
 *
 * The CPU that does so and the new one read their TSCs in turn. One that reads less than was read
 * before it is behind: where there is TSC_ADJUST it moves its TSC on by as much, else the TSC is no
 * clocksource any more. X86_FEATURE_TSC_RELIABLE, which guests have of some hypervisors, spares all
 * of it: nothing is compared and nothing is written, right or wrong.
 *
 * Source: `check_tsc_sync_source()`, `check_tsc_sync_target()`, arch/x86/kernel/tsc_sync.c.
 */
import { addU64, asS64, subU64 } from '../num/index.ts';
import type { GuestCtx } from './guest-clock.ts';
import type { GuestState } from './guest-state.ts';

type Guest = Readonly<GuestState>;

/** By how much the new CPU's TSC is behind, cycles; less than 0 where it is not. */
const warpOf = ({ tsc, sourceTsc }: GuestCtx): bigint => asS64(subU64(sourceTsc, tsc));

export const guestTscSyncGuards = {
  tscIsReliable: (self: Guest) => self.tscReliable,
  tscsAgree: (_self: Guest, ctx: GuestCtx) => warpOf(ctx) <= 0n,
  hasTscAdjust: (self: Guest) => self.cpuidTscAdjust,
};

export const guestTscSyncRecipes = {
  adjustTsc: (self: GuestState, ctx: GuestCtx) => {
    self.tscAdjust.set(ctx.cpu, addU64(self.tscAdjust.get(ctx.cpu), warpOf(ctx)));
  },
};
