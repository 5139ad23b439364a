/**
 * Recordings without entries still show when clocks were written, though not when a guest saw it.
 *
 * Then a page write counts as an entry of its own, judged when the next write comes, so that a
 * second write of one update changes nothing; an offset write waits for the page that follows it,
 * unless the guest itself wrote its TSC: it runs on with that at once. Every finding made this way
 * says `visibility: unknown`. The first entry seen ends all this.
 */
import { EVENT_CODES } from '../events/index.ts';
import type { Identity } from './identity/identity.ts';
import type { Thread } from './identity/thread.ts';
import type { Vcpu, Vm } from './identity/vm.ts';
import type { Judge } from './judge.ts';

export class Entryless {
  /** No entry was seen so far. */
  active = true;
  readonly #judge: Judge;
  /** Page writes that are not judged yet, and when they were made. */
  readonly #written = new Map<Vcpu, bigint>();
  /** Threads whose guest wrote its TSC and runs on with that. */
  readonly #runOn = new Map<Thread, Vcpu>();

  constructor(judge: Judge) {
    this.#judge = judge;
  }

  /** The recording has entries after all. */
  end(): void {
    this.active = false;
    this.#written.clear();
    this.#runOn.clear();
  }

  /** Something of `vcpu` is about to be written: what was written before is in force by now. */
  beforeWrite(vcpu: Vcpu): void {
    const ticks = this.#written.get(vcpu);
    if (ticks === undefined) return;
    this.#written.delete(vcpu);
    this.#judge.enter(vcpu, ticks, 'unknown');
  }

  /**
   * The clocks of `vm` are about to be moved, or it is gone: what was written before is in force, for
   * reasons that are known by now.
   */
  settle({ vcpus }: Vm): void {
    if (this.#written.size === 0) return;
    for (const vcpu of vcpus.values()) this.beforeWrite(vcpu);
  }

  wrotePage(vcpu: Vcpu, ticks: bigint): void {
    this.#written.set(vcpu, ticks);
  }

  /** The guest on `thread` wrote its TSC: the offset for that was written before. */
  wroteTsc(thread: Thread, vcpu: Vcpu): void {
    if (vcpu.clock.dirty) this.#runOn.set(thread, vcpu);
  }

  /** An event of `thread` at `ticks`: unless it is on the way to a page, the guest ran on. */
  beforeEvent(thread: Thread, code: number, ticks: bigint): void {
    const vcpu = this.#runOn.get(thread);
    if (vcpu === undefined || code === EVENT_CODES.kvm_update_master_clock) return;
    this.#runOn.delete(thread);
    if (code !== EVENT_CODES.kvm_pvclock_update) this.#judge.enter(vcpu, ticks, 'unknown');
  }

  /** The recording ends at `ticks`. */
  finish(identity: Identity, ticks: bigint): void {
    if (!this.active) return;
    for (const vm of identity.vms) {
      for (const vcpu of vm.vcpus.values()) {
        if (vcpu.clock.dirty) {
          this.#judge.enter(vcpu, this.#written.get(vcpu) ?? ticks, 'unknown');
        }
      }
    }
  }
}
