/**
 * Clock reads taken from a recording: the closed list of what no model could compute.
 *
 * Each value is checked against the span in which it must have been read, is taken once, and is
 * never counted as predicted.
 */
import type { ReadingName } from '../../events/index.ts';
import {
  clockAtHostTsc,
  hostTscKhz,
  KVM_CLOCK_REALTIME,
  type VcpuState,
} from '../../src/clock/index.ts';
import type { ReadingPlace, ReadingSource, World } from '../../src/engine/index.ts';
import { addU64, asS64, nsecToCycles, scaleDelta, subU64, timeScale } from '../../src/num/index.ts';
import type { Action, SeenClock } from './action.ts';
import { isTracepoint } from './compare.ts';
import type { PlacedStep } from './fds.ts';
import type { Future, FuturePage } from './future.ts';
import { isWithin, type TscWindow } from './instants.ts';
import type { ClockEvent } from './steps.ts';
import type { Adoption, Tally } from './tally.ts';

/** What an adoption needs to know of the step at hand. */
export interface Here {
  readonly placed: PlacedStep;
  /** Clock tracepoints of this step that earlier inputs of it predicted. */
  readonly settled: number;
  /** Where its TSC reads lie. */
  readonly window: TscWindow;
  readonly vm: number | undefined;
  /** The instant of the base clock at a host TSC to come, if the clocks are known there. */
  readonly baseAt: (hostTsc: bigint) => bigint;
  /** The host TSC of a timestamp of the trace. */
  readonly tscAt: (timestamp: bigint) => bigint;
  /** The clocks are steered and no probe shows how. */
  readonly clocksUnknown: boolean;
  /** The clocks went on from an unknown place, which a snapshot shows. */
  readonly mustCalibrate: boolean;
  /** Whether a value can be a TSC of this recording: that of a vCPU whose ratio is 0 cannot. */
  readonly isHostTsc: (tsc: bigint) => boolean;
  /** The next KVM_GET_CLOCK of this VM with masterclock, before its clock is set. */
  readonly nextMasterClock: () => { clock: SeenClock; action: Action } | undefined;
  /** Tells by how much the clocks are off, ns. */
  readonly calibrate: (error: bigint) => void;
  /** Tells that the KVM_GET_CLOCK seen after an action was used. */
  readonly useClock: (action: Action) => void;
}

/** Takes clock reads from what the recording shows. */
export class Adopter {
  readonly #world: World;
  readonly #future: Future;
  readonly #tally: Tally;
  readonly #outOfBounds: (kind: Adoption, value: bigint, here: Here) => void;

  constructor(
    world: World,
    future: Future,
    tally: Tally,
    outOfBounds: (kind: Adoption, value: bigint, here: Here) => void,
  ) {
    this.#world = world;
    this.#future = future;
    this.#tally = tally;
    this.#outOfBounds = outOfBounds;
  }

  /** The reads of one input. */
  source(here: Here): ReadingSource {
    return (name, place) => this.#read(name, place, here);
  }

  #read(name: ReadingName, place: ReadingPlace, here: Here): bigint | undefined {
    const next = here.settled + place.observed.filter(isTracepoint).length;
    switch (name) {
      case 'sync.tsc':
        return this.#syncTsc(here, next, place);
      case 'write.tsc':
        return this.#writeTsc(here, next);
      case 'exit.tsc':
        return this.#exitTsc(here, place);
      case 'load.tsc2':
      case 'sync.tsc2':
        return this.#loadTsc(here, next, place, name);
      case 'snapshot.tsc':
        return this.#snapshot(here, next)?.hostTsc;
      case 'snapshot.ns':
        return this.#snapshotNs(here, next);
      case 'update.tsc':
        return this.#pageTsc(here, next, place);
      case 'update.ns':
        return this.#pageNs(here, next, place);
      case 'create.ns':
        return this.#createNs(here);
      case 'setClock.ns':
        return this.#setClockNs(here);
      case 'realtime.ns':
        return this.#setClockRealtime(here);
      case 'getClock.tsc':
        return this.#setClockTsc(here, next);
      case 'getClock.ns':
        return here.placed.action?.op === 'KVM_SET_CLOCK' ? this.#setClockNs(here) : undefined;
      case 'sync.ns':
        return this.#syncNs(here, next, place);
      default:
        return undefined;
    }
  }

  #adopt(kind: Adoption, value: bigint): bigint {
    this.#tally.adopt(kind);
    return value;
  }

  /** The next recorded event of a kind in this step. */
  #nextEvent<T extends ClockEvent['type']>(
    here: Here,
    next: number,
    type: T,
  ): Extract<ClockEvent, { type: T }> | undefined {
    const { recorded } = here.placed.step;
    return recorded.slice(next).find((event) => event.type === type) as
      | Extract<ClockEvent, { type: T }>
      | undefined;
  }

  /** Value written, by whatever writes one. */
  #written(here: Here): bigint {
    const { step, action } = here.placed;
    if (step.kind === 'msr') return step.event.data;
    const value = action?.op === 'KVM_SET_MSRS' ? action.args['value'] : undefined;
    return typeof value === 'string' ? BigInt(value) : 0n;
  }

  /** A new generation's offset is the value minus the TSC read; a matched one's is not. */
  #syncTsc(here: Here, next: number, place: ReadingPlace): bigint | undefined {
    if (here.placed.action?.op === 'KVM_SET_DEVICE_ATTR') return undefined;
    const write = this.#nextEvent(here, next, 'kvm_write_tsc_offset');
    if (write === undefined || place.vcpu?.l1TscScalingRatio === 0n) return undefined;
    const tsc = subU64(this.#written(here), write.nextTscOffset);
    return isWithin(tsc, here.window) ? this.#adopt('sync-tsc', tsc) : undefined;
  }

  #writeTsc(here: Here, next: number): bigint | undefined {
    const write = this.#nextEvent(here, next, 'kvm_write_tsc_offset');
    if (write === undefined) return undefined;
    const tsc = subU64(this.#written(here), write.nextTscOffset);
    if (!isWithin(tsc, here.window)) this.#outOfBounds('sync-tsc', tsc, here);
    return this.#adopt('sync-tsc', tsc);
  }

  /**
   * With an unstable TSC the next load lets the guest's TSC go on from where it was at the exit:
   * two reads of which only the difference shows. The load's is taken to be when it was traced, or
   * as much earlier as the exit's own action asks.
   */
  #exitTsc(here: Here, { vcpu }: ReadingPlace): bigint | undefined {
    if (this.#world.host.tsc === 'stable' || vcpu === undefined || here.vm === undefined) {
      return undefined;
    }
    const after = this.#future.placeOf(here.placed, -1);
    const write = this.#future.nextWrite(here.vm, vcpu.vcpuId, after);
    if (write === undefined || isPush(write)) return undefined;
    const guestTsc = addU64(write.nextTscOffset, here.tscAt(write.timestamp));
    const latest = subU64(guestTsc, vcpu.l1TscOffset);
    const tsc = latest > here.window.most ? here.window.most : latest;
    return isWithin(tsc, here.window) ? this.#adopt('load-tsc', tsc) : undefined;
  }

  /** With an unstable TSC every offset is a value minus a TSC read. */
  #loadTsc(
    here: Here,
    next: number,
    place: ReadingPlace,
    name: 'load.tsc2' | 'sync.tsc2',
  ): bigint | undefined {
    const write = this.#nextEvent(here, next, 'kvm_write_tsc_offset');
    const { vcpu } = place;
    if (write === undefined || vcpu === undefined || vcpu.l1TscScalingRatio === 0n) {
      return undefined;
    }
    const target = name === 'load.tsc2' ? vcpu.lastGuestTsc : this.#syncTarget(here, place);
    const tsc = subU64(target, write.nextTscOffset);
    return isWithin(tsc, here.window) ? this.#adopt('load-tsc', tsc) : undefined;
  }

  /** What a TSC that is unstable is synchronised to: the value written, moved on since the last. */
  #syncTarget(here: Here, { vcpu, read }: ReadingPlace): bigint {
    const vm = this.#vmState(here);
    if (vm === undefined || vcpu === undefined) return 0n;
    const elapsedNs = subU64(read('sync.ns'), vm.lastTscNsec);
    const { virtualTscMult, virtualTscShift } = vcpu;
    return addU64(this.#written(here), nsecToCycles(elapsedNs, virtualTscMult, virtualTscShift));
  }

  /** A match with an unstable TSC moves the value on by the time since the last write. */
  #matchedNs(
    here: Here,
    next: number,
    vcpu: Readonly<VcpuState>,
    lastTscNsec: bigint,
  ): bigint | undefined {
    const write = this.#nextEvent(here, next, 'kvm_write_tsc_offset');
    if (write === undefined || vcpu.virtualTscKhz === 0) return undefined;
    const tsc = addU64(write.nextTscOffset, here.tscAt(write.timestamp));
    const cycles = subU64(tsc, this.#written(here));
    const passed = (cycles * 1_000_000n) / BigInt(vcpu.virtualTscKhz);
    return this.#adopt('sync-ns', addU64(lastTscNsec, passed));
  }

  #snapshotPage(here: Here, next: number): FuturePage | undefined {
    const { placed, vm } = here;
    const { recorded } = placed.step;
    const index = recorded.findIndex(
      (event, at) => at >= next && event.type === 'kvm_update_master_clock',
    );
    if (vm === undefined || index < 0) return undefined;
    return this.#future.pageOfSnapshot(vm, this.#future.placeOf(placed, index));
  }

  #snapshot(here: Here, next: number): { hostTsc: bigint } | undefined {
    const page = this.#snapshotPage(here, next) ?? this.#snapshotBySetting(here);
    if (page === undefined) return this.#snapshotByRead(here);
    if (!here.isHostTsc(page.hostTsc)) return this.#snapshotByTime(here, next);
    if (!isWithin(page.hostTsc, here.window)) {
      this.#outOfBounds('snapshot-tsc', page.hostTsc, here);
    }
    this.#tally.adopt('snapshot-tsc');
    return page;
  }

  /**
   * The reference of a page whose own TSC tells nothing (its ratio is 0): as long before a
   * KVM_GET_CLOCK as the clock says. That read is then not predicted.
   */
  #referenceByClock(here: Here, page: FuturePage): bigint | undefined {
    const next = here.nextMasterClock();
    if (next === undefined) return undefined;
    const passed = subU64(next.clock.clock, page.event.systemTime);
    const { tscToSystemMul, tscShift } = page.event;
    const cycles = cyclesOf(asS64(passed), tscToSystemMul, tscShift);
    if (cycles === undefined) return undefined;
    here.useClock(next.action);
    return next.clock.hostTsc - cycles;
  }

  #snapshotByTime(here: Here, next: number): { hostTsc: bigint } | undefined {
    const page = this.#snapshotPage(here, next);
    const hostTsc = page === undefined ? undefined : this.#referenceByClock(here, page);
    if (hostTsc === undefined || !isWithin(hostTsc, here.window)) return undefined;
    this.#tally.adopt('snapshot-tsc');
    return { hostTsc };
  }

  /**
   * No page was made of it, but the clock was read: the later it was taken, the more of the time
   * since counts at the base clock's rate and not at the pvclock's.
   */
  #snapshotByRead(here: Here): { hostTsc: bigint } | undefined {
    const next = here.nextMasterClock();
    const vm = this.#vmState(here);
    if (next === undefined || vm === undefined || here.clocksUnknown) return undefined;
    const khz = hostTscKhz(this.#world.host, 0, this.#world.switches);
    const { mul, shift } = timeScale(1_000_000_000n, BigInt(khz) * 1000n);
    const { hostTsc, clock } = next.clock;
    const missing = (taken: bigint): bigint =>
      asS64(
        clock - vm.kvmclockOffset - here.baseAt(taken) - scaleDelta(hostTsc - taken, mul, shift),
      );
    const told = here.tscAt(here.placed.step.timestamp);
    const most = told < hostTsc ? told : hostTsc;
    const taken = bisect(here.window.least, most, missing);
    if (taken === undefined) return undefined;
    here.useClock(next.action);
    this.#tally.adopt('snapshot-tsc');
    return { hostTsc: taken };
  }

  /** No page was made of it, but the clock was set there and read once more. */
  #snapshotBySetting(here: Here): { hostTsc: bigint } | undefined {
    const { action } = here.placed;
    const seen = action?.seen?.clock;
    if (action?.op !== 'KVM_SET_CLOCK' || seen === undefined || seen.hostTsc === 0n) {
      return undefined;
    }
    const { clock, flags } = action.args;
    if (typeof clock !== 'string' || (Number(flags) & KVM_CLOCK_REALTIME) !== 0) return undefined;
    const khz = hostTscKhz(this.#world.host, 0, this.#world.switches);
    const { mul, shift } = timeScale(1_000_000_000n, BigInt(khz) * 1000n);
    const cycles = cyclesOf(subU64(seen.clock, BigInt(clock)), mul, shift);
    if (cycles === undefined) return undefined;
    const hostTsc = seen.hostTsc - cycles;
    if (!isWithin(hostTsc, here.window)) return undefined;
    here.useClock(action);
    return { hostTsc };
  }

  /** Only where nothing shows the host's clocks. */
  #snapshotNs(here: Here, next: number): bigint | undefined {
    if (!here.clocksUnknown && !here.mustCalibrate) return undefined;
    const page = this.#snapshotPage(here, next);
    const vm = this.#vmState(here);
    if (page === undefined || vm === undefined) return undefined;
    // The page shows the clock that was set, whatever the base clock was.
    if (here.placed.action?.op === 'KVM_SET_CLOCK') return undefined;
    const ns = subU64(page.event.systemTime, vm.kvmclockOffset);
    if (here.clocksUnknown) return this.#adopt('timekeepers', ns);
    here.calibrate(asS64(ns - here.baseAt(page.hostTsc)));
    return this.#adopt('offsBoot', ns);
  }

  #vmState(here: Here) {
    return here.vm === undefined ? undefined : this.#world.vms.get(here.vm)?.cell.state;
  }

  #pageOf(here: Here, next: number, place: ReadingPlace): FuturePage | undefined {
    const { vm, placed } = here;
    if (vm === undefined || place.vcpu === undefined) return undefined;
    const after = this.#future.placeOf(placed, next - 1);
    const inStep = this.#nextEvent(here, next, 'kvm_pvclock_update') !== undefined;
    return inStep ? this.#future.nextPage(vm, place.vcpu.vcpuId, after) : undefined;
  }

  #pageTsc(here: Here, next: number, place: ReadingPlace): bigint | undefined {
    const page = this.#pageOf(here, next, place);
    if (page === undefined) return this.#pushedAt(here, next, place)?.tsc;
    if (page.stable) return undefined;
    if (!isWithin(page.hostTsc, here.window)) this.#outOfBounds('page-tsc', page.hostTsc, here);
    return this.#adopt('page-tsc', page.hostTsc);
  }

  #pageNs(here: Here, next: number, place: ReadingPlace): bigint | undefined {
    const page = this.#pageOf(here, next, place);
    const vm = this.#vmState(here);
    if (page === undefined) return this.#pushedAt(here, next, place)?.ns;
    if (vm === undefined || page.stable) return undefined;
    return this.#adopt('page-ns', subU64(page.event.systemTime, vm.kvmclockOffset));
  }

  /**
   * No page is written, but the TSC may be pushed forward all the same: the new offset is where it
   * should be minus the TSC read. Without a new offset it was not behind.
   */
  #pushedAt(
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

  /** The VM's offset, as the first page made of a masterclock reference has it. */
  #futureOffset(here: Here): bigint | undefined {
    if (here.vm === undefined || here.clocksUnknown) return undefined;
    const after = this.#future.placeOf(here.placed, here.placed.step.recorded.length - 1);
    const page = this.#future.masterPage(here.vm, after);
    if (page === undefined) return undefined;
    if (here.isHostTsc(page.hostTsc)) {
      return asS64(page.event.systemTime - here.baseAt(page.hostTsc));
    }
    const reference = this.#referenceByClock(here, page);
    return reference === undefined
      ? undefined
      : asS64(page.event.systemTime - here.baseAt(reference));
  }

  #createNs(here: Here): bigint | undefined {
    const offset = this.#futureOffset(here);
    if (offset === undefined) return undefined;
    return this.#adopt('create-ns', -offset);
  }

  #setClockNs(here: Here): bigint | undefined {
    const offset = this.#futureOffset(here);
    const clock = here.placed.action?.args['clock'];
    if (offset === undefined || typeof clock !== 'string') return undefined;
    return this.#adopt('set-clock-ns', subU64(BigInt(clock), offset));
  }

  /** From the page: the clock asked for, and the realtime that passed. */
  #setClockRealtime(here: Here): bigint | undefined {
    const { action } = here.placed;
    if (action?.op !== 'KVM_SET_CLOCK' || here.vm === undefined) return undefined;
    const { clock, realtime } = action.args;
    if (typeof clock !== 'string' || typeof realtime !== 'string') return undefined;
    const set = this.#clockAfterSetting(here, action);
    if (set === undefined) return undefined;
    const passed = asS64(set - BigInt(clock));
    if (passed === 0n) return undefined;
    return this.#adopt('realtime-ns', addU64(BigInt(realtime), passed));
  }

  /** The clock at the reference taken by KVM_SET_CLOCK: as a page has it, or KVM_GET_CLOCK. */
  #clockAfterSetting(here: Here, action: Action): bigint | undefined {
    const page = this.#snapshotPage(here, 0);
    if (page !== undefined) return page.event.systemTime;
    const vm = this.#vmState(here);
    const seen = action.seen?.clock;
    if (vm === undefined || seen === undefined || seen.hostTsc === 0n) return undefined;
    if (vm.masterclock !== 'on') return undefined;
    here.useClock(action);
    const { host, switches } = this.#world;
    const passed = subU64(
      clockAtHostTsc(vm, seen.hostTsc, hostTscKhz(host, 0, switches)),
      addU64(vm.masterKernelNs, vm.kvmclockOffset),
    );
    return subU64(seen.clock, passed);
  }

  /** v4.9 to v5.11: the page shows how long after the reference the clock was read. */
  #setClockTsc(here: Here, next: number): bigint | undefined {
    const { action } = here.placed;
    const clock = action?.op === 'KVM_SET_CLOCK' ? action.args['clock'] : undefined;
    const page = this.#snapshotPage(here, Math.min(next, 0));
    const vm = this.#vmState(here);
    if (typeof clock !== 'string' || page === undefined || vm === undefined) return undefined;
    const ns = asS64(BigInt(clock) - page.event.systemTime);
    const cycles = cyclesOf(ns, page.event.tscToSystemMul, page.event.tscShift);
    const tsc = vm.masterCycleNow + (cycles ?? 0n);
    if (cycles === undefined || !isWithin(tsc, here.window)) return undefined;
    return this.#adopt('set-clock-tsc', tsc);
  }

  /** The base clock of a synchronisation shows only where a vCPU is pushed forward from it. */
  #syncNs(here: Here, next: number, place: ReadingPlace): bigint | undefined {
    const vm = this.#vmState(here);
    if (vm === undefined || place.vcpu === undefined || here.vm === undefined) return undefined;
    const isUnstable = this.#world.host.tsc === 'unstable';
    const write = this.#nextEvent(here, next, 'kvm_write_tsc_offset');
    const startTsc = write && subU64(this.#written(here), write.nextTscOffset);
    // The offset is not the value minus a TSC of this action: it is a match.
    if (isUnstable && startTsc !== undefined && !isWithin(startTsc, here.window)) {
      return this.#matchedNs(here, next, place.vcpu, vm.lastTscNsec);
    }
    const after = this.#future.placeOf(here.placed, here.placed.step.recorded.length - 1);
    const ns = this.#future.syncNs(here.vm, this.#future.placeOf(here.placed, -1), after, {
      written: this.#written(here),
      kvmclockOffset: vm.kvmclockOffset,
      tscKhz: this.#world.host.tscKhz,
      vcpuKhz: place.vcpu.virtualTscKhz,
      isUnstable,
    });
    return ns === undefined ? undefined : this.#adopt('sync-ns', ns);
  }
}

/** An offset that pushes the TSC forward; one that lets it go on from where it was goes back. */
export const isPush = (event: Extract<ClockEvent, { type: 'kvm_write_tsc_offset' }>): boolean =>
  asS64(event.nextTscOffset - event.previousTscOffset) > 0n;

/** The fewest cycles that a pvclock scale counts as `ns`. */
function cyclesOf(ns: bigint, mul: number, shift: number): bigint | undefined {
  if (ns < 0n || shift > 0 || mul === 0) return undefined;
  const shifted = ((ns << 32n) + BigInt(mul) - 1n) / BigInt(mul);
  return shifted << BigInt(-shift);
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

/** Whether an action has the driver's own span. */
export const spanOf = (action: Action | undefined, all: readonly Action[]): TscWindow => {
  const first = action ?? all[0];
  const last = action ?? all.at(-1);
  return { least: first?.before.tsc ?? 0n, most: last?.after.tscEnd ?? 0n };
};
