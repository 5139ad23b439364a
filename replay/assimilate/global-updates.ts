/**
 * How a global clock update reaches the other vCPUs of a VM: by work some time after it was asked for,
 * until v6.18, and at once from v6.19 on; of loads only so many a second from v7.1 on.
 */
import { UPDATES_PER_SECOND } from '../../src/clock/index.ts';
import { type Around, asksAreKnown } from './around.ts';
import type { When } from './driver.ts';
import type { KnownVcpu, KnownVm } from './known.ts';

const UPDATE_WORK = 'kvmclock_update_work';
const SYNC_WORK = 'kvmclock_sync_work';
/** How long after it was armed each kind of work fires at the earliest, ms. */
const EARLIEST_MS = { [UPDATE_WORK]: 99n, [SYNC_WORK]: 299_000n } as const;

/** By then delayed work has fired, ms. */
const WORK_IS_DONE_MS = 500n;

const NEVER_FIRED = 'no work that brings pages up to date later';

export class GlobalUpdates {
  readonly #around: Around;

  constructor(around: Around) {
    this.#around = around;
  }

  /** Pages that come before the delayed work is due show that there is none. */
  showsImmediate(of: KnownVm, when: When): boolean {
    if (of.state.updateWork !== 'queued') return false;
    return this.#thereIsNone(of, when, 'pages of all vCPUs brought up to date at once');
  }

  /** The recording shows that the kernel delays no updates. @returns the profile may be set so. */
  #thereIsNone(of: KnownVm, when: When, how: string): boolean {
    const { chosen, driver } = this.#around;
    if (driver.switches.globalUpdateMechanism !== 'delayed') return false;
    const mechanism = { globalUpdateMechanism: 'immediate' } as const;
    const set = chosen.contradict('globalUpdateMechanism', mechanism, how);
    if (set === undefined) return false;
    driver.setSwitches(set);
    this.#callOff();
    // What the work would have asked for later was asked for when it was queued.
    this.mayAskOthers(of, when);
    return true;
  }

  /** Work that this kernel does not have will not fire. */
  #callOff(): void {
    const { driver } = this.#around;
    for (const { state } of driver.vms) {
      state.updateWork = 'idle';
      if (driver.switches.periodicSync === 'none') state.syncWork = 'idle';
    }
    driver.correct('delayed work that this kernel does not have');
  }

  /**
   * A page that a global update should have brought is missing: loads have used up the updates of
   * this second, if their number is limited. Where it is the recording that tells that, it does not
   * tell when the second began: then each time anew.
   *
   * @param ticks - when the page should have been written.
   */
  showsLimit(of: KnownVm, ticks: bigint): boolean {
    const { chosen, driver } = this.#around;
    const { globalUpdateMechanism: mechanism, globalUpdateRateLimit: isLimited } = driver.switches;
    if (mechanism !== 'immediate') return false;
    if (!isLimited) {
      const limit = { globalUpdateRateLimit: true } as const;
      const set = chosen.contradict(
        'globalUpdateRateLimit',
        limit,
        'fewer pages than loads ask for',
      );
      if (set === undefined) return false;
      driver.setSwitches(set);
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

  /** Delayed work that is due may have fired. @returns whether it brings pages up to date. */
  fireWork(known: KnownVcpu, when: When): boolean {
    const { driver } = this.#around;
    const { of } = known;
    const { state } = of;
    const { id: vm } = of;
    const syncs = state.syncWork === 'armed' && this.#isDue(of, SYNC_WORK, when);
    const updates = state.updateWork === 'queued' && this.#isDue(of, UPDATE_WORK, when);
    if (!syncs && !updates) return false;
    if (updates && this.#didNotFire(known) && this.#thereIsNone(of, when, NEVER_FIRED))
      return false;
    const tsc = driver.tscAt(when.ticks, of.vm);
    if (syncs) driver.happen({ type: SYNC_WORK, tsc, vm }, of);
    driver.happen({ type: UPDATE_WORK, tsc, vm }, of);
    driver.wake(of);
    return true;
  }

  /** From before the work was due until long after this vCPU had one page, and entered with it. */
  #didNotFire(known: KnownVcpu): boolean {
    const { host } = this.#around;
    const { of, vcpu, pageTicks } = known;
    const armed = of.armed.get(UPDATE_WORK);
    if (armed === undefined || !known.page || !asksAreKnown(this.#around, known)) return false;
    const wrote = this.#tsc(pageTicks, of);
    const entered = this.#tsc(vcpu.lastEntry, of);
    if (wrote === undefined || entered === undefined) return false;
    const khz = BigInt(host.state.tscKhz);
    return (
      wrote - armed < EARLIEST_MS[UPDATE_WORK] * khz && entered - armed > WORK_IS_DONE_MS * khz
    );
  }

  #tsc(ticks: bigint | undefined, of: KnownVm): bigint | undefined {
    return ticks === undefined ? undefined : this.#around.clock.tsc(ticks, of.vm.resolved);
  }

  #isDue(of: KnownVm, name: keyof typeof EARLIEST_MS, when: When): boolean {
    const armed = of.armed.get(name);
    if (armed === undefined) return false;
    const { driver, host } = this.#around;
    const passed = driver.tscAt(when.ticks, of.vm) - armed;
    return passed >= EARLIEST_MS[name] * BigInt(host.state.tscKhz);
  }
}
