/**
 * Histories told step by step, for what generated ones seldom reach: a short notation that fills in
 * names and instants.
 */
import { INPUTS, type Input } from '../../events/index.ts';
import {
  type Dispatched,
  type HostOptions,
  makeHost,
  type Stepper,
  World,
} from '../../src/engine/index.ts';
import { profile } from '../../src/profiles/index.ts';

/** An input without what the teller fills in. */
export type Told = { readonly type: Input['type'] } & Readonly<Record<string, unknown>>;

/** A host of 2 GHz, so that a nanosecond is two cycles. */
export const PLAIN_HOST = {
  tscKhz: 2_000_000,
  tsc: 1_000_000n,
  monotonicNs: 10_000_000_000n,
  monotonicRawNs: 10_000_000_000n,
  offsReal: 1_700_000_000_000_000_000n,
} satisfies HostOptions;

/** A world that one tells what happens. */
export class Teller {
  readonly world: World;
  /** Told of each input and what came of it. */
  heard: (input: Input, dispatched: Dispatched) => void = () => {};
  #tsc = 1_000_000n;

  constructor(profileId: string, host: HostOptions = PLAIN_HOST, stepper?: Stepper) {
    const { switches } = profile(profileId);
    this.world = new World({
      switches,
      host: makeHost(host),
      ...(stepper === undefined ? {} : { stepper }),
    });
  }

  /** Lets time pass, ns. */
  wait(ns: bigint): this {
    this.#tsc += (ns * BigInt(this.world.host.tscKhz)) / 1_000_000n;
    return this;
  }

  /** The TSC starts again. */
  resetTsc(tsc: bigint): this {
    this.#tsc = tsc;
    return this;
  }

  get tsc(): bigint {
    return this.#tsc;
  }

  /** Inputs one µs apart, on VM 0 and vCPU 0 unless they say otherwise. */
  tell(...inputs: readonly Told[]): Dispatched[] {
    return inputs.map((input) => {
      this.wait(1000n);
      const complete = this.complete(input);
      const dispatched = this.world.dispatch(complete);
      this.heard(complete, dispatched);
      return dispatched;
    });
  }

  complete(told: Told): Input {
    const names = 'vm' in told || HOST_INPUTS.has(told.type) ? {} : { vm: 0 };
    const vcpu = 'vcpu' in told || !VCPU_INPUTS.has(told.type) ? {} : { vcpu: 0 };
    return { tsc: this.#tsc, ...names, ...vcpu, ...told } as unknown as Input;
  }

  /** A VM with online vCPUs on CPUs of their own, all unloaded. */
  boot(vcpus: number): this {
    this.tell({ type: 'KVM_CREATE_VM' });
    for (let vcpu = 0; vcpu < vcpus; vcpu += 1) {
      this.tell({ type: 'KVM_CREATE_VCPU', vcpu, cpu: vcpu }, { type: 'vcpu_postcreate', vcpu });
    }
    return this;
  }

  /** The vCPU is loaded, does something, enters, leaves and is put. */
  run(vcpu: number, ...inputs: readonly Told[]): Dispatched[] {
    return this.tell(
      { type: 'vcpu_load', vcpu, cpu: vcpu },
      ...inputs.map((input) => ({ vcpu, ...input })),
      { type: 'kvm_entry', vcpu },
      { type: 'kvm_exit', vcpu },
      { type: 'vcpu_put', vcpu },
    );
  }
}

const targets = (target: string): ReadonlySet<string> =>
  new Set(Object.entries(INPUTS).flatMap(([type, spec]) => (spec.target === target ? [type] : [])));
const HOST_INPUTS = targets('host');
const VCPU_INPUTS = targets('vcpu');
