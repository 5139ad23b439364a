/**
 * What a recording shows later of what cannot be computed.
 *
 * The instant of a masterclock snapshot, for one, is seen only in the first page made of it: the
 * page's TSC minus the vCPU's offset then. This index finds such pages.
 */
import type { EventOf } from '../../events/index.ts';
import { subU64 } from '../../src/num/index.ts';
import { ioctlName, type PlacedStep } from './fds.ts';

/** A page as the trace shows it. */
export interface FuturePage {
  readonly event: EventOf<'kvm_pvclock_update'>;
  /** Host TSC of its reference: its TSC minus the offset in force. */
  readonly hostTsc: bigint;
  /** Made from the masterclock's reference. */
  readonly stable: boolean;
  /** Place among all clock events of the recording. */
  readonly place: number;
}

/** What happened to one VM, by place. */
interface VmFuture {
  readonly pages: FuturePage[];
  readonly snapshots: number[];
  /** KVM_SET_CLOCKs. */
  readonly settings: number[];
}

const PVCLOCK_TSC_STABLE_BIT = 1;

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
      vm = { pages: [], snapshots: [], settings: [] };
      this.#vms.set(id, vm);
    }
    return vm;
  }

  #index({ step, target }: PlacedStep, offsets: Map<string, bigint>, first: number): number {
    if (target === undefined) return first + 1;
    const vm = this.#vm(target.vm);
    let place = first;
    if (step.kind === 'ioctl-exit' && ioctlName(step.call.cmd) === 'KVM_SET_CLOCK') {
      vm.settings.push(place);
    }
    for (const event of step.recorded) {
      place += 1;
      if (event.type === 'kvm_write_tsc_offset') {
        offsets.set(`${target.vm} ${event.vcpuId}`, event.nextTscOffset);
      } else if (event.type === 'kvm_update_master_clock') {
        vm.snapshots.push(place);
      } else if (event.type === 'kvm_pvclock_update') {
        const offset = offsets.get(`${target.vm} ${event.vcpuId}`) ?? 0n;
        const hostTsc = subU64(event.tscTimestamp, offset);
        const stable = (event.flags & PVCLOCK_TSC_STABLE_BIT) !== 0;
        vm.pages.push({ event, hostTsc, stable, place });
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

  /** The first page of the recording. */
  firstPage(): FuturePage | undefined {
    let first: FuturePage | undefined;
    for (const { pages } of this.#vms.values()) {
      const page = pages[0];
      if (page !== undefined && (first === undefined || page.place < first.place)) first = page;
    }
    return first;
  }

  /** The next page of a vCPU. */
  nextPage(vm: number, vcpu: number, after: number): FuturePage | undefined {
    return this.#vm(vm).pages.find((page) => page.place > after && page.event.vcpuId === vcpu);
  }
}
