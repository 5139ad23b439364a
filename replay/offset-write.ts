/**
 * A write of a vCPU's TSC offset in a recording without entries: did the guest run with it before its
 * page followed?
 *
 * KVM writes an offset for the guest (WRMSR), for the VMM (KVM_SET_MSRS, KVM_VCPU_TSC_OFFSET) or when it
 * loads the vCPU. Until v5.9 it tracked all but loads; from v5.10 on (0c899c25d754) it does not track the
 * guest's. Until v6.7 each write that it tracked while the masterclock was on asked for an update; from
 * v6.8 on (c52ffadc65e2) only one that changes what the masterclock is to be. An update that was asked
 * for comes before the guest runs.
 */
import { MSRS } from '../events/index.ts';
import type { SeenTrack } from './assimilate/rows.ts';
import type { Call } from './identity/thread.ts';

/** The guest ran with it; it did not; nothing tells. */
export type Ending = 'ran' | 'not' | 'open';

/** On its way into the guest a vCPU gets its page within this. */
const MOST_TO_ENTRY_NS = 1_000_000n;
/** So long after KVM_RUN began it runs: KVM loads it, and serves what was asked. */
const MOST_TO_RUN_NS = 10_000_000n;

export class OffsetWrite {
  /** When it was written. */
  readonly ticks: bigint;
  author: 'guest' | 'vmm' | 'unknown';
  /** Within another call than KVM_RUN: the guest can't have run until one begins. */
  readonly #inCall: boolean;
  /** KVM was asked for an update; `undefined` where nothing tells. */
  #asks: boolean | undefined;
  /** The MSR by which the guest wrote, where that is recorded. */
  #msr: number | undefined;
  /** KVM_RUNs that began since, and when the first did. */
  #runs = 0;
  #ranFrom: bigint | undefined;

  /** Written at `ticks` by a thread that was inside `call`. */
  constructor(ticks: bigint, call: Call | undefined) {
    this.ticks = ticks;
    this.#inCall = call !== undefined && call.ioctl?.name !== 'KVM_RUN';
    this.author = this.#inCall ? 'vmm' : 'unknown';
  }

  byGuest(msr: number): void {
    this.author = 'guest';
    this.#msr = msr;
  }

  tracked({ use, matched, online }: SeenTrack): void {
    if (this.author === 'unknown') this.author = 'vmm';
    const allMatch = matched + 1 === online;
    // Where it is on and may stay on, it depends on the kernel.
    this.#asks = use && allMatch ? undefined : use || allMatch;
  }

  runs(ticks: bigint): void {
    this.#runs++;
    this.#ranFrom ??= ticks;
  }

  /** No page follows: the offset is written again, or there is no more of the vCPU. */
  withoutPage(isGuests: boolean): Ending {
    if (this.#asks === true || (this.#inCall && this.#runs === 0)) return 'not';
    return isGuests ? 'ran' : 'open';
  }

  /** Its page follows. `elapsed`: ns from an instant until then, where that is known. */
  withPage(elapsed: (from: bigint) => bigint | undefined): Ending {
    if (this.#asks === true) return 'not';
    if (this.#inCall) return this.#afterCall(elapsed);
    const ns = elapsed(this.ticks);
    const onTheWay = ns !== undefined && ns <= MOST_TO_ENTRY_NS;
    // Nothing asks for a page then.
    if (this.#msr === MSRS.IA32_TSC) return onTheWay || ns === undefined ? 'open' : 'ran';
    if (this.author === 'vmm' && this.#asks === false) return 'open';
    return onTheWay ? 'not' : 'open';
  }

  #afterCall(elapsed: (from: bigint) => bigint | undefined): Ending {
    if (this.#ranFrom === undefined) return 'not';
    const ns = elapsed(this.#ranFrom);
    return this.#runs === 1 && ns !== undefined && ns <= MOST_TO_RUN_NS ? 'not' : 'open';
  }
}
