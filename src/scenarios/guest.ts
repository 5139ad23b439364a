/** A VM in a scenario: a VMM by its policy, and a guest that runs on its vCPUs and reads kvmclock. */
import { type Composite, type Input, MSRS } from '../../events/index.ts';
import { guestRdtsc, type VcpuState } from '../clock/index.ts';
import {
  type Dispatched,
  type Performed,
  type Plan,
  Vmm,
  type VmmPolicyId,
} from '../engine/index.ts';
import { pvclockRead } from '../num/index.ts';
import type { Simulation } from './simulation.ts';

/** Where the guest's pages are: one of 64 bytes for each vCPU. */
const PAGES_GPA = 0x10_0000n;
const PAGE_BYTES = 64n;
const ENABLE = 1n;

type Of<I, Names extends string> = I extends unknown ? Omit<I, 'tsc' | 'vm' | Names> : never;

export class SimulatedVm {
  readonly vmm: Vmm;
  readonly #simulation: Simulation;
  readonly #id: number;

  constructor(simulation: Simulation, id: number, policy: VmmPolicyId) {
    this.#simulation = simulation;
    this.#id = id;
    this.vmm = new Vmm({ world: simulation.world, vm: id, policy });
  }

  /** What KVM has of a vCPU. */
  kvm(vcpu: number): Readonly<VcpuState> {
    const found = this.#simulation.world.vms.get(this.#id)?.vcpus.get(vcpu);
    if (found === undefined) throw new RangeError(`expected a vCPU, found none with id ${vcpu}`);
    return found.state;
  }

  /** The VMM does something in one go, by its policy, now. */
  perform(event: Composite, plan: Partial<Plan> = {}): Performed {
    return this.#simulation.perform(this.vmm, this.#id, event, plan);
  }

  /** The VMM creates the VM with so many vCPUs, and its guest runs on them. */
  start(vcpus: number, tscKhz?: number): void {
    this.perform({ type: 'launch', ...(tscKhz === undefined ? {} : { tscKhz }) });
    this.bootOn(vcpus);
  }

  /** A VM that was launched gets so many vCPUs, which the VMM lets run. */
  plug(vcpus: number): void {
    for (let vcpu = 0; vcpu < vcpus; vcpu++) this.perform({ type: 'hotplug', vcpu, cpu: vcpu });
    this.perform({ type: 'resume' });
  }

  /** A VM that was launched gets so many vCPUs, and its guest runs on them. */
  bootOn(vcpus: number): void {
    this.plug(vcpus);
    for (let vcpu = 0; vcpu < vcpus; vcpu++) this.boot(vcpu);
    // Each vCPU's page follows what the others' first entries asked for.
    this.kick();
  }

  /** Something happens to the VM, now. */
  ioctl(input: Of<Extract<Input, { vm: number }>, 'vcpu'>): Dispatched {
    return this.#simulation.dispatch({ ...input, vm: this.#id } as never);
  }

  /** Something happens to a vCPU, now. */
  on(vcpu: number, input: Of<Extract<Input, { vcpu: number }>, 'vcpu'>): Dispatched {
    return this.#simulation.dispatch({ ...input, vm: this.#id, vcpu } as never);
  }

  /** The vCPU's thread takes it onto its host CPU and into the guest. */
  enter(vcpu: number): void {
    if (this.kvm(vcpu).run === 'unloaded') this.on(vcpu, { type: 'vcpu_load', cpu: vcpu });
    this.on(vcpu, { type: 'kvm_entry' });
  }

  /** The vCPU leaves the guest; its thread stays. */
  exit(vcpu: number): void {
    if (this.kvm(vcpu).run === 'guest') this.on(vcpu, { type: 'kvm_exit' });
  }

  /** The vCPU's thread leaves its host CPU. */
  leave(vcpu: number): void {
    this.exit(vcpu);
    if (this.kvm(vcpu).run === 'loaded') this.on(vcpu, { type: 'vcpu_put' });
  }

  /** The guest boots on a vCPU: it gives KVM the address of its kvmclock page. */
  boot(vcpu: number): void {
    this.enter(vcpu);
    this.registerKvmclock(vcpu);
  }

  /** Where the guest has a vCPU's kvmclock page. */
  kvmclockGpa(vcpu: number): bigint {
    return PAGES_GPA + BigInt(vcpu) * PAGE_BYTES;
  }

  /** The guest writes MSR_KVM_SYSTEM_TIME of a vCPU. */
  registerKvmclock(vcpu: number): void {
    this.writeMsr(vcpu, 'MSR_KVM_SYSTEM_TIME_NEW', this.kvmclockGpa(vcpu) | ENABLE);
  }

  /** The guest writes an MSR and goes on. */
  writeMsr(vcpu: number, name: keyof typeof MSRS, data: bigint): void {
    this.exit(vcpu);
    this.on(vcpu, { type: 'wrmsr', index: MSRS[name], data });
    this.enter(vcpu);
  }

  /** The guest reads an MSR and goes on. */
  readMsr(vcpu: number, name: keyof typeof MSRS): bigint {
    this.exit(vcpu);
    const { observations } = this.on(vcpu, { type: 'rdmsr', index: MSRS[name] });
    this.enter(vcpu);
    const result = observations.find((seen) => seen.type === 'msr_result');
    return (result?.type === 'msr_result' ? result.data : undefined) ?? 0n;
  }

  /** The VMM writes an MSR of a vCPU that has left the guest. */
  setMsr(vcpu: number, name: keyof typeof MSRS, data: bigint): Dispatched {
    this.exit(vcpu);
    return this.on(vcpu, { type: 'KVM_SET_MSRS', index: MSRS[name], data });
  }

  /** Every vCPU that is in the guest leaves it and enters again: what was asked of it is served. */
  kick(): void {
    for (const { vcpuId } of this.#running()) {
      this.exit(vcpuId);
      this.enter(vcpuId);
    }
  }

  #running(): readonly Readonly<VcpuState>[] {
    const vcpus = this.#simulation.world.vms.get(this.#id)?.vcpus.values() ?? [];
    return [...vcpus].map(({ state }) => state).filter(({ run }) => run === 'guest');
  }

  /** The guest's TSC on a vCPU now. */
  tsc(vcpu: number): bigint {
    const { world, host } = this.#simulation;
    return guestRdtsc(this.kvm(vcpu), world.host, host.tsc);
  }

  /** kvmclock as the guest reads it on a vCPU now, ns. */
  kvmclock(vcpu: number): bigint {
    const { pageTscTimestamp, pageSystemTime, pageMul, pageShift } = this.kvm(vcpu);
    const page = {
      tscTimestamp: pageTscTimestamp,
      systemTime: pageSystemTime,
      tscToSystemMul: pageMul,
      tscShift: pageShift,
    };
    return pvclockRead(page, this.tsc(vcpu));
  }
}
