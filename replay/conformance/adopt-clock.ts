/** What KVM_SET_CLOCK and the creation of a VM read, told by the clock they led to. */
import { clockAtHostTsc, hostTscKhz } from '../../src/clock/index.ts';
import { addU64, asS64, subU64 } from '../../src/num/index.ts';
import type { Switches } from '../../src/profiles/index.ts';
import { type Action, wide } from './action.ts';
import { referenceByClock, snapshotPage } from './adopt-snapshot.ts';
import { isWithin } from './instants.ts';
import { cyclesOf, type Here, type Sources } from './sources.ts';

/** The VM's offset, as the first page made of a masterclock reference has it. */
function futureOffset(sources: Sources, here: Here): bigint | undefined {
  if (here.vm === undefined || here.clocksUnknown) return undefined;
  const after = sources.future.placeOf(here.placed, here.placed.step.recorded.length - 1);
  const page = sources.future.masterPage(here.vm, after);
  if (page === undefined) return undefined;
  if (here.isHostTsc(page.hostTsc)) {
    return asS64(page.event.systemTime - here.baseAt(page.hostTsc));
  }
  const reference = referenceByClock(here, page);
  return reference === undefined
    ? undefined
    : asS64(page.event.systemTime - here.baseAt(reference));
}

export function createNs(sources: Sources, here: Here): bigint | undefined {
  const offset = futureOffset(sources, here);
  if (offset === undefined) return undefined;
  return sources.adoptNs('create-ns', -offset, here, 'base');
}

export function setClockNs(sources: Sources, here: Here): bigint | undefined {
  const offset = futureOffset(sources, here);
  const clock = wide(here.placed.action?.args['clock']);
  if (offset === undefined || clock === undefined) return undefined;
  return sources.adoptNs('set-clock-ns', subU64(clock, offset), here, 'base');
}

/** From the page: the clock asked for, and the realtime that passed. */
export function setClockRealtime(sources: Sources, here: Here): bigint | undefined {
  const { action } = here.placed;
  if (action?.op !== 'KVM_SET_CLOCK' || here.vm === undefined) return undefined;
  const clock = wide(action.args['clock']);
  const realtime = wide(action.args['realtime']);
  if (clock === undefined || realtime === undefined) return undefined;
  const set = clockAfterSetting(sources, here, action);
  if (set === undefined) return undefined;
  const passed = asS64(set - clock);
  if (passed === 0n) return undefined;
  return sources.adoptNs('realtime-ns', addU64(realtime, passed), here, 'realtime');
}

/** The clock at the reference taken by KVM_SET_CLOCK: as a page has it, or KVM_GET_CLOCK. */
function clockAfterSetting(sources: Sources, here: Here, action: Action): bigint | undefined {
  const page = snapshotPage(sources, here, 0);
  if (page !== undefined) return page.event.systemTime;
  const vm = sources.vmState(here);
  const seen = action.seen?.clock;
  if (vm === undefined || seen === undefined || seen.hostTsc === 0n) return undefined;
  if (vm.masterclock !== 'on') return undefined;
  here.useClock(action);
  const { host, switches } = sources.world;
  const passed = subU64(
    clockAtHostTsc(vm, seen.hostTsc, hostTscKhz(host, 0, switches)),
    addU64(vm.masterKernelNs, vm.kvmclockOffset),
  );
  return subU64(seen.clock, passed);
}

/** Kernels in which KVM_SET_CLOCK measures against the clock now, for which it reads the TSC. */
const READS_NOW: ReadonlySet<Switches['setClockOrder']> = new Set([
  'now-then-update',
  'update-then-now',
]);

/** v4.9 to v5.11: the page shows how long after the reference the clock was read. */
export function setClockTsc(sources: Sources, here: Here, next: number): bigint | undefined {
  if (!READS_NOW.has(sources.world.switches.setClockOrder)) return undefined;
  const { action } = here.placed;
  const clock = action?.op === 'KVM_SET_CLOCK' ? wide(action.args['clock']) : undefined;
  const page = snapshotPage(sources, here, Math.min(next, 0));
  const vm = sources.vmState(here);
  if (clock === undefined || page === undefined || vm === undefined) return undefined;
  const ns = asS64(clock - page.event.systemTime);
  const cycles = cyclesOf(ns, page.event.tscToSystemMul, page.event.tscShift);
  const tsc = vm.masterCycleNow + (cycles ?? 0n);
  if (cycles === undefined || !isWithin(tsc, here.window)) return undefined;
  return sources.adopt('set-clock-tsc', tsc);
}
