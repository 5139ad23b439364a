/**
 * How a guest's clock and KVM's own reckoning of it part, and how late a Xen timer is by it, at any
 * time to come: what the model would answer then, without letting the time pass.
 *
 * The guest counts its own TSC by the scale in its page; KVM (`get_kvmclock()`) counts the host's by a
 * scale made from the host's frequency, or with the KVM clock series goes the guest's way. All begin
 * at the masterclock's reference.
 */
import {
  clockAtGuestTsc,
  clockAtHostTsc,
  guestRdtsc,
  hostTscKhz,
  monotonicAt,
  type VmState,
} from '../../clock/index.ts';
import { asS64, pvclockRead, subU64 } from '../../num/index.ts';
import { pageOf, vmOf } from '../deeds.ts';
import type { SimulatedVm } from '../guest.ts';
import type { Simulation } from '../simulation.ts';

/** A sleep to come. */
export interface Nap {
  /** When it begins and ends, by the simulated host's time. */
  readonly fromNs: bigint;
  readonly toNs: bigint;
  /** By how much longer it is than asked for, by the guest's clock, ns. */
  readonly lateNs: bigint;
}

/**
 * How many instants are looked at, and how many ns apart: what is cut from readings differs from one
 * to the next, but where a cycle is a whole number of ns only over milliseconds.
 */
const NEAR = 4096n;
const STEPS = [1n, 997n] as const;

/** Of a VM whose masterclock is on, and stays as it is. */
export class Drift {
  readonly #sim: Simulation;
  readonly #vm: SimulatedVm;
  readonly #state: Readonly<VmState>;

  constructor(sim: Simulation, vm: SimulatedVm, id = 0) {
    this.#sim = sim;
    this.#vm = vm;
    this.#state = vmOf(sim, id);
  }

  /** The guest's clock at a host TSC. */
  #guestAt(tsc: bigint): bigint {
    const vcpu = this.#vm.kvm(0);
    return pvclockRead(pageOf(vcpu), guestRdtsc(vcpu, this.#sim.world.host, tsc));
  }

  /** What a timer's delay is reckoned from at a host TSC. */
  #kvmclockAt(tsc: bigint): bigint {
    const { host, switches } = this.#sim.world;
    if (switches.xenTimer !== 'host-scale') return this.#guestAt(tsc);
    if (switches.getClock === 'guest-scale') {
      return clockAtGuestTsc(this.#state, tsc, host.tscScalingRatioFracBits);
    }
    const { cpu } = this.#vm.kvm(0);
    return clockAtHostTsc(this.#state, tsc, hostTscKhz(host, cpu, switches));
  }

  /** A sleep of so long that begins in so many ns. */
  napIn(ns: bigint, sleepNs: bigint): Nap {
    const { host, world } = this.#sim;
    const tsc = host.tscIn(ns);
    const asked = this.#guestAt(tsc);
    const delayNs = asS64(subU64(asked + sleepNs, this.#kvmclockAt(tsc)));
    const end = delayNs > 0n ? host.nsUntilMonotonic(monotonicAt(world.host, tsc) + delayNs) : ns;
    const lateNs = this.#guestAt(host.tscIn(end)) - asked - sleepNs;
    return { fromNs: host.timeNs + ns, toNs: host.timeNs + end, lateNs };
  }

  /**
   * A sleep of so long that is late by just so much and begins within `mostNs`: the first one of
   * those instants at which the clocks have come so far apart. What is cut from each reading makes
   * sleeps that begin a few ns apart differ by one or two, so that more than one is looked at.
   */
  napLateBy(lateNs: bigint, sleepNs: bigint, mostNs: bigint): Nap | undefined {
    const isLate = (ns: bigint): boolean => this.napIn(ns, sleepNs).lateNs >= lateNs;
    if (!isLate(mostNs)) return undefined;
    let [early, first] = [-1n, mostNs];
    while (first - early > 1n) {
      const middle = (early + first) >> 1n;
      if (isLate(middle)) first = middle;
      else early = middle;
    }
    for (const step of STEPS) {
      for (let i = 0n; i < NEAR; i++) {
        const nap = this.napIn(first + i * step, sleepNs);
        if (nap.lateNs === lateNs) return nap;
      }
    }
    return undefined;
  }
}
