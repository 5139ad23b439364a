/** The two reads behind a page that is written without masterclock, told by the page. */
import type { ReadingPlace } from '../../src/engine/index.ts';
import { addU64, nsecToCycles, subU64 } from '../../src/num/index.ts';
import type { FuturePage } from './future.ts';
import { isWithin } from './instants.ts';
import { type Here, isPush, type Sources } from './sources.ts';

function pageOf(
  sources: Sources,
  here: Here,
  next: number,
  place: ReadingPlace,
): FuturePage | undefined {
  const { vm, placed } = here;
  if (vm === undefined || place.vcpu === undefined) return undefined;
  const after = sources.future.placeOf(placed, next - 1);
  const inStep = sources.nextEvent(here, next, 'kvm_pvclock_update') !== undefined;
  return inStep ? sources.future.nextPage(vm, place.vcpu.vcpuId, after) : undefined;
}

export function pageTsc(
  sources: Sources,
  here: Here,
  next: number,
  place: ReadingPlace,
): bigint | undefined {
  const page = pageOf(sources, here, next, place);
  if (page === undefined) return pushedAt(here, next, place)?.tsc;
  if (page.stable) return undefined;
  if (!isWithin(page.hostTsc, here.window)) sources.outOfBounds('page-tsc', page.hostTsc, here);
  return sources.adopt('page-tsc', page.hostTsc);
}

export function pageNs(
  sources: Sources,
  here: Here,
  next: number,
  place: ReadingPlace,
): bigint | undefined {
  const page = pageOf(sources, here, next, place);
  const vm = sources.vmState(here);
  if (page === undefined) return pushedAt(here, next, place)?.ns;
  if (vm === undefined || page.stable) return undefined;
  const ns = subU64(page.event.systemTime, vm.kvmclockOffset);
  return sources.adoptNs('page-ns', ns, here, 'base');
}

/**
 * No page is written, but the TSC may be pushed forward all the same: the new offset is where it
 * should be minus the TSC read. Without a new offset it was not behind.
 */
function pushedAt(
  here: Here,
  next: number,
  { vcpu }: ReadingPlace,
): { tsc: bigint; ns: bigint } | undefined {
  if (vcpu === undefined || vcpu.catchup === 'off') return undefined;
  const event = here.placed.step.recorded[next];
  const write = event?.type === 'kvm_write_tsc_offset' && isPush(event) ? event : undefined;
  const offset = write?.nextTscOffset ?? vcpu.l1TscOffset;
  const instant = here.tscAt(event?.timestamp ?? here.placed.step.timestamp);
  const { virtualTscMult, virtualTscShift, virtualTscKhz } = vcpu;
  const ahead = subU64(addU64(offset, instant), vcpu.thisTscWrite);
  const passed = (ahead * 1_000_000n) / BigInt(virtualTscKhz || 1) - 1n;
  const due = addU64(nsecToCycles(passed, virtualTscMult, virtualTscShift), vcpu.thisTscWrite);
  const tsc = write === undefined ? instant : subU64(due, offset);
  return { tsc, ns: addU64(vcpu.thisTscNsec, passed) };
}
