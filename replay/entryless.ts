/**
 * Recordings without entries still show when clocks were written, though not when a guest saw it.
 *
 * Then a page write counts as an entry of its own, judged when the next write comes, so that a
 * second write of one update changes nothing. What came of an offset write (`OffsetWrite`) depends
 * on who made it and on what follows: the guest ran with it, did not before its page followed, or
 * nothing tells, which is a finding too. Every finding made this way says `visibility: unknown`. The
 * first entry seen ends all this.
 */
import { EVENT_CODES } from '../events/index.ts';
import { isTscMode } from '../src/clock/index.ts';
import type { SeenTrack } from './assimilate/rows.ts';
import { addCause } from './causes.ts';
import type { InstantClock } from './findings/scene.ts';
import { isStable } from './guest-clock.ts';
import type { Identity } from './identity/identity.ts';
import type { Thread } from './identity/thread.ts';
import type { Vcpu, Vm } from './identity/vm.ts';
import type { Judge } from './judge.ts';
import { type Ending, OffsetWrite } from './offset-write.ts';

/** They may be on the way to a page, or tell whose write it was: what they mean is seen in them. */
const TELL_BY_THEMSELVES: ReadonlySet<number> = new Set([
  EVENT_CODES.kvm_update_master_clock,
  EVENT_CODES.kvm_pvclock_update,
  EVENT_CODES.kvm_track_tsc,
  EVENT_CODES.kvm_msr,
]);

export class Entryless {
  /** No entry was seen so far. */
  active = true;
  readonly #judge: Judge;
  readonly #clock: InstantClock;
  /** Page writes that are not judged yet, and when they were made. */
  readonly #pages = new Map<Vcpu, bigint>();
  /** Offset writes under a page of which it is open what came of them. */
  readonly #writes = new Map<Vcpu, OffsetWrite>();
  /** Whose offset a thread wrote with its last event. */
  readonly #last = new Map<Thread, Vcpu>();
  /** The host's clock by the last kvm_track_tsc; `undefined` where none is recorded. */
  #tracked: number | undefined;

  constructor(judge: Judge, clock: InstantClock) {
    this.#judge = judge;
    this.#clock = clock;
  }

  /** The recording has entries after all. */
  end(): void {
    this.active = false;
    this.#pages.clear();
    this.#writes.clear();
    this.#last.clear();
  }

  /** An event of `thread`, which may show that its guest runs on. */
  beforeEvent(thread: Thread, code: number): void {
    const vcpu = this.#last.get(thread);
    if (vcpu === undefined || TELL_BY_THEMSELVES.has(code)) return;
    this.#last.delete(thread);
    this.#goesOn(vcpu);
  }

  /** `thread` is about to write the page of `vcpu`. */
  beforePage(thread: Thread, vcpu: Vcpu, ticks: bigint): void {
    const last = this.#last.get(thread);
    this.#last.delete(thread);
    // A thread that carries several: the guest of the other ran on before.
    if (last !== undefined && last !== vcpu) this.#goesOn(last);
    this.inForce(vcpu);
    this.#conclude(vcpu, ticks);
  }

  /** The thread that wrote the offset of `vcpu` does something else now. */
  #goesOn(vcpu: Vcpu): void {
    const write = this.#writes.get(vcpu);
    if (write !== undefined && this.#isGuests(vcpu, write)) this.#ranWith(vcpu, write);
  }

  /** The offset of `vcpu` is about to be written. */
  beforeOffset(vcpu: Vcpu): void {
    this.inForce(vcpu);
    this.#conclude(vcpu);
  }

  /** The page of `vcpu` that was written before is in force by now, for reasons that are known. */
  inForce(vcpu: Vcpu): void {
    const ticks = this.#pages.get(vcpu);
    if (ticks === undefined) return;
    this.#pages.delete(vcpu);
    this.#judge.enter(vcpu, ticks, 'unknown');
  }

  /** The clocks of `vm` are about to be moved. */
  settle({ vcpus }: Vm): void {
    if (this.#pages.size === 0) return;
    for (const vcpu of vcpus.values()) this.inForce(vcpu);
  }

  wrotePage(vcpu: Vcpu, ticks: bigint): void {
    this.#pages.set(vcpu, ticks);
  }

  /** `thread` wrote the offset of `vcpu`. */
  wroteOffset(thread: Thread, vcpu: Vcpu, ticks: bigint): void {
    if (typeof vcpu.clock.page !== 'object') return;
    this.#writes.set(vcpu, new OffsetWrite(ticks, thread.call));
    this.#last.set(thread, vcpu);
  }

  /** The guest of `vcpu` wrote its TSC by MSR `ecx`: the offset for that was written before. */
  wroteTsc(thread: Thread, vcpu: Vcpu, ecx: number): void {
    this.#writes.get(vcpu)?.byGuest(ecx);
    this.#last.set(thread, vcpu);
  }

  /** KVM tracked the TSC that was written on `thread` last. */
  tracked(thread: Thread, track: SeenTrack): void {
    this.#tracked = track.hostClock;
    const vcpu = this.#last.get(thread);
    if (vcpu === undefined) return;
    if (isTscMode(track.hostClock)) this.#writes.get(vcpu)?.tracked(track);
    else this.#writes.delete(vcpu);
  }

  /** A KVM_RUN on `vcpu` begins at `ticks`. */
  runs(vcpu: Vcpu, ticks: bigint): void {
    this.#writes.get(vcpu)?.runs(ticks);
  }

  /** `vcpu` was seen to have run by `ticks`: a KVM_RUN came back, or the guest was left. */
  ran(vcpu: Vcpu, ticks: bigint): void {
    this.inForce(vcpu);
    const write = this.#writes.get(vcpu);
    if (write === undefined) {
      if (vcpu.clock.dirty) this.#judge.enter(vcpu, ticks, 'unknown');
    } else if (this.#isGuests(vcpu, write)) this.#ranWith(vcpu, write);
    // Without the host's TSC it was written at a load since.
    else if (this.#hasHostTsc(vcpu) !== false) {
      this.#writes.delete(vcpu);
      this.#judge.enter(vcpu, ticks, 'unknown');
    }
  }

  /** `vm` is gone, or the recording ends. */
  ended(vm: Vm): void {
    for (const vcpu of vm.vcpus.values()) {
      this.inForce(vcpu);
      this.#conclude(vcpu);
    }
    for (const [thread, vcpu] of this.#last) if (vcpu.vm === vm) this.#last.delete(thread);
  }

  /** The recording ends at `ticks`. */
  finish(identity: Identity, ticks: bigint): void {
    if (!this.active) return;
    for (const vm of identity.vms) {
      this.ended(vm);
      for (const vcpu of vm.vcpus.values()) {
        const { page, dirty } = vcpu.clock;
        if (dirty && typeof page !== 'object') this.#judge.enter(vcpu, ticks, 'unknown');
      }
    }
  }

  /** What came of the last offset write of `vcpu`; `pageTicks`: when its page follows, if that is next. */
  #conclude(vcpu: Vcpu, pageTicks?: bigint): void {
    const write = this.#writes.get(vcpu);
    if (write === undefined) return;
    this.#writes.delete(vcpu);
    if (this.#hasHostTsc(vcpu) === false) return;
    const ending: Ending =
      pageTicks === undefined
        ? write.withoutPage(this.#isGuests(vcpu, write))
        : write.withPage((from) => this.#elapsedNs(from, pageTicks));
    if (ending === 'ran') this.#ranWith(vcpu, write);
    else if (ending === 'open') this.#judge.mayHaveRun(vcpu, write.ticks);
  }

  #elapsedNs(from: bigint, to: bigint): bigint | undefined {
    const [fromNs, toNs] = [this.#clock.ns(from), this.#clock.ns(to)];
    return fromNs === undefined || toNs === undefined ? undefined : toNs - fromNs;
  }

  /** KVM tracks what a VMM writes; a load writes offsets where the host's TSC is no clock, or slept. */
  #isGuests(vcpu: Vcpu, write: OffsetWrite): boolean {
    if (write.author !== 'unknown') return write.author === 'guest';
    const { lastSuspend } = this.#judge;
    const slept = lastSuspend !== undefined && lastSuspend > (vcpu.lastEntry ?? 0n);
    return this.#tracked !== undefined && this.#hasHostTsc(vcpu) === true && !slept;
  }

  /** The clock behind the page of `vcpu` is the host's TSC; `undefined` where nothing tells. */
  #hasHostTsc({ clock: { page }, vm }: Vcpu): boolean | undefined {
    if (typeof page === 'object' && isStable(page)) return true;
    const mode = vm.lastRecompute?.hostClock ?? this.#tracked;
    return mode === undefined ? undefined : isTscMode(mode);
  }

  #ranWith(vcpu: Vcpu, write: OffsetWrite): void {
    this.#writes.delete(vcpu);
    if (write.author === 'unknown') addCause(vcpu, 'guest wrote its TSC', write.ticks);
    this.#judge.enter(vcpu, write.ticks, 'unknown');
  }
}
