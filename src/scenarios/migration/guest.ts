/** The guest's threads on a host: pages registered, requests served, and what the guest reads. */
import { type InputOf, type InputType, MSRS } from '../../../events/index.ts';
import { guestRdtsc, type HostState, type VcpuState } from '../../clock/index.ts';
import type { Dispatched } from '../../engine/index.ts';
import { pvclockRead } from '../../num/index.ts';
import type { Site } from './site.ts';
import type { Mark } from './witness.ts';

/** The one VM there is. */
export const VM = 0;

/** Where vCPU 0's pvclock page is, and its enable bit; the others' follow. */
const PAGES = 0x10_0001n;
const PAGE_BYTES = 0x1000n;

/** A vCPU as it was at some instant, with the host it was on. */
export interface Frozen {
  readonly vcpu: Readonly<VcpuState>;
  readonly host: Readonly<HostState>;
}

/** A vCPU's clocks at a host TSC. */
export const clocksAt = ({ vcpu, host }: Frozen, hostTsc: bigint) => {
  const tsc = guestRdtsc(vcpu, host, hostTsc);
  const page = {
    tscTimestamp: vcpu.pageTscTimestamp,
    systemTime: vcpu.pageSystemTime,
    tscToSystemMul: vcpu.pageMul,
    tscShift: vcpu.pageShift,
  };
  return { tsc, kvmclock: pvclockRead(page, tsc) };
};

type Deed<T extends InputType> = Omit<InputOf<T>, 'type' | 'tsc' | 'vm' | 'vcpu'>;

/** The guest's vCPU threads on one host. */
export class Threads {
  readonly #site: Site;
  readonly #count: number;
  readonly #gap: bigint;

  /** @param gapNs - from each thing done to the next. */
  constructor(site: Site, count: number, gapNs: bigint) {
    this.#site = site;
    this.#count = count;
    this.#gap = site.cycles(gapNs);
  }

  /** Ids of the vCPUs. */
  get ids(): readonly number[] {
    return Array.from({ length: this.#count }, (_, id) => id);
  }

  state(id: number): Readonly<VcpuState> {
    const cell = this.#site.world.vms.get(VM)?.vcpus.get(id);
    if (cell === undefined) throw new RangeError(`vCPU ${id} was not created`);
    return cell.state;
  }

  /** A vCPU as it is now, to be looked at when the log is replayed. */
  mark(id: number): Mark {
    return { id, inputs: this.#site.world.count };
  }

  /** Does something with a vCPU, a little later than what was done last. */
  #do<T extends InputType>(type: T, vcpu: number, fields: Deed<T>): Dispatched {
    const tsc = this.#site.world.lastTsc + this.#gap;
    return this.#site.do({ type, vm: VM, vcpu, tsc, ...fields } as never);
  }

  /** Its thread takes a vCPU onto a CPU and enters the guest. */
  enter(id: number): Dispatched {
    this.#do('vcpu_load', id, { cpu: id });
    return this.#do('kvm_entry', id, {});
  }

  /** The guest turns its pages on. */
  register(): void {
    for (const id of this.ids) {
      this.enter(id);
      this.#do('kvm_exit', id, {});
      const data = PAGES + BigInt(id) * PAGE_BYTES;
      this.#do('wrmsr', id, { index: MSRS.MSR_KVM_SYSTEM_TIME_NEW, data });
      this.#do('kvm_entry', id, {});
    }
  }

  /** Every vCPU leaves the guest and enters again until none has anything left to do. */
  settle(): readonly Dispatched[] {
    const entries: Dispatched[] = [];
    for (let round = 0; round <= this.#count + 1; round++) {
      const busy = this.ids.filter((id) => this.state(id).requests !== 0);
      if (busy.length === 0) break;
      for (const id of busy) {
        this.#do('kvm_exit', id, {});
        entries.push(this.#do('kvm_entry', id, {}));
      }
    }
    return entries;
  }
}
