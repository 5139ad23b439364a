/** The instant of a masterclock snapshot, told by the first page or read of the clock made of it. */
import { hostTscKhz, KVM_CLOCK_REALTIME } from '../../src/clock/index.ts';
import { asS64, scaleDelta, subU64, timeScale } from '../../src/num/index.ts';
import { narrow, wide } from './action.ts';
import type { FuturePage } from './future.ts';
import { earlier, isWithin } from './instants.ts';
import { cyclesOf, type Here, type Sources } from './sources.ts';

export function snapshotPage(sources: Sources, here: Here, next: number): FuturePage | undefined {
  const { placed, vm } = here;
  const { recorded } = placed.step;
  const index = recorded.findIndex(
    (event, at) => at >= next && event.type === 'kvm_update_master_clock',
  );
  if (vm === undefined || index < 0) return undefined;
  return sources.future.pageOfSnapshot(vm, sources.future.placeOf(placed, index));
}

export function snapshot(
  sources: Sources,
  here: Here,
  next: number,
): { hostTsc: bigint } | undefined {
  const page = snapshotPage(sources, here, next) ?? snapshotBySetting(sources, here);
  if (page === undefined) return snapshotByRead(sources, here);
  if (!here.isHostTsc(page.hostTsc)) return snapshotByTime(sources, here, next);
  if (!isWithin(page.hostTsc, here.window)) {
    sources.outOfBounds('snapshot-tsc', page.hostTsc, here);
  }
  sources.tally.adopt('snapshot-tsc');
  return page;
}

/**
 * The reference of a page whose own TSC tells nothing (its ratio is 0): as long before a
 * KVM_GET_CLOCK as the clock says. That read is then not predicted.
 */
export function referenceByClock(here: Here, page: FuturePage): bigint | undefined {
  const next = here.nextMasterClock();
  if (next === undefined) return undefined;
  const passed = subU64(next.clock.clock, page.event.systemTime);
  const { tscToSystemMul, tscShift } = page.event;
  const cycles = cyclesOf(asS64(passed), tscToSystemMul, tscShift);
  if (cycles === undefined) return undefined;
  here.useClock(next.action);
  return next.clock.hostTsc - cycles;
}

function snapshotByTime(
  sources: Sources,
  here: Here,
  next: number,
): { hostTsc: bigint } | undefined {
  const page = snapshotPage(sources, here, next);
  const hostTsc = page === undefined ? undefined : referenceByClock(here, page);
  if (hostTsc === undefined || !isWithin(hostTsc, here.window)) return undefined;
  sources.tally.adopt('snapshot-tsc');
  return { hostTsc };
}

/**
 * No page was made of it, but the clock was read: the later it was taken, the more of the time
 * since counts at the base clock's rate and not at the pvclock's.
 */
function snapshotByRead(sources: Sources, here: Here): { hostTsc: bigint } | undefined {
  const next = here.nextMasterClock();
  const vm = sources.vmState(here);
  if (next === undefined || vm === undefined || here.clocksUnknown) return undefined;
  const khz = hostTscKhz(sources.world.host, 0, sources.world.switches);
  const { mul, shift } = timeScale(1_000_000_000n, BigInt(khz) * 1000n);
  const { hostTsc, clock } = next.clock;
  const missing = (taken: bigint): bigint =>
    asS64(clock - vm.kvmclockOffset - here.baseAt(taken) - scaleDelta(hostTsc - taken, mul, shift));
  const told = here.tscAt(here.placed.step.timestamp);
  const most = earlier(told, hostTsc);
  const taken = bisect(here.window.least, most, missing);
  if (taken === undefined) return undefined;
  here.useClock(next.action);
  sources.tally.adopt('snapshot-tsc');
  return { hostTsc: taken };
}

/** No page was made of it, but the clock was set there and read once more. */
function snapshotBySetting(sources: Sources, here: Here): { hostTsc: bigint } | undefined {
  const { action } = here.placed;
  const seen = action?.seen?.clock;
  if (action?.op !== 'KVM_SET_CLOCK' || seen === undefined || seen.hostTsc === 0n) {
    return undefined;
  }
  const clock = wide(action.args['clock']);
  const flags = narrow(action.args['flags']) ?? 0;
  if (clock === undefined || (flags & KVM_CLOCK_REALTIME) !== 0) return undefined;
  const khz = hostTscKhz(sources.world.host, 0, sources.world.switches);
  const { mul, shift } = timeScale(1_000_000_000n, BigInt(khz) * 1000n);
  const cycles = cyclesOf(subU64(seen.clock, clock), mul, shift);
  if (cycles === undefined) return undefined;
  const hostTsc = seen.hostTsc - cycles;
  if (!isWithin(hostTsc, here.window)) return undefined;
  here.useClock(action);
  return { hostTsc };
}

/** Only where nothing shows the host's clocks. */
export function snapshotNs(sources: Sources, here: Here, next: number): bigint | undefined {
  if (!here.clocksUnknown && !here.mustCalibrate) return undefined;
  const page = snapshotPage(sources, here, next);
  const vm = sources.vmState(here);
  if (page === undefined || vm === undefined) return undefined;
  // The page shows the clock that was set, whatever the base clock was.
  if (here.placed.action?.op === 'KVM_SET_CLOCK') return undefined;
  const ns = subU64(page.event.systemTime, vm.kvmclockOffset);
  if (here.clocksUnknown) return sources.adoptNs('timekeepers', ns, here, 'base');
  here.calibrate(asS64(ns - here.baseAt(page.hostTsc)));
  return sources.adoptNs('offsBoot', ns, here, 'base');
}

/** Where a steadily rising or falling difference is 0, between two instants. */
function bisect(
  least: bigint,
  most: bigint,
  difference: (at: bigint) => bigint,
): bigint | undefined {
  const rises = difference(most) > difference(least);
  const isPast = (at: bigint): boolean => (rises ? difference(at) >= 0n : difference(at) <= 0n);
  if (isPast(least) || !isPast(most)) return difference(least) === 0n ? least : undefined;
  let from = least;
  let to = most;
  while (to - from > 1n) {
    const middle = (from + to) / 2n;
    if (isPast(middle)) to = middle;
    else from = middle;
  }
  return difference(to) === 0n ? to : undefined;
}
