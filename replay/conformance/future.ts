/**
 * What a recording shows later of what cannot be computed.
 *
 * The instant of a masterclock snapshot, for one, is seen only in the first page made of it: the
 * page's TSC minus the vCPU's offset then. This index finds such pages.
 */
import type { EventOf } from '../../events/index.ts';
import {
  adjustTscKhz,
  asS64,
  nsecToCycles,
  subU64,
  TSC_TOLERANCE_PPM,
  timeScale,
} from '../../src/num/index.ts';
import { ioctlName, type PlacedStep } from './fds.ts';

/** A page as the trace shows it. */
export interface FuturePage {
  readonly event: EventOf<'kvm_pvclock_update'>;
  /** Host TSC of its reference: its TSC minus the offset in force. */
  readonly hostTsc: bigint;
  /** Made from the masterclock's reference. */
  readonly stable: boolean;
  /** Its TSC was pushed forward for it. */
  readonly pushed: boolean;
  /** Place among all clock events of the recording. */
  readonly place: number;
}

/** What happened to one VM, by place. */
interface VmFuture {
  readonly writes: {
    readonly place: number;
    readonly event: EventOf<'kvm_write_tsc_offset'>;
  }[];
  readonly pages: FuturePage[];
  readonly snapshots: number[];
  /** KVM_SET_CLOCKs. */
  readonly settings: number[];
  /** Frequencies asked for, by vCPU. */
  readonly khz: { readonly place: number; readonly vcpu: number; readonly khz: number }[];
  /** TSC synchronisations. */
  readonly syncs: { readonly place: number; readonly vcpu: number }[];
  /** Those that started a generation. */
  readonly generations: number[];
}

const PVCLOCK_TSC_STABLE_BIT = 1;

/** What is known of a synchronisation whose base clock is not. */
export interface SyncToCome {
  /** Value written, cycles. */
  readonly written: bigint;
  readonly kvmclockOffset: bigint;
  readonly tscKhz: number;
  readonly vcpuKhz: number;
  /** All TSCs are pushed forward. */
  readonly isUnstable: boolean;
}

/**
 * The base clock from which a page's TSC is where the guest's frequency would have it; for a page
 * that was not pushed, the least with which it would not have been.
 */
function nsOfSync(
  { event, pushed }: FuturePage,
  khz: number,
  sync: SyncToCome,
): bigint | undefined {
  const { mul, shift } = timeScale(BigInt(khz) * 1000n, 1_000_000_000n);
  const cycles = subU64(event.tscTimestamp, sync.written);
  const near = (cycles * 1_000_000n) / BigInt(khz);
  const reference = subU64(event.systemTime, sync.kvmclockOffset);
  for (let ns = near + 4n; ns >= 0n && ns >= near - 4n; ns--) {
    const due = nsecToCycles(ns, mul, shift);
    if (pushed ? due === cycles : due <= cycles) return subU64(reference, ns);
  }
  return undefined;
}

/** Finds pages to come. */
export class Future {
  readonly #vms = new Map<number, VmFuture>();
  readonly #places = new Map<PlacedStep, number>();

  constructor(steps: readonly PlacedStep[]) {
    const offsets = new Map<string, bigint>();
    let place = 0;
    for (const placed of steps) {
      this.#places.set(placed, place);
      place = this.#index(placed, offsets, place);
    }
  }

  #vm(id: number): VmFuture {
    let vm = this.#vms.get(id);
    if (vm === undefined) {
      vm = {
        writes: [],
        pages: [],
        snapshots: [],
        settings: [],
        khz: [],
        syncs: [],
        generations: [],
      };
      this.#vms.set(id, vm);
    }
    return vm;
  }

  #index({ step, target }: PlacedStep, offsets: Map<string, bigint>, first: number): number {
    if (target === undefined) return first + 1;
    const vm = this.#vm(target.vm);
    let place = first;
    const sets = step.kind === 'ioctl-exit' && ioctlName(step.call.cmd) === 'KVM_SET_CLOCK';
    if (sets && step.ret >= 0n) {
      vm.settings.push(place);
    }
    if (
      step.kind === 'ioctl-exit' &&
      target.kind === 'vcpu' &&
      ioctlName(step.call.cmd) === 'KVM_SET_TSC_KHZ'
    ) {
      vm.khz.push({ place, vcpu: target.vcpu, khz: Number(step.call.arg) });
    }
    let pushed = false;
    for (const event of step.recorded) {
      place += 1;
      if (event.type === 'kvm_write_tsc_offset') {
        offsets.set(`${target.vm} ${event.vcpuId}`, event.nextTscOffset);
        vm.writes.push({ place, event });
        pushed = step.kind === 'entry' && asS64(event.nextTscOffset - event.previousTscOffset) > 0n;
      } else if (event.type === 'kvm_track_tsc') {
        vm.syncs.push({ place, vcpu: event.vcpuId });
        if (event.nrVcpusMatchedTsc === 0) vm.generations.push(place);
      } else if (event.type === 'kvm_update_master_clock') {
        vm.snapshots.push(place);
      } else if (event.type === 'kvm_pvclock_update') {
        const offset = offsets.get(`${target.vm} ${event.vcpuId}`) ?? 0n;
        const hostTsc = subU64(event.tscTimestamp, offset);
        const stable = (event.flags & PVCLOCK_TSC_STABLE_BIT) !== 0;
        vm.pages.push({ event, hostTsc, stable, pushed, place });
        pushed = false;
      }
    }
    return place + 1;
  }

  /** Where a step stands, and with it the `index`th clock event of it. */
  placeOf(step: PlacedStep, index: number): number {
    return (this.#places.get(step) ?? 0) + index + 1;
  }

  /** The first page made of the snapshot at `place`: before the next one, with the STABLE bit. */
  pageOfSnapshot(vm: number, place: number): FuturePage | undefined {
    const { pages, snapshots } = this.#vm(vm);
    const next = snapshots.find((other) => other > place) ?? Number.POSITIVE_INFINITY;
    return pages.find((page) => page.place > place && page.place < next && page.stable);
  }

  /** The first page made of a masterclock's reference before the clock is next set. */
  masterPage(vm: number, after: number): FuturePage | undefined {
    const { pages, settings } = this.#vm(vm);
    const next = settings.find((other) => other > after) ?? Number.POSITIVE_INFINITY;
    return pages.find((page) => page.place > after && page.place < next && page.stable);
  }

  /**
   * The base clock at which a generation of TSCs began between two places, told by where one of them is pushed to
   * later: a page that was pushed gives it, pages that were not give the least it can be.
   */
  syncNs(vm: number, start: number, after: number, sync: SyncToCome): bigint | undefined {
    const { pages, generations, khz, syncs } = this.#vm(vm);
    const isMember = (page: FuturePage): boolean => {
      const last = syncs.findLast(
        ({ place, vcpu }) => place < page.place && vcpu === page.event.vcpuId,
      );
      return last !== undefined && last.place >= start;
    };
    const end = generations.find((place) => place > after) ?? Number.POSITIVE_INFINITY;
    let least: bigint | undefined;
    for (const page of pages) {
      if (page.place <= after || page.place >= end || !isMember(page)) continue;
      const { vcpuId } = page.event;
      const asked = khz.findLast((of) => of.vcpu === vcpuId && of.place < page.place)?.khz;
      const its = asked || sync.vcpuKhz;
      if (its === 0) continue;
      const runsByItself = adjustTscKhz(sync.tscKhz, TSC_TOLERANCE_PPM) >= its;
      if (runsByItself && !sync.isUnstable) continue;
      const ns = nsOfSync(page, its, sync);
      if (ns === undefined) continue;
      if (page.pushed) return ns;
      if (least === undefined || ns > least) least = ns;
    }
    return least;
  }

  /**
   * Pages made of masterclock references, one a snapshot, those between two settings of a VM's clock
   * together; up to a place.
   */
  stretches(end: number): FuturePage[][] {
    const found: FuturePage[][] = [];
    for (const { pages, snapshots, settings } of this.#vms.values()) {
      const stretches = new Map<number, Map<number, FuturePage>>();
      for (const page of pages) {
        if (!page.stable || page.place > end) continue;
        const stretch = settings.filter((place) => place < page.place).length;
        const snapshot = snapshots.filter((place) => place < page.place).length;
        const its = stretches.get(stretch) ?? new Map<number, FuturePage>();
        stretches.set(stretch, its);
        if (!its.has(snapshot)) its.set(snapshot, page);
      }
      found.push(...[...stretches.values()].map((its) => [...its.values()]));
    }
    return found;
  }

  /** The first page of the recording. */
  firstPage(): FuturePage | undefined {
    let first: FuturePage | undefined;
    for (const { pages } of this.#vms.values()) {
      const page = pages[0];
      if (page !== undefined && (first === undefined || page.place < first.place)) first = page;
    }
    return first;
  }

  /** The next offset written for a vCPU. */
  nextWrite(vm: number, vcpu: number, after: number): EventOf<'kvm_write_tsc_offset'> | undefined {
    return this.#vm(vm).writes.find(({ place, event }) => place > after && event.vcpuId === vcpu)
      ?.event;
  }

  /** The next page of a vCPU. */
  nextPage(vm: number, vcpu: number, after: number): FuturePage | undefined {
    return this.#vm(vm).pages.find((page) => page.place > after && page.event.vcpuId === vcpu);
  }
}
