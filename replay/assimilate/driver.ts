/**
 * The world beside a recording, and how things happen to it: at the host TSC of an event, with what
 * has to come before put in (a load before an entry, an exit before a put).
 */
import { CLOCK_EVENTS, type Input, type Observation } from '../../events/index.ts';
import type { HostState } from '../../src/clock/index.ts';
import { InputError } from '../../src/engine/input-error.ts';
import type { ReadingSource } from '../../src/engine/readings.ts';
import { World, type WorldOptions } from '../../src/engine/world.ts';
import { addU64, isBefore, subU64 } from '../../src/num/index.ts';
import type { Switches } from '../../src/profiles/index.ts';
import type { HostClock } from '../host-clock.ts';
import type { Vcpu, Vm } from '../identity/vm.ts';
import { KnownVcpu, KnownVm } from './known.ts';
import type { Predicted } from './tracepoints.ts';

/** When something happened: ticks of the recording's clock, and on which host CPU. */
export interface When {
  readonly ticks: bigint;
  readonly cpu: number;
}

/** Instants that a page tells of the input that made it. */
export type ToldTimes =
  | { readonly 'snapshot.tsc': bigint; readonly 'snapshot.ns': bigint }
  | { readonly 'update.tsc': bigint; readonly 'update.ns': bigint };

/** A world that keeps a log of what happens to it. */
export interface Keeper {
  /** Something was put right by hand. */
  correct(reason: string): void;
  /** What an earlier input read turns out to have been this. */
  amend(index: number, told: ToldTimes): void;
  /** The clock offset that an input must have led to: so much more than was supposed since. */
  ledTo(index: number, kvmclockOffset: bigint, more: bigint): void;
}

/** Most inputs show none. */
const NO_TRACEPOINTS: readonly Predicted[] = Object.freeze([]);

/** Makes the world; a log has a world of its own, which it is kept by. */
export type MakeWorld = (options: WorldOptions) => { world: World; keeper?: Keeper };

/** What is looked at of what inputs show: the clock’s tracepoints, and timers. */
const SHOWN: ReadonlySet<Observation['type']> = new Set([...CLOCK_EVENTS, 'timer_armed']);

export class Driver {
  readonly world: World;
  readonly #clock: HostClock;
  /** The world's own copy: evidence in the recording changes them. */
  readonly #switches: Switches;
  readonly #keeper: Keeper | undefined;
  #vms: KnownVm[] = [];
  /** How many VMs there were: the next one's number. */
  #made = 0;

  constructor(
    clock: HostClock,
    switches: Switches,
    host: HostState,
    makeWorld: MakeWorld = (options) => ({ world: new World(options) }),
  ) {
    this.#clock = clock;
    this.#switches = { ...switches };
    const made = makeWorld({ switches: this.#switches, host, shows: SHOWN });
    this.world = made.world;
    this.#keeper = made.keeper;
  }

  /** What happens is kept: also what no later page, offset or update depends on. */
  get keeps(): boolean {
    return this.#keeper !== undefined;
  }

  /** The VMs there are. */
  get vms(): readonly KnownVm[] {
    return this.#vms;
  }

  get switches(): Switches {
    return this.#switches;
  }

  /** The recording shows that the kernel has a switch otherwise. */
  setSwitches(set: Partial<Switches>): void {
    Object.assign(this.#switches, set);
  }

  /** Host TSC of an event, as far as it can be told; never before what happened already. */
  tscAt(ticks: bigint, vm?: Vm): bigint {
    const { lastTsc } = this.world;
    const tsc = this.#clock.tsc(ticks, vm?.resolved) ?? lastTsc;
    return isBefore(tsc, lastTsc) ? lastTsc : tsc;
  }

  /**
   * Lets something happen.
   *
   * @returns the tracepoints of it; `undefined` when the model holds it impossible.
   */
  happen(input: Input, vm?: KnownVm, source?: ReadingSource): readonly Predicted[] | undefined {
    try {
      const { observations, index } = this.world.dispatch(input, source);
      return observations.length === 0
        ? NO_TRACEPOINTS
        : this.#follow(observations, vm, input.tsc, index);
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      return undefined;
    }
  }

  /** Notes what an input showed. @returns the tracepoints. */
  #follow(
    observations: readonly Observation[],
    vm: KnownVm | undefined,
    tsc: bigint,
    index: number,
  ): readonly Predicted[] {
    const tracepoints: Predicted[] = [];
    for (let i = 0; i < observations.length; i++) {
      const seen = observations[i]!;
      switch (seen.type) {
        case 'kvm_update_master_clock':
          if (vm !== undefined) vm.snapshotInput = index;
          tracepoints.push(seen);
          break;
        case 'kvm_pvclock_update':
        case 'kvm_write_tsc_offset':
        case 'kvm_track_tsc':
          tracepoints.push(seen);
          break;
        case 'timer_armed':
          vm?.armed.set(seen.name, tsc);
          break;
        default: // is not shown
      }
    }
    return tracepoints;
  }

  /** A VM is created, or is first seen. Its own tracepoints are what was predicted. */
  createVm(vm: Vm, when: When, born: boolean): { known: KnownVm; predicted: readonly Predicted[] } {
    const id = this.#made++;
    const index = this.world.count;
    const tsc = this.tscAt(when.ticks);
    const predicted = this.happen({ type: 'KVM_CREATE_VM', tsc, vm: id }) ?? NO_TRACEPOINTS;
    const known = new KnownVm(vm, id, this.world.vms.get(id)!, born);
    vm.model = known;
    this.#vms.push(known);
    known.snapshotInput = index;
    known.offsetInput = index;
    return { known, predicted };
  }

  /** KVM_SET_CLOCK, of which nothing says to what: as if to where the clock is. */
  setClock(vm: KnownVm, when: When): readonly Predicted[] {
    const clock = addU64(vm.state.masterKernelNs, vm.state.kvmclockOffset);
    vm.offsetInput = this.world.count;
    const tsc = this.tscAt(when.ticks, vm.vm);
    const { cpu } = when;
    const predicted =
      this.happen({ type: 'KVM_SET_CLOCK', tsc, vm: vm.id, clock, flags: 0, cpu }, vm) ??
      NO_TRACEPOINTS;
    vm.clockOffset = 'unknown';
    this.wake(vm);
    return predicted;
  }

  /** A vCPU is created, or is first seen. */
  createVcpu(
    vcpu: Vcpu,
    vm: KnownVm,
    when: When,
    born: boolean,
    source?: ReadingSource,
  ): { known: KnownVcpu; predicted: readonly Predicted[] } | undefined {
    const cpu = vm.of.vcpus.get(vcpu.id) === undefined ? when.cpu : -1;
    const tsc = this.tscAt(when.ticks, vm.vm);
    if (cpu >= 0) this.happen({ type: 'KVM_CREATE_VCPU', tsc, vm: vm.id, vcpu: vcpu.id, cpu }, vm);
    const cell = vm.of.vcpus.get(vcpu.id);
    if (cell === undefined) return undefined;
    const input = { type: 'vcpu_postcreate', tsc, vm: vm.id, vcpu: vcpu.id } as const;
    const predicted = this.happen(input, vm, source) ?? NO_TRACEPOINTS;
    const known = new KnownVcpu(vcpu, vm, cell, born);
    known.cpu = cell.state.cpu;
    known.scaled = vm.scaled;
    vcpu.model = known;
    return { known, predicted };
  }

  /** A thread has taken the vCPU onto a CPU: out of the guest, and loaded there. */
  load(known: KnownVcpu, when: When): void {
    const { state, of } = known;
    const { id: vm } = of;
    const { id: vcpu } = known.vcpu;
    const { cpu } = when;
    known.quiet = false;
    if (state.run === 'loaded' && known.cpu === cpu) return;
    const tsc = this.tscAt(when.ticks, of.vm);
    if (state.run === 'guest') this.happen({ type: 'kvm_exit', tsc, vm, vcpu }, of);
    if (state.run === 'loaded' && known.cpu !== cpu) {
      this.happen({ type: 'vcpu_put', tsc, vm, vcpu }, of);
    }
    if (state.run === 'unloaded') {
      this.happen({ type: 'vcpu_load', tsc, vm, vcpu, cpu }, of);
      known.cpu = cpu;
    }
  }

  /** The vCPU serves its requests. */
  serve(known: KnownVcpu, when: When): readonly Predicted[] {
    known.servedInput = this.world.count;
    const { of, vcpu } = known;
    const tsc = this.tscAt(when.ticks, of.vm);
    const input = { type: 'vcpu_requests', tsc, vm: of.id, vcpu: vcpu.id } as const;
    const predicted = this.happen(input, of) ?? NO_TRACEPOINTS;
    this.wake(of);
    // What is pushed forward by software is not followed to the cycle.
    return known.scaled
      ? predicted.filter(({ type }) => type !== 'kvm_write_tsc_offset')
      : predicted;
  }

  /** Something happened that any vCPU of the VM may have to serve. */
  wake({ vm }: KnownVm): void {
    for (const { model } of vm.vcpus.values()) if (model !== undefined) model.quiet = false;
  }

  /** What is known relative to an offset supposed to be 0 moves to where it is: so many cycles on. */
  rebase(vm: KnownVm, by: bigint): void {
    for (const { model } of vm.vm.vcpus.values()) {
      if (model?.tscOffset !== 'relative') continue;
      model.state.l1TscOffset = subU64(model.state.l1TscOffset, by);
      model.state.tscOffset = model.state.l1TscOffset;
      model.tscOffset = 'known';
    }
    vm.state.masterCycleNow = addU64(vm.state.masterCycleNow, by);
    vm.relative = false;
    vm.clockOffset = 'unknown';
    this.correct('TSC offsets that were not recorded');
  }

  /** Offsets known relative to each other say nothing beside one that is known. */
  forgetRelative(vm: KnownVm): void {
    vm.relative = false;
    for (const { model } of vm.vm.vcpus.values()) {
      if (model?.tscOffset === 'relative') model.tscOffset = 'unknown';
    }
  }

  /** Its last descriptor is closed, at the latest by now, which takes its vCPUs off their CPUs. */
  #destroy({ id, of }: KnownVm): void {
    const { lastTsc: tsc } = this.world;
    for (const [vcpu, { state }] of of.vcpus) {
      if (state.run === 'guest') this.happen({ type: 'kvm_exit', tsc, vm: id, vcpu });
      if (state.run === 'loaded') this.happen({ type: 'vcpu_put', tsc, vm: id, vcpu });
    }
    this.happen({ type: 'destroy_vm', tsc, vm: id, cpu: 0 });
  }

  /** A VM is gone: what is still said of it is of another one. */
  drop(vm: Vm): void {
    this.#vms = this.#vms.filter((known) => known.vm !== vm);
    if (vm.model !== undefined) this.#destroy(vm.model);
    vm.model = undefined;
    for (const vcpu of vm.vcpus.values()) vcpu.model = undefined;
  }

  /** A struct was put right by hand. */
  correct(reason: string): void {
    this.#keeper?.correct(reason);
  }

  /** A page shows which host TSC, and base clock, the VM's reference is of. */
  tellReference({ state, snapshotInput, offsetInput }: KnownVm, tsc: bigint, ns?: bigint): void {
    state.masterCycleNow = tsc;
    if (ns !== undefined) state.masterKernelNs = BigInt.asUintN(64, ns);
    const told = { 'snapshot.tsc': tsc, 'snapshot.ns': state.masterKernelNs };
    this.#keeper?.amend(snapshotInput, told);
    // KVM_SET_CLOCK reckons from the reference that it takes.
    if (snapshotInput === offsetInput) this.#keeper?.ledTo(offsetInput, state.kvmclockOffset, 0n);
  }

  /** A page without masterclock shows what its clocks were read at. */
  tellPage({ servedInput }: KnownVcpu, tsc: bigint, ns: bigint): void {
    const told = { 'update.tsc': tsc, 'update.ns': BigInt.asUintN(64, ns) };
    this.#keeper?.amend(servedInput, told);
  }

  /** A page shows the VM's clock offset. */
  tellClockOffset({ state, offsetInput }: KnownVm, offset: bigint): void {
    const more = subU64(offset, state.kvmclockOffset);
    state.kvmclockOffset = offset;
    this.#keeper?.ledTo(offsetInput, offset, more);
  }
}
