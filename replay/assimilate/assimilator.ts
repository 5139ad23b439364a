/**
 * Runs a model beside a recording: what the recording shows goes in, what the kernel showed of its
 * clocks is compared with what the model has, and then taken over, so that the model stays true.
 *
 * Entries, exits, threads and CPUs are inputs, and the guest's writes of its MSRs. Nearly all entries
 * change nothing; those are told by one look at the vCPU (`KnownVcpu.quiet`) and go no further.
 */
import { type EventBatch, MSRS } from '../../events/index.ts';
import type { Finding } from '../findings/finding.ts';
import type { Page } from '../guest-clock.ts';
import type { HostClock } from '../host-clock.ts';
import type { Call, Thread } from '../identity/thread.ts';
import { type Vcpu, Vm } from '../identity/vm.ts';
import type { Around } from './around.ts';
import { BaseWatch } from './base-watch.ts';
import { Books, type Counts } from './books.ts';
import { Calls } from './calls.ts';
import { doubtAll, doubtOthers } from './doubt.ts';
import { Driver, type MakeWorld, type When } from './driver.ts';
import { firstHost } from './first-host.ts';
import { HostModel } from './host-model.ts';
import type { KnownVcpu, KnownVm } from './known.ts';
import { Pages } from './pages.ts';
import { type ChosenProfile, type ProfileChoice, profileText } from './profile.ts';
import { Requests } from './requests.ts';
import { type SeenTrack, type SeenUpdate, type SeenWrite, tracepointsOf, whenOf } from './rows.ts';
import { TscWrites } from './tsc-writes.ts';

/** The guest's MSRs that the model is told of. Others move no clock that a tracepoint shows. */
const CLOCK_MSRS: ReadonlySet<number> = new Set([
  MSRS.IA32_TSC,
  MSRS.IA32_TSC_ADJUST,
  MSRS.MSR_KVM_SYSTEM_TIME,
  MSRS.MSR_KVM_SYSTEM_TIME_NEW,
  MSRS.MSR_KVM_WALL_CLOCK,
  MSRS.MSR_KVM_WALL_CLOCK_NEW,
  MSRS.HV_X64_MSR_REFERENCE_TSC,
]);
const SYSTEM_TIME: ReadonlySet<number> = new Set([
  MSRS.MSR_KVM_SYSTEM_TIME,
  MSRS.MSR_KVM_SYSTEM_TIME_NEW,
]);
const TSC_MSRS: ReadonlySet<number> = new Set([MSRS.IA32_TSC, MSRS.IA32_TSC_ADJUST]);
const ENABLE = 1n;
const NONE: readonly SeenWrite[] = [];

export interface AssimilateOptions {
  readonly chosen: ChosenProfile;
  /** Frequency of the host's TSC, where it is known beforehand, kHz. */
  readonly tscKhz?: number | undefined;
  readonly makeWorld?: MakeWorld | undefined;
}

export class Assimilator {
  readonly #around: Around;
  readonly #pages: Pages;
  readonly #requests: Requests;
  readonly #writes: TscWrites;
  readonly #calls: Calls;
  /** Threads with offset writes that nothing has explained yet. */
  readonly #pending = new Set<Thread>();

  constructor(clock: HostClock, options: AssimilateOptions, report: (finding: Finding) => void) {
    const { chosen, tscKhz, makeWorld } = options;
    const driver = new Driver(clock, chosen.profile.switches, firstHost(tscKhz), makeWorld);
    const host = new HostModel(driver);
    const books = new Books(clock, chosen, report);
    const base = new BaseWatch(host.line, books, chosen, driver);
    const sees = {
      ...{ calls: false, entries: false, msrs: false },
      ...{ offsets: false, tracks: false, pages: false, updates: false },
    };
    this.#around = { driver, host, books, base, chosen, clock, sees };
    this.#pages = new Pages(this.#around);
    this.#requests = new Requests(this.#around, this.#pages);
    this.#writes = new TscWrites(this.#around);
    this.#calls = new Calls(this.#around, this.#requests, this.#writes);
  }

  get counts(): Counts {
    return this.#around.books;
  }

  get choice(): ProfileChoice {
    return this.#around.chosen;
  }

  get profileText(): string {
    return profileText(this.#around.chosen);
  }

  /** What the host turned out to be like. */
  get tscKhz(): number {
    return this.#around.host.state.tscKhz;
  }

  /** What the model knows of a vCPU; `undefined` where it can't be told from another. */
  #known(carried: Vcpu, when: When): KnownVcpu | undefined {
    // A thread may still carry what turned out to be another's.
    const vcpu = carried.vm.vcpus.get(carried.id) ?? carried;
    if (vcpu.ambiguous) return undefined;
    const { model } = vcpu;
    if (model !== undefined && model.of.vm === vcpu.vm) return model;
    const vm = this.#knownVm(vcpu.vm, when);
    const { driver } = this.#around;
    const known = driver.createVcpu(vcpu, vm, when, false)?.known;
    vm.born = false;
    vm.counts = false;
    if (known !== undefined) {
      known.state.requests = 0;
      driver.correct('a vCPU whose creation was not recorded');
    }
    return known;
  }

  #knownVm(vm: Vm, when: When): KnownVm {
    const { model } = vm;
    if (model !== undefined) return model;
    return this.#around.driver.createVm(vm, when, false).known;
  }

  /** A vCPU enters the guest. */
  entered(thread: Thread, vcpu: Vcpu, when: When): void {
    this.#around.sees.entries = true;
    const known = this.#known(vcpu, when);
    if (known === undefined) return;
    this.#settle(thread);
    this.#settleOthers(thread, vcpu.vm);
    this.#requests.enter(known, when);
  }

  page(thread: Thread, vcpu: Vcpu, page: Page, when: When): void {
    this.#around.sees.pages = true;
    this.#settle(thread);
    this.#settleOthers(thread, vcpu.vm);
    const known = this.#known(vcpu, when);
    if (known === undefined) this.#around.books.unknown += 1;
    else this.#requests.page(known, page, when);
  }

  offset(thread: Thread, write: SeenWrite): void {
    this.#around.sees.offsets = true;
    this.#settleOthers(thread, write.vcpu.vm);
    if (write.vcpu.model !== undefined) write.vcpu.model.quiet = false;
    thread.unexplained.push(write);
    this.#pending.add(thread);
  }

  /** A synchronisation was tracked: that of the thread's last offset write. */
  track(thread: Thread, seen: SeenTrack): void {
    this.#around.sees.tracks = true;
    const write = thread.unexplained.at(-1);
    if (write?.vcpu.id !== seen.vcpuId) this.#around.books.unknown += 1;
    else write.track = seen;
    if (write !== undefined) this.#around.host.seeClocksource(seen.hostClock, write.when);
  }

  /** The masterclock of a VM was recomputed; `undefined` where nothing tells of which. */
  update(thread: Thread, vm: Vm | undefined, seen: SeenUpdate, when: When): void {
    this.#around.sees.updates = true;
    const { call } = thread;
    if (call !== undefined) call.recomputed = true;
    if (call?.ioctl?.name === 'KVM_CREATE_VM') {
      this.#calls.beforeVm(thread, seen);
      return;
    }
    this.#settle(thread);
    this.#settleOthers(thread, vm);
    const { vms } = this.#around.driver;
    if (vm !== undefined) doubtOthers(vms, vm, call?.vm === vm);
    const server = call?.vcpu ?? thread.vcpu;
    if (call?.ioctl?.name === 'KVM_SET_CLOCK' && vm !== undefined) {
      this.#calls.setClock(this.#knownVm(vm, when), seen, when);
    } else if (server !== undefined && server.vm === vm && !server.ambiguous) {
      const known = this.#known(server, when);
      if (known !== undefined) this.#requests.update(known, seen, when);
    } else {
      if (vm === undefined) doubtAll(vms);
      else vm.model?.loseTrack();
      this.#around.books.unknown += 1;
    }
  }

  /** The guest wrote an MSR. */
  msr(thread: Thread, vcpu: Vcpu, index: number, data: bigint, when: When): void {
    this.#around.sees.msrs = true;
    if (!CLOCK_MSRS.has(index)) return;
    const known = this.#known(vcpu, when);
    if (known === undefined) return;
    this.#settleOthers(thread, vcpu.vm);
    const { unexplained } = thread;
    const isItsOwn = TSC_MSRS.has(index) && unexplained.at(-1)?.vcpu === vcpu;
    const write = isItsOwn ? unexplained.pop() : undefined;
    this.#settle(thread);
    const elsewhere = (data & ~ENABLE) !== known.state.pageGpa || !known.of.born;
    if (SYSTEM_TIME.has(index) && elsewhere) known.page = false;
    this.#writes.byGuest(known, index, data, write, when);
  }

  /** An ioctl of KVM's returned, in `row`. */
  called(thread: Thread, call: Call, ret: number, batch: EventBatch, row: number): void {
    this.#around.sees.calls = true;
    const { ioctl, vcpu } = call;
    // Some VMMs ask for the time all the while: that changes nothing.
    if (ioctl === undefined || (ioctl.name === 'KVM_GET_CLOCK' && this.#pending.size === 0)) return;
    const when = whenOf(batch, row);
    switch (ioctl.name) {
      case 'KVM_CREATE_VM': {
        const vm = ret >= 0 ? thread.fds?.get(ret) : undefined;
        if (vm instanceof Vm) this.#calls.createdVm(thread, vm, when);
        break;
      }
      case 'KVM_CREATE_VCPU': {
        const written = this.#take(thread);
        const own = written.findLast((write) => write.vcpu === vcpu);
        // Loads write offsets too, where the TSC is not trusted.
        for (const each of written) {
          if (each !== own) this.#around.books.inferred += tracepointsOf(each);
        }
        if (ret >= 0 && vcpu !== undefined) this.#calls.createdVcpu(vcpu, own, when);
        break;
      }
      case 'KVM_SET_MSRS':
      case 'KVM_SET_DEVICE_ATTR': {
        const known = vcpu === undefined ? undefined : this.#known(vcpu, when);
        const written = thread.unexplained.filter((write) => write.vcpu === vcpu);
        thread.unexplained = thread.unexplained.filter((write) => !written.includes(write));
        if (known !== undefined) this.#calls.wroteTsc(known, ioctl.name, written, when);
        break;
      }
      default:
        if (ret >= 0) this.#calledOther(call, when);
    }
    this.#settle(thread);
  }

  #calledOther(call: Call, when: When): void {
    const { vcpu, vm } = call;
    if (vcpu !== undefined) {
      const known = this.#known(vcpu, when);
      if (known !== undefined) this.#calls.ofVcpu(known, call, when);
    } else if (vm?.model !== undefined) {
      this.#calls.ofVm(vm.model, call, when);
    }
  }

  /** A thread's offset writes that nothing has explained, of which no more will be heard. */
  #take(thread: Thread): readonly SeenWrite[] {
    if (this.#pending.size === 0 || !this.#pending.delete(thread)) return NONE;
    const { unexplained } = thread;
    thread.unexplained = [];
    return unexplained;
  }

  /** Offset writes that nothing recorded explains. */
  #settle(thread: Thread): void {
    for (const write of this.#take(thread)) {
      const known = this.#known(write.vcpu, write.when);
      if (known === undefined) this.#around.books.unknown += tracepointsOf(write);
      else this.#writes.byLoad(known, write);
    }
  }

  /**
   * Other threads have done what they wrote of a VM (`undefined`: of any), unless they are in a call: its
   * end, or an MSR access in it, tells what that was.
   */
  #settleOthers(thread: Thread, vm: Vm | undefined): void {
    for (const other of this.#pending) {
      if (other === thread || other.call !== undefined) continue;
      const isOf = vm === undefined || other.unexplained.some((write) => write.vcpu.vm === vm);
      if (isOf) this.#settle(other);
    }
  }

  /** The host sleeps or wakes. */
  slept(): void {
    this.#around.host.sleep();
  }

  /** Events are missing: what was known holds no longer. */
  loseTrack(): void {
    this.#leavePending();
    this.#around.host.line.confirmed = false;
    for (const { vm } of this.#around.driver.vms) forget(vm);
  }

  /** A VM is gone. */
  ended(vm: Vm): void {
    this.#around.driver.drop(vm);
  }

  /** Of these writes no more will be heard. */
  #leavePending(): void {
    for (const thread of this.#pending) {
      for (const write of this.#take(thread)) this.#around.books.unknown += tracepointsOf(write);
    }
  }

  finish(): void {
    this.#leavePending();
    this.#around.base.finish();
  }
}

function forget(vm: Vm): void {
  vm.model?.loseTrack();
  for (const { model } of vm.vcpus.values()) model?.loseTrack();
}
