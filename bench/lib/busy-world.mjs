/** A world of booted VMs whose vCPUs run all the time, and what goes on happening to it. */
const dist = new URL('../../dist/', import.meta.url);
const { makeHost, World } = await import(new URL('src/engine/index.js', dist));
const { profile } = await import(new URL('src/profiles/index.js', dist));

export const PROFILE = 'v6.8';
const HOST_CPUS = 64;
/** How often a vCPU enters the guest before it leaves its CPU, as in `threads-6.12`. */
const ENTRIES = 64;
const CYCLES = 1000n;

/** Makes the world, its VMs and their vCPUs; all pages are up to date afterwards. */
export class BusyWorld {
  world = new World({ switches: profile(PROFILE).switches, host: makeHost({ tscKhz: 2_500_000 }) });
  #vcpus = [];
  #tsc = 1_000_000n;

  constructor({ vms, vcpus }) {
    for (let vm = 0; vm < vms; vm++) {
      this.#tell({ type: 'KVM_CREATE_VM', vm });
      for (let vcpu = 0; vcpu < vcpus; vcpu++) {
        const at = { vm, vcpu };
        this.#vcpus.push({ ...at, cpu: (vm + vcpu) % HOST_CPUS });
        this.#tell({ type: 'KVM_CREATE_VCPU', ...at, cpu: (vm + vcpu) % HOST_CPUS });
        this.#tell({ type: 'vcpu_postcreate', ...at });
      }
    }
    // Requests of the boot are served, those that serving raises as well.
    for (let round = 0; round < 3; round++) for (const input of this.turns()) this.#tell(input);
  }

  #tell(input) {
    this.world.dispatch(this.#now(input));
  }

  /** The input gets its instant. Copying it would make a shape that V8 does not know for each. */
  #now(input) {
    this.#tsc += CYCLES;
    input.tsc = this.#tsc;
    return input;
  }

  /** One turn of each vCPU on its CPU, instants left out. */
  *turns() {
    for (const { vm, vcpu, cpu } of this.#vcpus) {
      yield { type: 'vcpu_load', vm, vcpu, cpu };
      for (let i = 0; i < ENTRIES; i++) {
        yield { type: 'kvm_entry', vm, vcpu };
        yield { type: 'kvm_exit', vm, vcpu };
      }
      yield { type: 'vcpu_put', vm, vcpu };
    }
  }

  /** At least so many inputs that can happen next, with their instants. */
  next(count) {
    const inputs = [];
    while (inputs.length < count) {
      for (const turn of this.turns()) inputs.push(this.#now(turn));
    }
    return inputs;
  }
}
