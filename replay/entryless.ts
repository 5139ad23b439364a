/**
 * Recordings without entries still show when clocks were written, though not when a guest saw it.
 *
 * Then a page write counts as an entry of its own, judged when the next write comes, so that a
 * second write of one update changes nothing; an offset write waits for the page that follows it,
 * unless a KVM_RUN comes back before, or the guest itself wrote its TSC: it runs on with that at
 * once. Where kvm_msr does not tell the guest's own writes, kvm_track_tsc does: KVM tracks those of a
 * VMM. Every finding made this way says `visibility: unknown`. The first entry seen ends all this.
 */
import { EVENT_CODES } from '../events/index.ts';
import { isTscMode } from '../src/clock/index.ts';
import type { SeenTrack } from './assimilate/tsc-writes.ts';
import { addCause } from './causes.ts';
import type { InstantClock } from './findings/scene.ts';
import { isStable } from './guest-clock.ts';
import type { Identity } from './identity/identity.ts';
import type { Thread } from './identity/thread.ts';
import type { Vcpu, Vm } from './identity/vm.ts';
import type { Judge } from './judge.ts';

/** A guest that wrote its TSC is entered again before: from then on it ran with that. */
const MOST_UNTIL_ENTRY_NS = 10_000_000n;

/** A TSC offset was written, and nothing followed on its thread so far. */
interface Write {
  readonly vcpu: Vcpu;
  readonly ticks: bigint;
  /** A kvm_msr showed that the guest did it. */
  readonly byGuest: boolean;
}

export class Entryless {
  /** No entry was seen so far. */
  active = true;
  readonly #judge: Judge;
  readonly #clock: InstantClock;
  /** Page writes that are not judged yet, and when they were made. */
  readonly #written = new Map<Vcpu, bigint>();
  /** The last offset write of each thread, until its next event tells whose it was. */
  readonly #writes = new Map<Thread, Write>();
  /** Offset writes with which the guest may have run before a page follows, and when they were made. */
  readonly #uncertain = new Map<Vcpu, bigint>();
  /** kvm_track_tsc is recorded. */
  #tracks = false;

  constructor(judge: Judge, clock: InstantClock) {
    this.#judge = judge;
    this.#clock = clock;
  }

  /** The recording has entries after all. */
  end(): void {
    this.active = false;
    this.#written.clear();
    this.loseTrack();
  }

  /** Events were lost: what followed an offset write may be among them. */
  loseTrack(): void {
    this.#writes.clear();
    this.#uncertain.clear();
  }

  /** The page or the offset of `vcpu` is about to be written. */
  beforeWrite(vcpu: Vcpu): void {
    this.inForce(vcpu);
    const moved = this.#uncertain.get(vcpu);
    if (moved === undefined) return;
    this.#uncertain.delete(vcpu);
    this.#judge.mayHaveRun(vcpu, moved);
  }

  /** The page of `vcpu` that was written before is in force by now, for reasons that are known. */
  inForce(vcpu: Vcpu): void {
    const ticks = this.#written.get(vcpu);
    if (ticks === undefined) return;
    this.#written.delete(vcpu);
    this.#judge.enter(vcpu, ticks, 'unknown');
  }

  /** The clocks of `vm` are about to be moved, or it is gone. */
  settle({ vcpus }: Vm): void {
    if (this.#written.size === 0) return;
    for (const vcpu of vcpus.values()) this.inForce(vcpu);
  }

  wrotePage(vcpu: Vcpu, ticks: bigint): void {
    this.#written.set(vcpu, ticks);
  }

  /** `thread` wrote the offset of `vcpu`. */
  wroteOffset(thread: Thread, vcpu: Vcpu, ticks: bigint): void {
    if (typeof vcpu.clock.page !== 'object') return;
    this.#writes.set(thread, { vcpu, ticks, byGuest: false });
  }

  /** The guest on `thread` wrote its TSC: the offset for that was written before. */
  wroteTsc(thread: Thread, vcpu: Vcpu, ticks: bigint): void {
    if (vcpu.clock.dirty) this.#writes.set(thread, { vcpu, ticks, byGuest: true });
  }

  /** KVM tracked the TSC that a VMM gave a vCPU. */
  tracked(thread: Thread, { use, matched, online, hostClock }: SeenTrack): void {
    this.#tracks = true;
    const write = this.#writes.get(thread);
    if (write === undefined) return;
    this.#writes.delete(thread);
    const asksForUpdate = use || matched + 1 === online;
    // An update comes before the guest runs; without the TSC a page follows each load.
    if (asksForUpdate || !isTscMode(hostClock)) return;
    this.#uncertain.set(write.vcpu, write.ticks);
  }

  /** An event of `thread` at `ticks`: unless it is on the way to a page, the guest ran on. */
  beforeEvent(thread: Thread, code: number, ticks: bigint): void {
    const write = this.#writes.get(thread);
    if (write === undefined || !(tellsMore(write, code) || this.#isLong(write, ticks))) return;
    this.#writes.delete(thread);
    this.#ranOn(write);
  }

  /** A KVM_RUN on `vcpu` came back at `ticks`: it ran with what was written before. */
  ran(vcpu: Vcpu, ticks: bigint): void {
    this.#uncertain.delete(vcpu);
    if (this.#written.has(vcpu)) this.inForce(vcpu);
    else if (vcpu.clock.dirty) this.#judge.enter(vcpu, ticks, 'unknown');
  }

  /** `thread` is about to write the page of `vcpu`. */
  beforePage(thread: Thread, vcpu: Vcpu): void {
    const write = this.#writes.get(thread);
    this.#writes.delete(thread);
    if (write !== undefined && write.vcpu !== vcpu) this.#ranOn(write);
    this.beforeWrite(vcpu);
  }

  #isLong(write: Write, ticks: bigint): boolean {
    const [from, to] = [this.#clock.ns(write.ticks), this.#clock.ns(ticks)];
    return from !== undefined && to !== undefined && to - from > MOST_UNTIL_ENTRY_NS;
  }

  #ranOn(write: Write): void {
    if (write.byGuest) this.#judge.enter(write.vcpu, write.ticks, 'unknown');
    else this.#untracked(write);
  }

  /** Neither a track nor a page follows it. */
  #untracked({ vcpu, ticks }: Write): void {
    // Without the host's TSC each load writes the offset, and a page follows when the guest runs.
    if (!hasHostTsc(vcpu)) return;
    if (!this.#tracks) {
      this.#uncertain.set(vcpu, ticks);
      return;
    }
    addCause(vcpu, 'guest wrote its TSC', ticks);
    this.#judge.enter(vcpu, ticks, 'unknown');
  }

  /** The recording ends at `ticks`. */
  finish(identity: Identity, ticks: bigint): void {
    if (!this.active) return;
    for (const vm of identity.vms) {
      for (const vcpu of vm.vcpus.values()) {
        const written = this.#written.get(vcpu);
        if (written !== undefined) this.#judge.enter(vcpu, written, 'unknown');
        else if (vcpu.clock.dirty && hasHostTsc(vcpu)) this.#judge.enter(vcpu, ticks, 'unknown');
      }
    }
  }
}

/** The clock behind the page of `vcpu` is the host's TSC. */
function hasHostTsc({ clock: { page }, vm }: Vcpu): boolean {
  const { lastRecompute } = vm;
  const isMasterclock = typeof page === 'object' && isStable(page);
  return isMasterclock || (lastRecompute !== undefined && isTscMode(lastRecompute.hostClock));
}

/** What follows `write` on its thread tells whose it was. */
function tellsMore({ byGuest }: Write, code: number): boolean {
  if (code === EVENT_CODES.kvm_update_master_clock) return false;
  if (code === EVENT_CODES.kvm_pvclock_update) return false;
  // Both are handled where they are read.
  return byGuest || (code !== EVENT_CODES.kvm_msr && code !== EVENT_CODES.kvm_track_tsc);
}
