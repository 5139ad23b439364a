/**
 * What vCPUs are asked to do and when it shows: masterclock updates and pages, served on the way into
 * the guest, against what the model knows to be asked for.
 */
import { isRequested, REQUEST_BIT, type Request } from '../../src/clock/index.ts';
import { PVCLOCK_GUEST_STOPPED } from '../../src/num/index.ts';
import type { Page } from '../guest-clock.ts';
import { type Around, asksAreKnown, isFollowed, isWatched, showOtherwise } from './around.ts';
import type { When } from './driver.ts';
import { GlobalUpdates } from './global-updates.ts';
import { asksForPage, type KnownVcpu, type KnownVm } from './known.ts';
import { Comparison, type Pages } from './pages.ts';
import type { SeenUpdate } from './rows.ts';
import { describe, type Predicted } from './tracepoints.ts';

export class Requests {
  readonly #around: Around;
  readonly #pages: Pages;
  readonly #global: GlobalUpdates;

  constructor(around: Around, pages: Pages) {
    this.#around = around;
    this.#pages = pages;
    this.#global = new GlobalUpdates(around);
  }

  /** The masterclock of a VM was recomputed, by a vCPU on its way into the guest. */
  update(known: KnownVcpu, seen: SeenUpdate, when: When): void {
    const { driver, host } = this.#around;
    const clocksourceChanged = host.seeClocksource(seen.hostClock, when);
    this.adoptCounts(known.of, seen);
    driver.load(known, when);
    let inferred = clocksourceChanged;
    known.of.asked = isFollowed(this.#around, known);
    const { joined } = known;
    known.joined = false;
    if (!isRequested(known.state, 'MASTERCLOCK_UPDATE')) {
      inferred = true;
      known.of.asked = false;
      if (!clocksourceChanged) this.#unaskedUpdate(known, joined, when);
      this.#ask(known, 'MASTERCLOCK_UPDATE');
    } else if (joined) {
      this.#around.chosen.confirm('mclkRequestOnTrack', 'an update for each vCPU that joins');
    }
    this.#missing(known, when);
    known.expect(this.#serve(known, when));
    const predicted =
      known.expected?.type === 'kvm_update_master_clock' ? known.takeExpected() : undefined;
    this.compareUpdate(known.of, seen, when, predicted, inferred, known);
  }

  #serve(known: KnownVcpu, when: When): readonly Predicted[] {
    this.#global.beforeServing(known, when);
    return this.#around.driver.serve(known, when);
  }

  /** Compares what an update came to, and takes it over. */
  compareUpdate(
    of: KnownVm,
    seen: SeenUpdate,
    when: When,
    predicted: Predicted | undefined,
    inferred: boolean,
    by?: KnownVcpu,
  ): void {
    const { books, driver } = this.#around;
    const compared = new Comparison();
    of.loseReference();
    if (of.unasked?.ticks !== when.ticks) of.unasked = undefined;
    if (predicted?.type === 'kvm_update_master_clock') {
      const counts = of.counts && isWatched(this.#around, of);
      compared.field('offset_matched', counts, predicted.offsetMatched, seen.matched);
      compared.field('use_master_clock', true, predicted.useMasterClock, seen.use);
    }
    const on = of.state.masterclock === 'on';
    if (on !== seen.use) {
      of.state.masterclock = seen.use ? 'on' : 'off.unmatched';
      driver.correct('whether the masterclock is on, as recorded');
    }
    const wasKnown = of.decision && predicted !== undefined;
    of.decision = true;
    if (compared.differs) {
      const { expected, found } = compared;
      const what = 'a masterclock update did not come out as KVM would decide';
      books.diverge({ vm: of.vm, vcpu: by?.vcpu, ticks: when.ticks, what, expected, found });
    } else if (!wasKnown) books.unknown += 1;
    else if (inferred) books.inferred += 1;
    else books.predicted += 1;
  }

  /** Before the counts are known, what an update decides tells whether they match. */
  adoptCounts(of: KnownVm, { use, hostClock, matched }: SeenUpdate): void {
    const { state } = of;
    if (!of.counts || !isWatched(this.#around, of)) {
      const others = Math.max(1, state.onlineVcpus) - 1;
      state.onlineVcpus = others + 1;
      // The state counts the one that began the generation.
      state.nrVcpusMatchedTsc = matched ? others + 1 : others + 2;
    }
    // Only what happens while the host sleeps, or before the recording, keeps a masterclock off then.
    const isOffByHistory = matched && !use && hostClock === 1;
    if (this.#around.sees.msrs && isWatched(this.#around, of)) return;
    if (isOffByHistory && !state.bootVcpuRunsOldKvmclock) state.backwardsTscObserved = true;
    if (use) {
      state.backwardsTscObserved = false;
      state.bootVcpuRunsOldKvmclock = false;
    }
  }

  #ask(known: KnownVcpu, request: Request): void {
    known.state.requests |= REQUEST_BIT[request];
    this.#around.driver.correct(`a request that was not recorded: ${request}`);
  }

  /**
   * An update that nothing recorded asks for. The host may have left the TSC as its clocksource and
   * come back, which moves the base clock off its line; if it did not, the kernel had no reason.
   */
  #unaskedUpdate(known: KnownVcpu, joined: boolean, { ticks }: When): void {
    if (!asksAreKnown(this.#around, known)) return;
    const { vcpu, of } = known;
    const what = 'the masterclock was recomputed though nothing asked for it';
    const expected = 'no kvm_update_master_clock';
    const told = { vm: vcpu.vm, vcpu, ticks, what, expected, found: 'one' };
    if (!joined) {
      of.unasked = told;
      return;
    }
    const name = 'mclkRequestOnTrack';
    const asks = { [name]: 'active-or-matched' } as const;
    const how = 'an update for each vCPU that joins';
    const isShown = showOtherwise(this.#around, name, asks, how);
    // A vCPU of another VM may have shown it since this one joined.
    const isSo = isShown || this.#around.chosen.profile.switches[name] === asks[name];
    if (!isSo) this.#around.books.diverge(told);
  }

  /** A page was written. */
  page(known: KnownVcpu, page: Page, when: When): void {
    const { driver } = this.#around;
    const { state } = known;
    if (this.#isAgain(known, page)) return;
    driver.load(known, when);
    if (state.kvmclock === 'off') {
      state.kvmclock = 'new';
      known.page = false;
      if (driver.switches.countsFromZero) known.of.mayBeSet();
      this.#wasMissed(known, page, when);
      driver.correct('a page whose registration was not recorded');
    }
    let predicted = this.#nextPage(known, when);
    if (predicted === undefined) {
      this.#reasonForPage(known, page, when);
      known.expect(this.#serve(known, when));
      predicted = this.#nextPage(known, when);
    }
    this.#pages.see(known, page, when, predicted);
    known.pageTicks = when.ticks;
    known.askedByWork = false;
  }

  /** The page was there all along: its versions go on. */
  #wasMissed(known: KnownVcpu, { version }: Page, when: When): void {
    const { missed, vcpu } = known;
    known.missed = undefined;
    // A TSC that is scaled may be pushed forward, or not: then nothing is owed.
    if (
      missed === undefined ||
      known.scaled ||
      (version !== missed.version && version !== missed.version + 2)
    ) {
      return;
    }
    if (this.#global.explainsMissing(known.of, missed, when)) return;
    const { ticks } = missed;
    const what = 'a page was not written though it was asked for';
    const expected = `kvm_pvclock_update version ${missed.version}`;
    this.#around.books.diverge({ vm: vcpu.vm, vcpu, ticks, what, expected, found: 'none' });
  }

  /** One of Xen's pages, written right after the kvmclock page and traced like it. */
  #isAgain(known: KnownVcpu, page: Page): boolean {
    const { state, of, expected, xen } = known;
    const same =
      known.page &&
      state.pageTscTimestamp === page.tscTimestamp &&
      state.pageSystemTime === page.systemTime;
    if (!same || expected !== undefined || !(xen || !of.born) || asksForPage(known)) return false;
    this.#around.books.inferred += 1;
    known.xen = true;
    return true;
  }

  #nextPage(known: KnownVcpu, when: When) {
    for (;;) {
      const next = known.takeExpected();
      if (next === undefined || next.type === 'kvm_pvclock_update') return next;
      this.#lacks(known, next, when);
    }
  }

  /** Why a page may be written now. */
  #reasonForPage(known: KnownVcpu, page: Page, when: When): void {
    if (isRequested(known.state, 'MASTERCLOCK_UPDATE')) {
      // The page came without the update that the model has asked for.
      this.#skipUpdate(known, when);
    }
    if (asksForPage(known)) return;
    if (!this.#global.fireWork(known, when)) this.#unaskedPage(known, page, when);
    if (!asksForPage(known)) this.#ask(known, 'CLOCK_UPDATE');
  }

  #skipUpdate(known: KnownVcpu, when: When): void {
    this.#lacks(known, undefined, when);
    known.state.requests &= ~REQUEST_BIT.MASTERCLOCK_UPDATE;
    this.#around.driver.correct('a masterclock update that did not happen');
  }

  #unaskedPage(known: KnownVcpu, { flags }: Page, when: When): void {
    const { ticks } = when;
    const { of, vcpu } = known;
    // Without masterclock every load on another CPU asks for pages, and loads are not recorded.
    const isMaster = of.decision && of.state.masterclock === 'on';
    if (known.mayAsk) this.#global.mayAskOthers(of, when);
    const { driver } = this.#around;
    if (driver.tscAt(ticks, of.vm) < of.mayWorkUntil) return;
    // Guests are told that they were stopped when the host goes to sleep (v5.14+).
    if (
      (flags & PVCLOCK_GUEST_STOPPED) !== 0 &&
      (known.state.pageFlags & PVCLOCK_GUEST_STOPPED) === 0
    ) {
      this.#around.host.sleep();
    }
    if (!isMaster || !asksAreKnown(this.#around, known)) return;
    if (this.#global.showsImmediate(of, when)) return;
    const what = 'a page was written though nothing asked for it';
    const expected = 'no kvm_pvclock_update';
    this.#around.books.diverge({ vm: vcpu.vm, vcpu, ticks, what, expected, found: 'one' });
  }

  /** A vCPU enters the guest: all that it was asked to do is done. */
  enter(known: KnownVcpu, when: When): void {
    const { driver, chosen, sees } = this.#around;
    const { of, vcpu } = known;
    driver.load(known, when);
    this.#missing(known, when);
    if (asksForPage(known) && !this.#enterAsked(known, when)) return;
    known.requests = true;
    known.mayAsk = false;
    known.unserved = 0;
    if (known.joined && of.decision && sees.updates) {
      chosen.confirm('mclkRequestOnTrack', 'no update for a vCPU that joins');
    }
    known.synchronised = false;
    known.joined = false;
    // Where nothing is to be served, an entry and its exit only note the guest's TSC.
    const { state } = known;
    const notes = state.catchup !== 'off' || driver.world.host.tsc === 'unstable';
    if (driver.keeps || state.requests !== 0 || notes) {
      const tsc = driver.tscAt(when.ticks, of.vm);
      driver.happen({ type: 'kvm_entry', tsc, vm: of.id, vcpu: vcpu.id }, of);
    }
    known.quiet = state.requests === 0;
  }

  /** @returns it enters with nothing left to serve. */
  #enterAsked(known: KnownVcpu, when: When): boolean {
    const { driver } = this.#around;
    if (!known.requests) {
      known.state.requests = 0;
      driver.correct('requests that were not recorded');
      return true;
    }
    const { state } = known;
    const updates = isRequested(state, 'MASTERCLOCK_UPDATE');
    const shows = updates || state.kvmclock !== 'off';
    // What another thread asks for may come just too late for this entry.
    if (shows && !known.synchronised && known.unserved === 0) {
      known.unserved = 1;
      return false;
    }
    if (updates) this.#skipUpdate(known, when);
    for (const each of this.#serve(known, when)) this.#lacks(known, each, when);
    return true;
  }

  /** Nothing more of what was predicted will be seen. */
  #missing(known: KnownVcpu, when: When): void {
    while (known.expected !== undefined) this.#lacks(known, known.takeExpected(), when);
  }

  /** Something predicted is not recorded; `undefined` for a masterclock update. */
  #lacks(known: KnownVcpu, predicted: Predicted | undefined, { ticks }: When): void {
    const { books, sees, driver } = this.#around;
    const { vcpu, of } = known;
    if (predicted?.type === 'kvm_pvclock_update') known.page = false;
    else of.loseReference();
    if (!asksAreKnown(this.#around, known)) return;
    if (predicted === undefined) {
      if (!sees.updates) return;
      if (known.joined) {
        const name = 'mclkRequestOnTrack';
        const how = 'no update for a vCPU that joins';
        if (showOtherwise(this.#around, name, { [name]: 'toggle-or-generation' }, how)) return;
      }
    } else if (predicted.type !== 'kvm_pvclock_update' || !sees.pages) return;
    else {
      // A reset turns the page off, and is not recorded: until it is written again nothing is sure.
      const master = of.state.masterclock === 'on';
      const { askedByWork: byWork } = known;
      known.missed ??= { ticks, version: predicted.version, master, byWork };
      known.askedByWork = false;
      known.page = false;
      known.state.kvmclock = 'off';
      driver.correct('a page that is no longer written');
      return;
    }
    const what = 'the masterclock was not recomputed though it was asked for';
    const expected = predicted === undefined ? 'kvm_update_master_clock' : describe(predicted);
    books.diverge({ vm: of.vm, vcpu, ticks, what, expected, found: 'none' });
  }
}
