/** TSC reads inside synchronisations, loads and exits, told by the offsets that they led to. */
import type { VcpuState } from '../../src/clock/index.ts';
import type { ReadingPlace } from '../../src/engine/index.ts';
import { addU64, nsecToCycles, subU64 } from '../../src/num/index.ts';
import { earlier, isWithin } from './instants.ts';
import { type Here, isPush, type Sources } from './sources.ts';

/** A new generation's offset is the value minus the TSC read; a matched one's is not. */
export function syncTsc(
  sources: Sources,
  here: Here,
  next: number,
  place: ReadingPlace,
): bigint | undefined {
  if (here.placed.action?.op === 'KVM_SET_DEVICE_ATTR') return undefined;
  const write = sources.nextEvent(here, next, 'kvm_write_tsc_offset');
  if (write === undefined || place.vcpu?.l1TscScalingRatio === 0n) return undefined;
  const tsc = subU64(sources.written(here), write.nextTscOffset);
  return isWithin(tsc, here.window) ? sources.adopt('sync-tsc', tsc) : undefined;
}

export function writeTsc(sources: Sources, here: Here, next: number): bigint | undefined {
  const write = sources.nextEvent(here, next, 'kvm_write_tsc_offset');
  if (write === undefined) return undefined;
  const tsc = subU64(sources.written(here), write.nextTscOffset);
  if (!isWithin(tsc, here.window)) sources.outOfBounds('sync-tsc', tsc, here);
  return sources.adopt('sync-tsc', tsc);
}

/**
 * With an unstable TSC the next load lets the guest's TSC go on from where it was at the exit:
 * two reads of which only the difference shows. The load's is taken to be when it was traced, or
 * as much earlier as the exit's own action asks.
 */
export function exitTsc(sources: Sources, here: Here, { vcpu }: ReadingPlace): bigint | undefined {
  if (sources.world.host.tsc === 'stable' || vcpu === undefined || here.vm === undefined) {
    return undefined;
  }
  const after = sources.future.placeOf(here.placed, -1);
  const write = sources.future.nextWrite(here.vm, vcpu.vcpuId, after);
  if (write === undefined || isPush(write)) return undefined;
  const guestTsc = addU64(write.nextTscOffset, here.tscAt(write.timestamp));
  const latest = subU64(guestTsc, vcpu.l1TscOffset);
  const tsc = earlier(latest, here.window.most);
  return isWithin(tsc, here.window) ? sources.adopt('load-tsc', tsc) : undefined;
}

/** With an unstable TSC every offset is a value minus a TSC read. */
export function loadTsc(
  sources: Sources,
  here: Here,
  next: number,
  place: ReadingPlace,
  name: 'load.tsc2' | 'sync.tsc2',
): bigint | undefined {
  const write = sources.nextEvent(here, next, 'kvm_write_tsc_offset');
  const { vcpu } = place;
  if (write === undefined || vcpu === undefined || vcpu.l1TscScalingRatio === 0n) {
    return undefined;
  }
  const target = name === 'load.tsc2' ? vcpu.lastGuestTsc : syncTarget(sources, here, place);
  const tsc = subU64(target, write.nextTscOffset);
  return isWithin(tsc, here.window) ? sources.adopt('load-tsc', tsc) : undefined;
}

/** What a TSC that is unstable is synchronised to: the value written, moved on since the last. */
function syncTarget(sources: Sources, here: Here, place: ReadingPlace): bigint {
  const vm = sources.vmState(here);
  const { vcpu } = place;
  if (vm === undefined || vcpu === undefined) return 0n;
  const elapsedNs = subU64(place.read('sync.ns'), vm.lastTscNsec);
  const { virtualTscMult, virtualTscShift } = vcpu;
  return addU64(sources.written(here), nsecToCycles(elapsedNs, virtualTscMult, virtualTscShift));
}

/** A match with an unstable TSC moves the value on by the time since the last write. */
function matchedNs(
  sources: Sources,
  here: Here,
  next: number,
  vcpu: Readonly<VcpuState>,
  lastTscNsec: bigint,
): bigint | undefined {
  const write = sources.nextEvent(here, next, 'kvm_write_tsc_offset');
  if (write === undefined || vcpu.virtualTscKhz === 0) return undefined;
  const tsc = addU64(write.nextTscOffset, here.tscAt(write.timestamp));
  const cycles = subU64(tsc, sources.written(here));
  const passed = (cycles * 1_000_000n) / BigInt(vcpu.virtualTscKhz);
  return sources.adoptNs('sync-ns', addU64(lastTscNsec, passed), here, 'base');
}

/** The base clock of a synchronisation shows only where a vCPU is pushed forward from it. */
export function syncNs(
  sources: Sources,
  here: Here,
  next: number,
  place: ReadingPlace,
): bigint | undefined {
  const vm = sources.vmState(here);
  if (vm === undefined || place.vcpu === undefined || here.vm === undefined) return undefined;
  const isUnstable = sources.world.host.tsc === 'unstable';
  const write = sources.nextEvent(here, next, 'kvm_write_tsc_offset');
  const startTsc = write && subU64(sources.written(here), write.nextTscOffset);
  // The offset is not the value minus a TSC of this action: it is a match.
  if (isUnstable && startTsc !== undefined && !isWithin(startTsc, here.window)) {
    return matchedNs(sources, here, next, place.vcpu, vm.lastTscNsec);
  }
  const after = sources.future.placeOf(here.placed, here.placed.step.recorded.length - 1);
  const ns = sources.future.syncNs(here.vm, sources.future.placeOf(here.placed, -1), after, {
    written: sources.written(here),
    kvmclockOffset: vm.kvmclockOffset,
    tscKhz: sources.world.host.tscKhz,
    vcpuKhz: place.vcpu.virtualTscKhz,
    isUnstable,
  });
  return ns === undefined ? undefined : sources.adoptNs('sync-ns', ns, here, 'base');
}
