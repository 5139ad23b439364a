/** Ioctls that returned, as far as they touch clocks. What they were given is not recorded. */

import { adjustTscKhz, TSC_TOLERANCE_PPM } from '../../src/num/index.ts';
import type { Call, Thread } from '../identity/thread.ts';
import type { Vcpu, Vm } from '../identity/vm.ts';
import { type Around, isWatched } from './around.ts';
import type { When } from './driver.ts';
import type { KnownVcpu, KnownVm } from './known.ts';
import type { Requests } from './requests.ts';
import type { SeenUpdate, SeenWrite } from './rows.ts';
import { knowsWhetherJoins, seeNewTsc, tscReadFor } from './tsc-joins.ts';
import type { TscWrites } from './tsc-writes.ts';

export class Calls {
  readonly #around: Around;
  readonly #requests: Requests;
  readonly #writes: TscWrites;
  /** What was seen of VMs being created, by the thread that does it. */
  readonly #beforeVm = new Map<Thread, SeenUpdate>();

  constructor(around: Around, requests: Requests, writes: TscWrites) {
    this.#around = around;
    this.#requests = requests;
    this.#writes = writes;
  }

  /** The first masterclock update of a VM comes before the VM is known. */
  beforeVm(thread: Thread, seen: SeenUpdate): void {
    this.#beforeVm.set(thread, seen);
  }

  createdVm(thread: Thread, vm: Vm, when: When): void {
    const { driver, host } = this.#around;
    const seen = this.#beforeVm.get(thread);
    this.#beforeVm.delete(thread);
    if (seen !== undefined) host.seeClocksource(seen.hostClock, when);
    const { known, predicted } = driver.createVm(vm, when, true);
    if (seen === undefined) return;
    this.#requests.compareUpdate(known, seen, when, predicted.at(-1), false);
  }

  /** A vCPU was created; `write`: the synchronisation of its TSC. */
  createdVcpu(vcpu: Vcpu, write: SeenWrite | undefined, when: When): void {
    const { driver } = this.#around;
    const vm = vcpu.vm.model ?? driver.createVm(vcpu.vm, when, false).known;
    if (write !== undefined) seeNewTsc(this.#around, vm, write);
    const read = write === undefined ? undefined : tscReadFor(vm, 0n, write);
    const made = driver.createVcpu(vcpu, vm, write?.when ?? when, true, (name) =>
      name === 'sync.tsc' ? read : undefined,
    );
    if (made === undefined) return;
    if (write?.track === undefined) vm.counts = false;
    if (write === undefined) {
      made.known.tscOffset = 'unknown';
      return;
    }
    const decides = knowsWhetherJoins(this.#around, vm, write, 0n, true);
    this.#writes.compare(made.known, write, made.predicted, decides);
    vm.tscRecord = true;
  }

  /** KVM_SET_CLOCK, at the masterclock update that is part of it. */
  setClock(vm: KnownVm, seen: SeenUpdate, when: When): void {
    const { driver, host } = this.#around;
    host.seeClocksource(seen.hostClock, when);
    this.#requests.adoptCounts(vm, seen);
    vm.asked = isWatched(this.#around, vm);
    const predicted = driver
      .setClock(vm, when)
      .find(({ type }) => type === 'kvm_update_master_clock');
    this.#requests.compareUpdate(vm, seen, when, predicted, true);
  }

  /** An ioctl that may have written TSCs, and what it wrote. */
  wroteTsc(
    known: KnownVcpu,
    name: 'KVM_SET_MSRS' | 'KVM_SET_DEVICE_ATTR',
    written: readonly SeenWrite[],
    when: When,
  ): void {
    for (const write of written) this.#writes.byCall(known, name, write);
    known.quiet = false;
    const { offsets, tracks } = this.#around.sees;
    if (!offsets) known.tscOffset = 'unknown';
    if (!offsets || !tracks) {
      known.of.counts = false;
      known.requests = false;
    }
    if (name === 'KVM_SET_DEVICE_ATTR') return;
    // It may as well have set TSC_ADJUST, or where the page is, or Hyper-V's.
    if (written.length === 0) this.#around.driver.load(known, when);
    known.adjust = false;
    known.mayAsk = true;
    known.page = false;
  }

  /** Another ioctl on a vCPU. */
  ofVcpu(known: KnownVcpu, { ioctl, arg }: Call, when: When): void {
    const { driver } = this.#around;
    const { id: vm } = known.of;
    const { id: vcpu } = known.vcpu;
    const tsc = driver.tscAt(when.ticks, known.of.vm);
    switch (ioctl?.name) {
      case 'KVM_SET_TSC_KHZ':
        driver.load(known, when);
        driver.happen({ type: 'KVM_SET_TSC_KHZ', tsc, vm, vcpu, khz: arg }, known.of);
        if (!this.#isHostKhz(arg)) known.scaled = true;
        break;
      case 'KVM_KVMCLOCK_CTRL':
        driver.load(known, when);
        driver.happen({ type: 'KVM_KVMCLOCK_CTRL', tsc, vm, vcpu }, known.of);
        break;
      case 'KVM_XEN_VCPU_SET_ATTR':
        driver.load(known, when);
        known.xen = true;
        known.mayAsk = true;
        break;
      case 'KVM_RUN':
        break;
      default:
        driver.load(known, when);
    }
  }

  /** An ioctl on a VM. */
  ofVm(vm: KnownVm, { ioctl, arg, recomputed }: Call, when: When): void {
    const { driver, sees } = this.#around;
    if (ioctl?.name === 'KVM_SET_TSC_KHZ') {
      const tsc = driver.tscAt(when.ticks, vm.vm);
      driver.happen({ type: 'KVM_SET_VM_TSC_KHZ', tsc, vm: vm.id, khz: arg }, vm);
      if (!this.#isHostKhz(arg)) vm.scaled = true;
    } else if (ioctl?.name === 'KVM_XEN_HVM_SET_ATTR' || ioctl?.name === 'KVM_XEN_HVM_CONFIG') {
      for (const { model } of vm.vm.vcpus.values()) if (model !== undefined) model.mayAsk = true;
    } else if (ioctl?.name === 'KVM_SET_CLOCK' && !recomputed) {
      if (sees.updates) this.#noUpdate(vm, when);
      driver.setClock(vm, when);
      vm.loseReference();
    }
  }

  /** Every kernel takes a new reference when the clock is set. */
  #noUpdate({ vm }: KnownVm, { ticks }: When): void {
    const what = 'the clock was set without a masterclock update';
    const expected = 'kvm_update_master_clock';
    this.#around.books.diverge({ vm, vcpu: undefined, ticks, what, expected, found: 'none' });
  }

  /** A frequency that is the host's, as KVM sees it: nothing is scaled. */
  #isHostKhz(khz: number): boolean {
    const { tscKhz } = this.#around.host.state;
    if (khz === 0) return true;
    const least = adjustTscKhz(tscKhz, -TSC_TOLERANCE_PPM);
    return khz >= least && khz <= adjustTscKhz(tscKhz, TSC_TOLERANCE_PPM);
  }
}
