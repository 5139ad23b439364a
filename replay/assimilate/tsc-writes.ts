/**
 * Writes of TSC offsets, and the synchronisations among them.
 *
 * The tracepoints come before the event that tells what they were: `kvm_write_tsc_offset` and
 * `kvm_track_tsc` before the guest's `kvm_msr` or the return of an ioctl. So they wait for it. What an
 * ioctl wrote is not recorded; the offset shows what it came to, and a value is supposed that does so.
 */
import { type Input, MSRS } from '../../events/index.ts';
import { isRequested } from '../../src/clock/index.ts';
import { addU64, subU64 } from '../../src/num/index.ts';
import { type Around, isWatched } from './around.ts';
import type { Disagreement } from './books.ts';
import type { When } from './driver.ts';
import type { KnownVcpu } from './known.ts';
import { Comparison } from './pages.ts';
import { type SeenTrack, type SeenWrite, tracepointsOf } from './rows.ts';
import type { Predicted } from './tracepoints.ts';
import { joinsUntracked, knowsWhetherJoins, seeGuestWrite, tscReadFor } from './tsc-joins.ts';

const { IA32_TSC } = MSRS;
/** KVM writes the time of boot where the guest says: no other clock goes by it. */
const WALL_CLOCKS: ReadonlySet<number> = new Set([
  MSRS.MSR_KVM_WALL_CLOCK,
  MSRS.MSR_KVM_WALL_CLOCK_NEW,
]);

export class TscWrites {
  readonly #around: Around;

  constructor(around: Around) {
    this.#around = around;
  }

  /** An offset that the model has nothing to say about, or is about to be written. */
  checkPrevious(known: KnownVcpu, { previous, when }: SeenWrite): void {
    const { state, of, vcpu } = known;
    const { books, driver, host } = this.#around;
    known.wasAsked = isRequested(state, 'MASTERCLOCK_UPDATE');
    if (state.l1TscOffset !== previous) {
      if (known.tscOffset === 'known' && !host.tscUnstable && !known.scaled) {
        const what = 'a TSC offset is replaced that is not the one KVM had written';
        const [expected, found] = [`prev ${state.l1TscOffset}`, `prev ${previous}`];
        books.diverge({ vm: of.vm, vcpu, ticks: when.ticks, what, expected, found });
      }
      if (known.tscOffset === 'relative') driver.rebase(of, subU64(state.l1TscOffset, previous));
      state.l1TscOffset = previous;
      state.tscOffset = previous;
      driver.correct('a TSC offset as recorded');
    }
    known.tscOffset = 'known';
  }

  /** A write whose cause is known in full, or supposed: what the model makes of it. */
  compare(
    known: KnownVcpu,
    write: SeenWrite,
    predicted: readonly Predicted[],
    certain: boolean,
  ): void {
    const { host } = this.#around;
    const { of, vcpu } = known;
    const { when, track } = write;
    const isSteady = host.isTscSteady && !known.scaled;
    const isTold = certain && isSteady && isWatched(this.#around, of);
    const written = new Comparison();
    const offset = predicted.find((each) => each.type === 'kvm_write_tsc_offset');
    if (offset !== undefined) {
      written.field('next offset', isTold, offset.nextTscOffset, write.next);
    }
    const what = 'a TSC offset was not written as KVM would';
    this.#conclude(written, certain, { vm: of.vm, vcpu, ticks: when.ticks, what });
    const tracked = predicted.find((each) => each.type === 'kvm_track_tsc');
    if (track !== undefined) {
      const counted = this.#compareTrack(known, track, tracked, isTold);
      const what = 'a TSC synchronisation did not come out as KVM would count';
      this.#conclude(counted, certain, { vm: of.vm, vcpu, ticks: track.ticks, what });
    }
    this.#adopt(known, write, isSteady);
  }

  #compareTrack(
    { of }: KnownVcpu,
    seen: SeenTrack,
    predicted: Extract<Predicted, { type: 'kvm_track_tsc' }> | undefined,
    isTold: boolean,
  ): Comparison {
    const compared = new Comparison();
    if (predicted === undefined) return compared;
    const counts = of.counts && isWatched(this.#around, of);
    compared.field('vCPUs matched', counts && isTold, predicted.nrVcpusMatchedTsc, seen.matched);
    compared.field('vCPUs online', counts, predicted.onlineVcpus, seen.online);
    const decided = of.decision && this.#around.sees.updates;
    compared.field('use_master_clock', decided, predicted.useMasterClock, seen.use);
    return compared;
  }

  #conclude(
    compared: Comparison,
    certain: boolean,
    where: Pick<Disagreement, 'vm' | 'vcpu' | 'ticks' | 'what'>,
  ): void {
    const { books } = this.#around;
    if (compared.differs) {
      const { expected, found } = compared;
      books.diverge({ ...where, expected, found });
    } else if (!certain) books.inferred += 1;
    else if (compared.judged === 0) books.unknown += 1;
    else books.predicted += 1;
  }

  #adopt(known: KnownVcpu, { next, track }: SeenWrite, isSteady: boolean): void {
    const { state, of } = known;
    const { driver } = this.#around;
    if (track !== undefined && isSteady) this.#adoptGeneration(known, next);
    if (state.l1TscOffset !== next) {
      state.l1TscOffset = next;
      state.tscOffset = next;
      driver.correct('a TSC offset as recorded');
    }
    known.tscOffset = 'known';
    if (track === undefined) return;
    const vm = of.state;
    known.synchronised = true;
    known.joined = track.use && vm.syncMatched && vm.masterclock === 'on' && !known.wasAsked;
    // The kernel does not count the one that began the generation.
    const matched = track.matched + 1;
    const asModelled =
      Math.max(1, vm.nrVcpusMatchedTsc) === matched &&
      vm.onlineVcpus === track.online &&
      (vm.masterclock === 'on') === track.use;
    if (!of.counts) known.requests = false;
    of.counts = true;
    of.decision = true;
    if (asModelled) return;
    // What the model asked for after other counts is not what the kernel did.
    known.requests = false;
    vm.nrVcpusMatchedTsc = matched;
    vm.onlineVcpus = track.online;
    vm.createdVcpus = Math.max(vm.createdVcpus, track.online);
    if ((vm.masterclock === 'on') !== track.use)
      vm.masterclock = track.use ? 'on' : 'off.unmatched';
    driver.correct('how many vCPUs share a TSC generation, as recorded');
  }

  /** Whoever synchronises has the offset of the generation it is of afterwards. */
  #adoptGeneration({ state, of }: KnownVcpu, next: bigint): void {
    const vm = of.state;
    if (vm.curTscOffset === next) return;
    // The model held that it joins.
    if (vm.syncMatched) {
      vm.curTscGeneration = addU64(vm.curTscGeneration, 1n);
      state.thisTscGeneration = vm.curTscGeneration;
    }
    vm.curTscOffset = next;
    if (this.#around.driver.switches.syncStore !== 'current') vm.lastTscOffset = next;
    this.#around.driver.correct('a TSC generation as recorded');
  }

  /** What the guest wrote to one of its MSRs, with the offset that it led to. */
  byGuest(
    known: KnownVcpu,
    index: number,
    data: bigint,
    write: SeenWrite | undefined,
    when: When,
  ): void {
    const { driver } = this.#around;
    const { of, vcpu } = known;
    if (write !== undefined) this.checkPrevious(known, write);
    driver.load(known, when);
    if (index === IA32_TSC && write !== undefined) seeGuestWrite(this.#around, write);
    if (WALL_CLOCKS.has(index) && !driver.keeps) {
      driver.wake(of);
      return;
    }
    const read = write === undefined ? undefined : tscReadFor(of, data, write);
    const tsc = driver.tscAt(when.ticks, of.vm);
    const input = { type: 'wrmsr', tsc, vm: of.id, vcpu: vcpu.id, index, data } as const;
    const { kvmclockOffset } = of.state;
    const predicted =
      driver.happen(input, of, (name) =>
        name === 'write.tsc' || name === 'sync.tsc' ? read : undefined,
      ) ?? [];
    driver.wake(of);
    // To what a base clock said then, which nothing recorded tells (v4.2).
    if (of.state.kvmclockOffset !== kvmclockOffset) of.mayBeSet();
    if (write === undefined) {
      if (predicted.length > 0) this.#lacks(known, predicted, when);
      return;
    }
    const isTsc = index === IA32_TSC;
    const synchronizes = isTsc && driver.switches.tscWriteByGuest === 'sync';
    const decides = !synchronizes || knowsWhetherJoins(this.#around, of, write, data);
    this.compare(known, write, predicted, (isTsc || known.adjust) && decides);
    if (write.track !== undefined) of.tscRecord = true;
    if (!isTsc) known.adjust = true;
    else if (!synchronizes) this.#checkRead(known, read, write);
  }

  /** The TSC read for a guest's write is of the time of that write. */
  #checkRead(known: KnownVcpu, read: bigint | undefined, { when, next, track }: SeenWrite): void {
    const { clock, books, host } = this.#around;
    const { of, vcpu } = known;
    const isClear = track === undefined && clock.unit === 'tsc' && !known.scaled && !vcpu.scaled;
    if (!isClear || host.tscUnstable || read === undefined || read <= when.ticks) return;
    if (joinsUntracked(this.#around)) return;
    const what = 'a TSC offset was not written as KVM would';
    const expected = `at least next offset ${subU64(next, when.ticks - read)}`;
    books.diverge({ vm: of.vm, vcpu, ticks: when.ticks, what, expected, found: `${next}` });
  }

  #lacks(known: KnownVcpu, predicted: readonly Predicted[], { ticks }: When): void {
    const { books, driver, sees } = this.#around;
    const { of, vcpu, state } = known;
    const offset = predicted.find((each) => each.type === 'kvm_write_tsc_offset');
    if (!sees.offsets) known.tscOffset = 'unknown';
    if (offset === undefined || !sees.offsets || known.scaled) return;
    state.l1TscOffset = offset.previousTscOffset;
    state.tscOffset = offset.previousTscOffset;
    driver.correct('a TSC offset that was not written');
    if (!isWatched(this.#around, of)) return;
    const what = 'a TSC offset was not written though the guest wrote its TSC';
    const expected = `next offset ${offset.nextTscOffset}`;
    books.diverge({ vm: of.vm, vcpu, ticks, what, expected, found: 'none' });
  }

  /** KVM_SET_MSRS or KVM_SET_DEVICE_ATTR on a vCPU, which led to this. */
  byCall(known: KnownVcpu, name: 'KVM_SET_MSRS' | 'KVM_SET_DEVICE_ATTR', write: SeenWrite): void {
    const { driver } = this.#around;
    const { of } = known;
    const { id: vm } = of;
    const { id: vcpu } = known.vcpu;
    this.checkPrevious(known, write);
    driver.load(known, write.when);
    const tsc = driver.tscAt(write.when.ticks, of.vm);
    const input: Input =
      name === 'KVM_SET_MSRS'
        ? { type: name, tsc, vm, vcpu, index: IA32_TSC, data: this.#supposedValue(known, write) }
        : { type: 'KVM_SET_TSC_OFFSET', tsc, vm, vcpu, offset: write.next };
    const read = input.type === 'KVM_SET_MSRS' ? tscReadFor(of, input.data, write) : undefined;
    const predicted = driver.happen(input, of, (reading) =>
      reading === 'sync.tsc' ? read : undefined,
    );
    driver.wake(of);
    this.compare(known, write, predicted ?? [], name === 'KVM_SET_DEVICE_ATTR');
    // A value that joins may have been any within the window.
    of.tscRecord = read !== undefined;
  }

  /** A value that leads to the offset: what the TSC read then, or the 0 that always joins. */
  #supposedValue({ of, vcpu }: KnownVcpu, { next, when }: SeenWrite): bigint {
    const { driver } = this.#around;
    const { syncWindow } = driver.switches;
    const joins = next === of.state.curTscOffset && of.counts;
    if (joins && syncWindow === 'cycles-after-user-set' && !of.state.userSetTsc) return 0n;
    return addU64(next, driver.tscAt(when.ticks, vcpu.vm));
  }

  /** Nothing recorded wrote this: a load after the TSC was found unstable, or after a sleep. */
  byLoad(known: KnownVcpu, write: SeenWrite): void {
    const { host, books, sees } = this.#around;
    this.checkPrevious(known, write);
    const { catchup } = known.state;
    const explained = host.slept || catchup !== 'off' || known.scaled || write.track !== undefined;
    if (!explained && sees.msrs && isWatched(this.#around, known.of)) host.tscUnstable = true;
    this.#adopt(known, write, host.isTscSteady && !known.scaled);
    if (write.track !== undefined) known.of.tscRecord = false;
    known.adjust = false;
    books.inferred += tracepointsOf(write);
  }
}
