/** The host's timer behind vCPU 0's first synthetic timer, and what its guest gets of it. */
import type { SimulatedVm } from '../guest.ts';
import type { Simulation } from '../simulation.ts';

/** What its hrtimer is called, of the timers that an entry may set. */
const NAME = 'kvm_hv_stimer_callback';

export class Stimer {
  readonly #sim: Simulation;
  readonly #vm: SimulatedVm;
  /** When its hrtimer fires, CLOCK_MONOTONIC counted from the simulated host's time. */
  #dueNs: bigint | undefined;
  readonly #expiredNs: bigint[] = [];

  constructor(sim: Simulation, vm: SimulatedVm) {
    this.#sim = sim;
    this.#vm = vm;
  }

  /** False where nothing was set, and where the kernel has no such timers. */
  get isRunning(): boolean {
    return this.#dueNs !== undefined;
  }

  /** When it expired, by the simulated host's time. */
  get expiredNs(): readonly bigint[] {
    return this.#expiredNs;
  }

  /**
   * The vCPU enters; pending timers are looked at. One that is set for the past asks to be looked at
   * again, and the entry begins anew. @returns whether it expired.
   */
  enter(): boolean {
    const before = this.#expiredNs.length;
    this.#tryToEnter();
    while (this.#vm.kvm(0).requests !== 0) {
      this.#vm.exit(0);
      this.#tryToEnter();
    }
    return this.#expiredNs.length > before;
  }

  #tryToEnter(): void {
    const { host } = this.#sim;
    for (const seen of this.#vm.on(0, { type: 'kvm_entry' }).observations) {
      if (seen.type === 'timer_armed' && seen.name === NAME) {
        this.#dueNs = host.timeNs + seen.delayNs;
      }
      if (seen.type === 'kvm_hv_stimer_expiration') this.#expiredNs.push(host.timeNs);
    }
  }

  /** Its hrtimer fires when it is due, or at once. @returns whether it expired. */
  #fire(): boolean {
    const { host } = this.#sim;
    const due = this.#dueNs ?? host.timeNs;
    if (due > host.timeNs) host.pass(due - host.timeNs);
    this.#dueNs = undefined;
    this.#vm.exit(0);
    this.#vm.on(0, { type: NAME, timer: 0 });
    return this.enter();
  }

  /** Its hrtimer fires, once or until the timer expires. @returns when, ns. */
  expire(): bigint {
    while (!this.#fire());
    return this.#sim.host.timeNs;
  }

  /** Time passes, in which its hrtimer fires whenever it is due. */
  pass(ns: bigint): void {
    const { host } = this.#sim;
    const until = host.timeNs + ns;
    while (this.#dueNs !== undefined && this.#dueNs <= until) this.#fire();
    host.pass(until - host.timeNs);
  }
}
