/**
 * How a global clock update reaches the other vCPUs of a VM: by work some time after it was asked for,
 * and at once since 446fcce2a52b (v6.19); of loads only so many a second since 8fe2e698fce4 (v7.1).
 */
import { isRequested, REQUEST_BIT, UPDATES_PER_SECOND } from '../../src/clock/index.ts';
import { type Around, asksAreKnown, showOtherwise } from './around.ts';
import type { When } from './driver.ts';
import { asksForPage, type KnownVcpu, type KnownVm, type MissedPage } from './known.ts';

const UPDATE_WORK = 'kvmclock_update_work';
const SYNC_WORK = 'kvmclock_sync_work';
/** How long after it was armed each kind of work fires at the earliest, ms. */
const EARLIEST_MS = { [UPDATE_WORK]: 99n, [SYNC_WORK]: 299_000n } as const;

/** By then what was asked for is done, ms. */
const WORK_IS_DONE_MS = 500n;
/** Work that is due fires no later than this, ms. */
const MOST_LATE_MS = 400n;

const NEVER_FIRED = 'no work that brings pages up to date later';

export class GlobalUpdates {
  readonly #around: Around;

  constructor(around: Around) {
    this.#around = around;
  }

  /** Pages that come before the delayed work is due show that there is none. */
  showsImmediate(of: KnownVm, when: When): boolean {
    if (of.state.updateWork !== 'queued') return false;
    return this.#thereIsNone(when, 'pages of all vCPUs brought up to date at once');
  }

  /** The recording shows that the kernel delays no updates. @returns the profile may be set so. */
  #thereIsNone(when: When, how: string): boolean {
    const { globalUpdateMechanism: present, vmxCreateSetsCpu } = this.#around.driver.switches;
    // Before 06692e4b8055 (v5.16) nothing tells whether a vCPU's first load has queued work.
    if (present !== 'delayed' || vmxCreateSetsCpu) return false;
    const immediate = { globalUpdateMechanism: 'immediate' } as const;
    if (!showOtherwise(this.#around, 'globalUpdateMechanism', immediate, how)) return false;
    this.#callOff(when);
    return true;
  }

  /** Work that did not fire may just be late where a release says that there is such work. */
  #neverFires(when: When): boolean {
    const { basis } = this.#around.chosen;
    return basis === 'assumed' && this.#thereIsNone(when, NEVER_FIRED);
  }

  /** Work that this kernel does not have will not fire. */
  #callOff(when: When): void {
    const { driver } = this.#around;
    for (const of of driver.vms) {
      of.state.updateWork = 'idle';
      if (driver.switches.periodicSync === 'none') of.state.syncWork = 'idle';
      // What the work asked for, or would have, was asked for when it was queued.
      this.mayAskOthers(of, when);
      for (const { model } of of.vm.vcpus.values()) {
        if (model?.missed?.byWork === true) model.missed = undefined;
        if (model?.askedByWork !== true) continue;
        model.state.requests &= ~REQUEST_BIT.CLOCK_UPDATE;
        model.askedByWork = false;
      }
    }
    driver.correct('delayed work that this kernel does not have');
  }

  /** A page that a global update should have brought is missing: the kernel may do such updates otherwise. */
  explainsMissing(of: KnownVm, missed: MissedPage, when: When): boolean {
    if (missed.byWork && this.#neverFires(when)) return true;
    return !missed.master && this.#showsLimit(of, missed.ticks);
  }

  /**
   * Loads have used up the updates of this second, if their number is limited. Where it is the recording
   * that tells that, it does not tell when the second began: then each time anew.
   *
   * @param ticks - when the page should have been written.
   */
  #showsLimit(of: KnownVm, ticks: bigint): boolean {
    const { chosen, driver } = this.#around;
    const { globalUpdateMechanism: mechanism, globalUpdateRateLimit: isLimited } = driver.switches;
    if (mechanism !== 'immediate') return false;
    if (!isLimited) {
      const how = 'fewer pages than loads ask for';
      const limit = { globalUpdateRateLimit: true };
      if (!showOtherwise(this.#around, 'globalUpdateRateLimit', limit, how)) return false;
    } else if (chosen.shown.globalUpdateRateLimit !== true) return false;
    of.state.updateWindowTsc = driver.tscAt(ticks, of.vm);
    of.state.updatesInWindow = UPDATES_PER_SECOND;
    driver.correct('a limit of global updates');
    return true;
  }

  /** What a vCPU was asked may have been to bring all pages up to date, now or by delayed work. */
  mayAskOthers(of: KnownVm, when: When): void {
    const { driver, host } = this.#around;
    for (const { model } of of.vm.vcpus.values()) if (model !== undefined) model.mayAsk = true;
    of.mayWorkUntil = driver.tscAt(when.ticks, of.vm) + WORK_IS_DONE_MS * BigInt(host.state.tscKhz);
  }

  /** A vCPU is about to serve its requests: work that it queues may have fired since it was last queued. */
  beforeServing({ of, state }: KnownVcpu, when: When): void {
    const asksAgain = of.state.updateWork === 'queued' && isRequested(state, 'GLOBAL_CLOCK_UPDATE');
    if (!asksAgain || !this.#isDue(of, UPDATE_WORK, when)) return;
    const { driver, host } = this.#around;
    const tsc = driver.tscAt(when.ticks, of.vm);
    // What is queued since is not queued once more.
    const isPending = (since: bigint): boolean =>
      tsc < since + EARLIEST_MS[UPDATE_WORK] * BigInt(host.state.tscKhz);
    if (of.queuedAgain === undefined || !isPending(of.queuedAgain)) of.queuedAgain = tsc;
  }

  /** Delayed work that is due may have fired. @returns whether it brings pages up to date. */
  fireWork(known: KnownVcpu, when: When): boolean {
    const { driver } = this.#around;
    const { of } = known;
    const { state } = of;
    const { id: vm } = of;
    const syncs = state.syncWork === 'armed' && this.#isDue(of, SYNC_WORK, when);
    const updates = state.updateWork === 'queued' && this.#isDue(of, UPDATE_WORK, when);
    if (!syncs && !updates) return false;
    if (updates && this.#didNotFire(known) && this.#neverFires(when)) return false;
    const tsc = driver.tscAt(when.ticks, of.vm);
    const served = updates ? this.#servedBefore(known) : [];
    const others = [...of.vm.vcpus.values()].flatMap(({ model }) => model ?? []);
    const unasked = others.filter((other) => !asksForPage(other));
    if (syncs) driver.happen({ type: SYNC_WORK, tsc, vm }, of);
    driver.happen({ type: UPDATE_WORK, tsc, vm }, of);
    for (const [other, requests] of served) {
      other.state.requests = requests;
      other.mayAsk = true;
    }
    if (served.length > 0) driver.correct('requests that may have been served before');
    for (const other of unasked) {
      other.askedByWork = asksForPage(other);
      if (of.mayNotFire) other.mayAsk = true;
    }
    this.#fired(of);
    return true;
  }

  #fired(of: KnownVm): void {
    const { driver } = this.#around;
    const { queuedAgain } = of;
    of.mayNotFire = queuedAgain !== undefined;
    of.queuedAgain = undefined;
    driver.wake(of);
    if (queuedAgain === undefined) return;
    // It was asked for after it may have fired: then it fires once more.
    of.state.updateWork = 'queued';
    of.armed.set(UPDATE_WORK, queuedAgain);
    driver.correct('delayed work that may have been queued again');
  }

  /** Other vCPUs whose last page may have come after the work had fired, and what they are asked. */
  #servedBefore({ of, vcpu }: KnownVcpu): readonly (readonly [KnownVcpu, number])[] {
    const due = this.#dueAt(of, UPDATE_WORK);
    return [...of.vm.vcpus.values()].flatMap(({ model }) => {
      if (model === undefined || model.vcpu === vcpu) return [];
      const wrote = this.#tsc(model.pageTicks, of);
      return wrote === undefined || due === undefined || wrote < due
        ? []
        : [[model, model.state.requests] as const];
    });
  }

  /** From before the work was due until long after this vCPU had one page, and entered with it. */
  #didNotFire(known: KnownVcpu): boolean {
    const { of, vcpu, pageTicks } = known;
    const due = this.#dueAt(of, UPDATE_WORK);
    const isSure = known.page && !of.mayNotFire;
    if (due === undefined || !isSure || !asksAreKnown(this.#around, known)) return false;
    const wrote = this.#tsc(pageTicks, of);
    const entered = this.#tsc(vcpu.lastEntry, of);
    if (wrote === undefined || entered === undefined) return false;
    return wrote < due && entered - due > MOST_LATE_MS * BigInt(this.#around.host.state.tscKhz);
  }

  #tsc(ticks: bigint | undefined, of: KnownVm): bigint | undefined {
    return ticks === undefined ? undefined : this.#around.clock.tsc(ticks, of.vm.resolved);
  }

  /** When the work fires at the earliest, host TSC. */
  #dueAt(of: KnownVm, name: keyof typeof EARLIEST_MS): bigint | undefined {
    const armed = of.armed.get(name);
    if (armed === undefined) return undefined;
    return armed + EARLIEST_MS[name] * BigInt(this.#around.host.state.tscKhz);
  }

  #isDue(of: KnownVm, name: keyof typeof EARLIEST_MS, { ticks }: When): boolean {
    const due = this.#dueAt(of, name);
    return due !== undefined && this.#around.driver.tscAt(ticks, of.vm) >= due;
  }
}
