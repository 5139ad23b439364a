/**
 * The VM's delayed work: bringing all pages up to date 100 ms after one asked, and every 300 s.
 *
 * Source: `kvm_gen_kvmclock_update()`, `kvmclock_update_fn()`, `kvmclock_sync_fn()`,
 * arch/x86/kvm/x86.c; both works are gone since v6.19.
 */
import type { Ctx, VmGuard, VmRecipe } from './context.ts';

/** KVMCLOCK_UPDATE_DELAY. */
const UPDATE_DELAY_NS = 100_000_000n;
/** KVMCLOCK_SYNC_PERIOD. */
const SYNC_PERIOD_NS = 300_000_000_000n;

/** Whether a vCPU just created sets the periodic work going. */
export function armsSyncWork(ctx: Ctx): boolean {
  const { periodicSync } = ctx.switches;
  if (periodicSync === 'none' || !ctx.host.kvmclockPeriodicSync) return false;
  if (periodicSync === 'no-master' && ctx.vm.masterclock === 'on') return false;
  return periodicSync === 'per-vcpu' || ctx.vcpu.vcpuIdx === 0;
}

const isForNoMaster = ({ switches }: Ctx): boolean => switches.periodicSync === 'no-master';

/** Whether the end of a masterclock update sets it going (rfc-v3 19). */
export const updateArmsSyncWork = (ctx: Ctx): boolean =>
  isForNoMaster(ctx) && ctx.host.kvmclockPeriodicSync && ctx.vm.masterclock !== 'on';

export const vmWorkGuards = {
  /** As posted: it ends where it was meant to go on, without the masterclock. */
  syncWorkEnds: (self, ctx) => isForNoMaster(ctx) && self.masterclock !== 'on',
} satisfies Record<string, VmGuard>;

export const vmWorkRecipes = {
  /** The periodic work has it run at once (`kvmclock_sync_fn()`). */
  armUpdateWork: (_self, ctx) => {
    const delayNs = ctx.input.type === 'kvmclock_sync_work' ? 0n : UPDATE_DELAY_NS;
    ctx.out.emit({ type: 'timer_armed', name: 'kvmclock_update_work', delayNs, vm: ctx.vmId });
  },
  armSyncWork: (_self, ctx) => {
    ctx.out.emit({
      type: 'timer_armed',
      name: 'kvmclock_sync_work',
      delayNs: SYNC_PERIOD_NS,
      vm: ctx.vmId,
    });
  },
  workFired: (_self, ctx) => {
    ctx.out.emit({ type: 'timer_fired', name: ctx.input.type, vm: ctx.vmId });
  },
} satisfies Record<string, VmRecipe>;
