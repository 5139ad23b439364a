/** A Linux guest in a scenario's VM: its own copy of the pages that KVM writes, and sched_clock. */
import { Guest, type GuestOptions } from '../engine/index.ts';
import { asS64 } from '../num/index.ts';
import type { SimulatedVm } from './guest.ts';
import type { Simulation } from './simulation.ts';

/** Where Linux has its pages. */
const PAGES_GPA = 0x60_0000n;
const PAGE_BYTES = 64n;

/** By which MSR a kernel tells KVM where its page is; 2.6.16 knows the old one only. */
export type SystemTimeMsr = 'MSR_KVM_SYSTEM_TIME_NEW' | 'MSR_KVM_SYSTEM_TIME';

export class LinuxGuest {
  readonly guest: Guest;
  readonly #vm: SimulatedVm;
  readonly #msr: SystemTimeMsr;

  constructor(
    sim: Simulation,
    vm: SimulatedVm,
    options: GuestOptions = {},
    msr: SystemTimeMsr = 'MSR_KVM_SYSTEM_TIME_NEW',
  ) {
    this.guest = new Guest(options);
    this.#vm = vm;
    this.#msr = msr;
    sim.watch((seen) => {
      this.guest.observe(seen);
    });
  }

  /** The vCPU tells KVM where its page is. */
  register(vcpu: number): void {
    const { data } = this.guest.register(vcpu, PAGES_GPA + BigInt(vcpu) * PAGE_BYTES);
    this.#vm.writeMsr(vcpu, this.#msr, data);
  }

  /** Its vCPUs have kvmclock, and sched_clock starts on vCPU 0. */
  boot(vcpus: number): void {
    for (let vcpu = 0; vcpu < vcpus; vcpu++) this.register(vcpu);
    this.#vm.kick();
    this.guest.startSchedClock(0, this.#vm.tsc(0));
  }

  /** vCPU 0 brings a vCPU up: their TSCs are compared, unless they are taken to agree. */
  bringUp(vcpu: number): void {
    const written = this.guest.bringUp(vcpu, this.#vm.tsc(vcpu), this.#vm.tsc(0));
    if (written !== undefined) this.#vm.writeMsr(vcpu, 'IA32_TSC_ADJUST', written.data);
  }

  /** sched_clock on a vCPU now, ns; less than 0 where it underflowed. */
  schedClock(vcpu: number): bigint {
    const found = this.guest.schedClock(vcpu, this.#vm.tsc(vcpu));
    if (found === undefined) throw new RangeError('expected a whole page, found one being written');
    return asS64(found);
  }
}
