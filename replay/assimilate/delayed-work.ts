/** Work that brings all pages of a VM up to date some time after it was asked for; until v6.18. */
import type { Around } from './around.ts';
import type { When } from './driver.ts';
import type { KnownVm } from './known.ts';

const UPDATE_WORK = 'kvmclock_update_work';
const SYNC_WORK = 'kvmclock_sync_work';
/** How long after it was armed each kind of work fires at the earliest, ms. */
const EARLIEST_MS = { [UPDATE_WORK]: 99n, [SYNC_WORK]: 299_000n } as const;

/** By then delayed work has fired, ms. */
const WORK_IS_DONE_MS = 500n;

export class DelayedWork {
  readonly #around: Around;

  constructor(around: Around) {
    this.#around = around;
  }

  /** Pages that come before the delayed work is due show that there is none. */
  showsImmediate({ state }: KnownVm): boolean {
    const { chosen, driver } = this.#around;
    if (driver.switches.globalUpdateMechanism !== 'delayed' || state.updateWork !== 'queued') {
      return false;
    }
    const set = chosen.contradict(
      'globalUpdateMechanism',
      { globalUpdateMechanism: 'immediate' },
      'pages of all vCPUs brought up to date at once',
    );
    if (set !== undefined) driver.setSwitches(set);
    return set !== undefined;
  }

  /** What a vCPU was asked may have been to bring all pages up to date, now or by delayed work. */
  mayAskOthers(of: KnownVm, when: When): void {
    const { driver, host } = this.#around;
    for (const { model } of of.vm.vcpus.values()) if (model !== undefined) model.mayAsk = true;
    of.mayWorkUntil = driver.tscAt(when.ticks, of.vm) + WORK_IS_DONE_MS * BigInt(host.state.tscKhz);
  }

  /** Delayed work that is due may have fired. @returns whether it brings pages up to date. */
  fireWork(of: KnownVm, when: When): boolean {
    const { driver } = this.#around;
    const { state } = of;
    const { id: vm } = of;
    const syncs = state.syncWork === 'armed' && this.#isDue(of, SYNC_WORK, when);
    const updates = state.updateWork === 'queued' && this.#isDue(of, UPDATE_WORK, when);
    if (!syncs && !updates) return false;
    const tsc = driver.tscAt(when.ticks, of.vm);
    if (syncs) driver.happen({ type: SYNC_WORK, tsc, vm }, of);
    driver.happen({ type: UPDATE_WORK, tsc, vm }, of);
    driver.wake(of);
    return true;
  }

  #isDue(of: KnownVm, name: keyof typeof EARLIEST_MS, when: When): boolean {
    const armed = of.armed.get(name);
    if (armed === undefined) return false;
    const { driver, host } = this.#around;
    const passed = driver.tscAt(when.ticks, of.vm) - armed;
    return passed >= EARLIEST_MS[name] * BigInt(host.state.tscKhz);
  }
}
