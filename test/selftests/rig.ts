/**
 * A bench for the selftests: one VM in a world of one profile, driven as a VMM and a guest would,
 * at a host TSC that advances with everything done.
 */
import {
  type Input,
  type InputOf,
  type InputType,
  MSRS,
  type ObservationOf,
} from '../../events/index.ts';
import { guestRdtsc, type VcpuState, type VmState } from '../../src/clock/index.ts';
import { type Dispatched, type HostOptions, makeHost, World } from '../../src/engine/index.ts';
import { type PvclockPage, pvclockRead } from '../../src/num/index.ts';
import { PROFILE_IDS, PROFILES, type ProfileId, type Switches } from '../../src/profiles/index.ts';

/** What to do, without its names and instant. */
type Deed<T extends InputType> = Omit<InputOf<T>, 'type' | 'tsc' | 'vm' | 'vcpu'>;

/** The kernels: every profile, those of posted patches too. */
export const KERNELS: readonly ProfileId[] = PROFILE_IDS;

/** The kernels whose switches satisfy a condition, and the others. */
export function split(condition: (switches: Switches) => boolean): {
  readonly holds: readonly ProfileId[];
  readonly fails: readonly ProfileId[];
} {
  const holds = KERNELS.filter((id) => condition(PROFILES[id].switches));
  return { holds, fails: KERNELS.filter((id) => !holds.includes(id)) };
}

/** Cycles between two things done. */
const STEP = 250n;
const VM = 0;
/** Where vCPU 0’s pvclock page is; the others’ follow. */
const PAGES = 0x10_0000n;
const PAGE_BYTES = 0x1000n;
const ENABLE = 1n;

export class Rig {
  readonly world: World;
  /** Everything that was observed, in order. */
  readonly observed: Dispatched['observations'][number][] = [];
  /** Host TSC of what is done next. */
  tsc: bigint;

  /**
   * @param kernel - a profile’s id, or switches.
   * @param set - switches that differ from the kernel’s.
   */
  constructor(
    kernel: ProfileId | Switches,
    host: HostOptions = { tscKhz: 2_500_000 },
    set: Partial<Switches> = {},
  ) {
    const switches = {
      ...(typeof kernel === 'string' ? PROFILES[kernel].switches : kernel),
      ...set,
    };
    this.world = new World({ switches, host: makeHost(host) });
    this.tsc = (host.tsc ?? 0n) + 1_000_000_000n;
  }

  /** Does something to the host or the VM. */
  do<T extends InputType>(type: T, fields: Deed<T>): Dispatched {
    return this.#dispatch({ type, vm: VM, ...fields } as unknown as Input);
  }

  /** Does something to a vCPU. */
  on<T extends InputType>(vcpu: number, type: T, fields: Deed<T>): Dispatched {
    return this.#dispatch({ type, vm: VM, vcpu, ...fields } as unknown as Input);
  }

  /** Does something to the host. */
  host<T extends InputType>(type: T, fields: Deed<T>): Dispatched {
    return this.#dispatch({ type, ...fields } as unknown as Input);
  }

  #dispatch(input: Input): Dispatched {
    const done = this.world.dispatch({ ...input, tsc: this.tsc } as Input);
    this.observed.push(...done.observations);
    this.tsc += STEP;
    return done;
  }

  /** Lets time pass, ns. */
  wait(ns: bigint): void {
    this.tsc += (ns * BigInt(this.world.host.tscKhz)) / 1_000_000n;
  }

  get vm(): Readonly<VmState> {
    return this.world.vms.get(VM)!.cell.state;
  }

  vcpu(id: number): Readonly<VcpuState> {
    return this.world.vms.get(VM)!.vcpus.get(id)!.state;
  }

  get vcpuIds(): readonly number[] {
    return [...this.world.vms.get(VM)!.vcpus.keys()];
  }

  createVm(vcpus = 0): this {
    this.do('KVM_CREATE_VM', {});
    for (let id = 0; id < vcpus; id++) this.createVcpu(id);
    return this;
  }

  createVcpu(id: number): void {
    this.on(id, 'KVM_CREATE_VCPU', { cpu: id % 4 });
    this.on(id, 'vcpu_postcreate', {});
  }

  /** A vCPU whose TSC is not KVM's to change. */
  createProtectedVcpu(id: number): void {
    this.on(id, 'KVM_CREATE_VCPU', { cpu: id % 4 });
    this.on(id, 'protect_tsc', {});
    this.on(id, 'vcpu_postcreate', {});
  }

  /** An ioctl on a vCPU that is out of the guest. */
  ioctl<T extends InputType>(id: number, type: T, fields: Deed<T>): Dispatched {
    this.leave(id);
    this.on(id, 'vcpu_load', { cpu: id % 4 });
    const done = this.on(id, type, fields);
    this.on(id, 'vcpu_put', {});
    return done;
  }

  /** The vCPU runs in the guest, all its requests served; so do the others that run. */
  enter(id: number): void {
    if (this.vcpu(id).run === 'unloaded') this.on(id, 'vcpu_load', { cpu: id % 4 });
    if (this.vcpu(id).run === 'loaded') this.on(id, 'kvm_entry', {});
    this.settle();
  }

  /** All vCPUs run. */
  enterAll(): void {
    for (const id of this.vcpuIds) this.enter(id);
  }

  /** vCPUs that were kicked out of the guest go back. */
  settle(): void {
    for (const id of this.vcpuIds) {
      if (this.vcpu(id).run !== 'guest' || this.vcpu(id).requests === 0) continue;
      this.on(id, 'kvm_exit', {});
      this.on(id, 'kvm_entry', {});
    }
  }

  /** The vCPU is out of the guest, its thread off its CPU. */
  leave(id: number): void {
    if (this.vcpu(id).run === 'guest') this.on(id, 'kvm_exit', {});
    if (this.vcpu(id).run === 'loaded') this.on(id, 'vcpu_put', {});
  }

  /** The guest leaves for KVM, which does something for it, and goes on. */
  exitFor<T extends InputType>(id: number, type: T, fields: Deed<T>): Dispatched {
    this.enter(id);
    this.on(id, 'kvm_exit', {});
    const done = this.on(id, type, fields);
    this.enter(id);
    return done;
  }

  /** The guest writes an MSR, and goes on. */
  wrmsr(id: number, index: number, data: bigint): boolean {
    this.enter(id);
    this.on(id, 'kvm_exit', {});
    const done = this.on(id, 'wrmsr', { index, data });
    this.enter(id);
    return resultOf(done, 'msr_result').ok;
  }

  /** The guest reads an MSR. */
  rdmsr(id: number, index: number): bigint {
    this.enter(id);
    this.on(id, 'kvm_exit', {});
    const done = this.on(id, 'rdmsr', { index });
    this.enter(id);
    return resultOf(done, 'msr_result').data!;
  }

  /** The VMM writes an MSR. */
  setMsr(id: number, index: number, data: bigint): void {
    this.ioctl(id, 'KVM_SET_MSRS', { index, data });
  }

  /** The VMM reads an MSR. */
  getMsr(id: number, index: number): bigint {
    return resultOf(this.ioctl(id, 'KVM_GET_MSRS', { index }), 'msr_result').data!;
  }

  /** The guest’s RDTSC, now: time passes as for anything done. */
  rdtsc(id: number): bigint {
    const tsc = this.tscAt(id, this.tsc);
    this.tsc += STEP;
    return tsc;
  }

  /** What RDTSC gives at a host TSC. */
  tscAt(id: number, hostTsc: bigint): bigint {
    return guestRdtsc(this.vcpu(id), this.world.host, hostTsc);
  }

  /** The guest turns its kvmclock page on. */
  enableKvmclock(id: number): void {
    this.wrmsr(id, MSRS.MSR_KVM_SYSTEM_TIME_NEW, pageGpa(id) | ENABLE);
  }

  /** VM with vCPUs that run with kvmclock. */
  boot(vcpus: number): this {
    this.createVm(vcpus);
    for (const id of this.vcpuIds) this.enableKvmclock(id);
    this.settle();
    return this;
  }

  /** The pvclock page as the guest sees it. */
  page(id: number): PvclockPage {
    const v = this.vcpu(id);
    return {
      version: v.pageVersion,
      tscTimestamp: v.pageTscTimestamp,
      systemTime: v.pageSystemTime,
      tscToSystemMul: v.pageMul,
      tscShift: v.pageShift,
      flags: v.pageFlags,
    };
  }

  /** The guest’s kvmclock at a host TSC, ns. */
  kvmclockAt(id: number, hostTsc: bigint): bigint {
    return pvclockRead(this.page(id), this.tscAt(id, hostTsc));
  }

  /** The guest reads its kvmclock. */
  kvmclock(id: number): bigint {
    const ns = this.kvmclockAt(id, this.tsc);
    this.tsc += STEP;
    return ns;
  }

  /** KVM_GET_CLOCK. */
  getClock(): ObservationOf<'ioctl_result'> {
    return resultOf(this.do('KVM_GET_CLOCK', {}), 'ioctl_result');
  }

  /** KVM_SET_CLOCK; the vCPUs that run notice. @returns 0 or minus errno */
  setClock(clock: bigint, flags = 0, realtime = 0n): number {
    // Where the clock is set against its value now, that is read after the reference was taken.
    const later = this.world.switches.setClockOrder === 'update-then-now';
    const readings = later ? { readings: { 'getClock.tsc': this.tsc + STEP } } : {};
    const done = this.do('KVM_SET_CLOCK', { clock, flags, realtime, ...readings });
    this.settle();
    return resultOf(done, 'ioctl_result').ret;
  }
}

/** Where a vCPU’s page is. */
export const pageGpa = (id: number): bigint => PAGES + BigInt(id) * PAGE_BYTES;

/** The result among what was observed. */
export function resultOf<N extends Dispatched['observations'][number]['type']>(
  done: Dispatched,
  type: N,
): ObservationOf<N> {
  const found = done.observations.find((seen) => seen.type === type);
  if (found === undefined) throw new TypeError(`expected ${type} of input ${done.index}`);
  return found as ObservationOf<N>;
}
