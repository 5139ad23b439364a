/**
 * How a guest's clock and KVM's own reckoning of it part, at any time to come: what the model would
 * answer then, without letting the time pass.
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
  type VmState,
} from '../../clock/index.ts';
import { asS64, pvclockRead, subU64 } from '../../num/index.ts';
import { pageOf, vmOf } from '../deeds.ts';
import type { SimulatedVm } from '../guest.ts';
import type { Simulation } from '../simulation.ts';

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

  /** The masterclock's reference, host TSC. */
  get reference(): bigint {
    return this.#state.masterCycleNow;
  }

  /** KVM's clock at a host TSC. */
  #kvmclockAt(tsc: bigint): bigint {
    const { host, switches } = this.#sim.world;
    if (switches.getClock === 'guest-scale') {
      return clockAtGuestTsc(this.#state, tsc, host.tscScalingRatioFracBits);
    }
    const { cpu } = this.#vm.kvm(0);
    return clockAtHostTsc(this.#state, tsc, hostTscKhz(host, cpu, switches));
  }

  /** By how much the guest's clock is ahead so many host cycles after the reference, ns. */
  aheadNs(cycles: bigint): bigint {
    const tsc = this.reference + cycles;
    const vcpu = this.#vm.kvm(0);
    const guest = pvclockRead(pageOf(vcpu), guestRdtsc(vcpu, this.#sim.world.host, tsc));
    return asS64(subU64(guest, this.#kvmclockAt(tsc)));
  }

  /** After how many host cycles it is ahead by so much; `undefined` if not in `most` cycles. */
  cyclesUntil(aheadNs: bigint, most: bigint): bigint | undefined {
    if (this.aheadNs(most) < aheadNs) return undefined;
    let [least, enough] = [0n, most];
    while (enough - least > 1n) {
      const middle = (least + enough) >> 1n;
      if (this.aheadNs(middle) < aheadNs) least = middle;
      else enough = middle;
    }
    return enough;
  }
}
