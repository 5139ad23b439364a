/**
 * Follows a recording event by event: keeps each vCPU's page and TSC offset, what happened to it,
 * and asks the judge at every entry into the guest.
 */
import {
  EVENT_CODES,
  type EventBatch,
  type EventName,
  IOCTLS,
  type Ioctl,
  MSRS,
  NARROW_COLUMNS,
  WIDE_COLUMNS,
} from '../events/index.ts';
import type { Assimilator } from './assimilate/assimilator.ts';
import { trackOf, updateOf, whenOf } from './assimilate/rows.ts';
import {
  addCause,
  type CauseKind,
  causeOfUpdate,
  MSR_CAUSES,
  type Recompute,
  TSC_CAUSES,
} from './causes.ts';
import { Entryless } from './entryless.ts';
import type { HostClock } from './host-clock.ts';
import type { Identity } from './identity/identity.ts';
import type { Thread } from './identity/thread.ts';
import type { Vcpu, Vm } from './identity/vm.ts';
import type { Judge } from './judge.ts';
import { ENTRY, EXIT, GAP, IOCTL, MSR, OFFSET, PAGE, SUSPEND } from './slots.ts';

type Handler = (batch: EventBatch, row: number, thread: Thread) => void;

/** Steps of suspend during which the host's TSC or its clocks stand still. */
const SLEEP_STEPS = new Set(['machine_suspend', 'timekeeping_freeze']);
const MSR_ENABLE = 1n;
const MOST_SHIFT = 63;

const KVM_RUN: Ioctl | undefined = IOCTLS.find(({ name }) => name === 'KVM_RUN');

const ENTRY_CODE = EVENT_CODES.kvm_entry;
const EXIT_CODE = EVENT_CODES.kvm_exit;

export class Tracker {
  /** Pages that were written so far. */
  pages = 0;
  /** Masterclock updates and writes of TSC offsets so far, which pages follow. */
  moves = 0;
  readonly #identity: Identity;
  readonly #judge: Judge;
  readonly #clock: HostClock;
  readonly #handlers: (Handler | undefined)[] = [];
  readonly #entryless: Entryless;
  readonly #model: Assimilator | undefined;

  /** `model`: runs beside the recording, if given. */
  constructor(identity: Identity, judge: Judge, clock: HostClock, model?: Assimilator) {
    this.#identity = identity;
    this.#model = model;
    this.#judge = judge;
    this.#clock = clock;
    this.#entryless = new Entryless(judge, clock);
    const on = (name: EventName, handler: Handler): void => {
      this.#handlers[EVENT_CODES[name]] = handler;
    };
    on('kvm_pvclock_update', (b, row, thread) => this.#page(b, row, thread));
    on('kvm_write_tsc_offset', (b, row, thread) => this.#offset(b, row, thread));
    on('kvm_update_master_clock', (b, row, thread) => this.#recompute(b, row, thread));
    on('kvm_track_tsc', (b, row, thread) => {
      const track = trackOf(b, row);
      if (this.#entryless.active) this.#entryless.tracked(thread, track);
      model?.track(thread, track);
    });
    on('kvm_msr', (b, row, thread) => this.#msr(b, row, thread));
    on('sys_enter_ioctl', (b, row, thread) => this.#ioctl(b, row, thread));
    on('sys_exit_ioctl', (b, row, thread) => this.#ioctlExit(b, row, thread));
    on('suspend_resume', (b, row) => {
      const begins = b.narrows[row * NARROW_COLUMNS + SUSPEND.start] === 1;
      if (begins && SLEEP_STEPS.has(b.texts[row]!)) this.#judge.lastSuspend = b.timestamps[row]!;
      model?.slept();
    });
    on('gap', (b, row) => this.#gap(b, row));
  }

  /** Takes in the event in `row`. */
  take(batch: EventBatch, row: number): void {
    const code = batch.codes[row]!;
    const tid = batch.tids[row]!;
    const tgid = batch.tgids[row]!;
    const thread = this.#identity.knownThread(tid, tgid) ?? this.#newThread(batch, row, tid, tgid);
    if (this.#entryless.active) this.#entryless.beforeEvent(thread, code);
    // Nine events of ten are one of these two.
    if (code === ENTRY_CODE) this.#entry(batch, row, thread);
    else if (code === EXIT_CODE) {
      this.#exit(batch, row, thread);
    } else this.#handlers[code]?.(batch, row, thread);
  }

  #newThread(batch: EventBatch, row: number, tid: number, tgid: number): Thread {
    const comm = batch.comms[batch.commIds[row]!] ?? '';
    return this.#identity.newThread(tid, tgid, comm, batch.timestamps[row]!);
  }

  /** A VM is gone. */
  ended(vm: Vm): void {
    if (this.#entryless.active) this.#entryless.ended(vm);
  }

  /** The recording ends at `ticks`: judges what a recording without entries left open. */
  finish(ticks: bigint): void {
    this.#model?.finish();
    this.#identity.settle();
    this.#entryless.finish(this.#identity, ticks);
  }

  #entry(batch: EventBatch, row: number, thread: Thread): void {
    if (this.#entryless.active) this.#entryless.end();
    const narrow = row * NARROW_COLUMNS;
    const vcpu = this.#identity.vcpu(thread, batch.narrows[narrow + ENTRY.vcpu]! >>> 0);
    this.#identity.ran(thread, vcpu);
    vcpu.running = true;
    const { model } = vcpu;
    if (model === undefined || !model.quiet || model.cpu !== batch.cpus[row]) {
      this.#model?.entered(thread, vcpu, whenOf(batch, row));
    }
    // Such an entry runs no guest instruction: what is in force shows at the next one.
    if (batch.narrows[narrow + ENTRY.immediateExit] === 1) return;
    if (vcpu.enteredUnchanged(batch.timestamps, row)) return;
    this.#judge.enter(vcpu, batch.timestamps[row]!, 'entry');
  }

  #exit(batch: EventBatch, row: number, { vcpu }: Thread): void {
    if (vcpu === undefined) return;
    vcpu.exited();
    if (!this.#entryless.active) return;
    // Not all kernels say whose exit it is.
    const id = batch.narrows[row * NARROW_COLUMNS + EXIT.vcpu]! >>> 0;
    if (id === vcpu.id) this.#entryless.ran(vcpu, batch.timestamps[row]!);
  }

  #page(batch: EventBatch, row: number, thread: Thread): void {
    const narrow = row * NARROW_COLUMNS;
    const wide = row * WIDE_COLUMNS;
    const vcpu = this.#identity.vcpu(thread, batch.narrows[narrow + PAGE.vcpu]! >>> 0);
    // Only the thread that runs a vCPU writes its page, on its way into the guest.
    this.#identity.ran(thread, vcpu);
    const ticks = batch.timestamps[row]!;
    const page = {
      version: batch.narrows[narrow + PAGE.version]! >>> 0,
      tscTimestamp: batch.wides[wide + PAGE.tscTimestamp]!,
      systemTime: batch.wides[wide + PAGE.systemTime]!,
      tscToSystemMul: batch.narrows[narrow + PAGE.mul]! >>> 0,
      tscShift: batch.narrows[narrow + PAGE.shift]!,
      flags: batch.narrows[narrow + PAGE.flags]!,
    };
    this.pages++;
    vcpu.vm.pages++;
    if (this.#entryless.active) this.#entryless.beforePage(thread, vcpu, ticks);
    // No kernel writes such a shift; a recording can hold anything.
    if (Math.abs(page.tscShift) > MOST_SHIFT) {
      vcpu.clock.forgetPage();
      return;
    }
    if (!vcpu.clock.writePage(page) && !mayMovePage(vcpu)) this.#mixed(thread, vcpu, ticks);
    this.#identity.observe(vcpu, page);
    vcpu.pageEpoch = vcpu.vm.epoch;
    vcpu.vm.learnRecompute(thread.recompute);
    thread.recompute = undefined;
    this.#clock.observe(vcpu, page, ticks);
    if (this.#entryless.active) this.#entryless.wrotePage(vcpu, ticks);
    this.#model?.page(thread, vcpu, page, { ticks, cpu: batch.cpus[row]! });
  }

  #offset(batch: EventBatch, row: number, thread: Thread): void {
    this.moves++;
    const wide = row * WIDE_COLUMNS;
    const previous = batch.wides[wide + OFFSET.previous]!;
    const id = batch.narrows[row * NARROW_COLUMNS + OFFSET.vcpu]! >>> 0;
    const vcpu = this.#identity.vcpuOfOffset(thread, id, previous);
    const { clock } = vcpu;
    vcpu.vm.moves++;
    if (!clock.inDoubt && clock.tscOffset !== undefined && clock.tscOffset !== previous) {
      this.#mixed(thread, vcpu, batch.timestamps[row]!);
    }
    if (clock.writtenOffset === undefined && previous === 0n) {
      if (clock.page !== 'unknown') this.#mixed(thread, vcpu, batch.timestamps[row]!);
      else if (!clock.born) {
        clock.born = true;
        this.#note(vcpu, 'vCPU created', batch.timestamps[row]!);
      }
    }
    if (thread.call !== undefined) thread.call.wroteOffset = true;
    thread.vcpu = vcpu;
    if (this.#entryless.active) this.#entryless.beforeOffset(vcpu);
    clock.writeOffset(previous, batch.wides[wide + OFFSET.next]!);
    const next = batch.wides[wide + OFFSET.next]!;
    const when = whenOf(batch, row);
    if (this.#entryless.active) this.#entryless.wroteOffset(thread, vcpu, when.ticks);
    this.#model?.offset(thread, { vcpu, previous, next, when, track: undefined });
  }

  /** What `vcpu` shows does not continue what it showed: its thread carries several of its id. */
  #mixed(thread: Thread, vcpu: Vcpu, ticks: bigint): void {
    if (vcpu.vm.source === 'ioctls' || vcpu.ambiguous) return;
    this.#identity.conflict(vcpu);
    this.#judge.mixed(thread.tid, vcpu, ticks);
  }

  #recompute(batch: EventBatch, row: number, thread: Thread): void {
    this.moves++;
    const vm = this.#identity.vm(thread);
    if (this.#entryless.active) this.#settle(vm);
    const timestamp = batch.timestamps[row]!;
    const { use, hostClock, matched } = updateOf(batch, row);
    this.#model?.update(thread, vm, { use, hostClock, matched }, whenOf(batch, row));
    if (thread.call?.ioctl?.name === 'KVM_CREATE_VM') return;
    const recompute: Recompute = {
      timestamp,
      useMasterClock: use,
      hostClock,
      offsetMatched: matched,
      cause: causeOfUpdate(thread, vm),
    };
    if (vm === undefined) {
      for (const any of this.#identity.vms) any.forgetEpoch();
      thread.recompute = recompute;
    } else {
      vm.moves++;
      vm.beginEpoch(recompute);
    }
  }

  #msr(batch: EventBatch, row: number, thread: Thread): void {
    const narrow = row * NARROW_COLUMNS;
    const vcpu = thread.call?.vcpu ?? thread.vcpu;
    if (batch.narrows[narrow + MSR.write] !== 1 || batch.narrows[narrow + MSR.exception] === 1) {
      return;
    }
    const ecx = batch.narrows[narrow + MSR.ecx]! >>> 0;
    const kind = MSR_CAUSES.get(ecx);
    if (vcpu === undefined) return;
    const data = batch.wides[row * WIDE_COLUMNS + MSR.data]!;
    this.#model?.msr(thread, vcpu, ecx, data, whenOf(batch, row));
    if (kind === undefined) return;
    this.#note(vcpu, kind, batch.timestamps[row]!);
    if (this.#entryless.active && TSC_CAUSES.has(kind)) {
      this.#entryless.wroteTsc(thread, vcpu, ecx);
    }
    const isSystemTime = ecx === MSRS.MSR_KVM_SYSTEM_TIME || ecx === MSRS.MSR_KVM_SYSTEM_TIME_NEW;
    if (isSystemTime && (data & MSR_ENABLE) === 0n) vcpu.clock.turnOff();
  }

  #ioctl(batch: EventBatch, row: number, thread: Thread): void {
    const narrow = row * NARROW_COLUMNS;
    const arg = batch.wideHalves[2 * (row * WIDE_COLUMNS + IOCTL.arg)]!;
    thread.lastCall.begin(batch.narrows[narrow + IOCTL.fd]! >>> 0, arg, batch.timestamps, row);
    this.#identity.enterIoctl(thread, batch.narrows[narrow + IOCTL.cmd]! >>> 0, arg);
    const { call } = thread;
    if (!this.#entryless.active) return;
    if (call?.ioctl?.movesClock === true) this.#settle(call.vm);
    if (call?.ioctl === KVM_RUN && thread.vcpu !== undefined) {
      this.#entryless.runs(thread.vcpu, batch.timestamps[row]!);
    }
  }

  /** Without entries: the clocks of a VM, or of one that is not known, are about to be moved. */
  #settle(vm: Vm | undefined): void {
    for (const each of vm === undefined ? this.#identity.vms : [vm]) this.#entryless.settle(each);
  }

  #ioctlExit(batch: EventBatch, row: number, thread: Thread): void {
    const { call } = thread;
    const ret = batch.wideHalves[2 * (row * WIDE_COLUMNS + IOCTL.ret)]! | 0;
    this.#identity.exitIoctl(thread, ret);
    if (call?.ioctl === KVM_RUN) {
      const { vcpu } = thread;
      const ran = this.#entryless.active && ret === 0;
      if (ran && vcpu !== undefined) this.#entryless.ran(vcpu, batch.timestamps[row]!);
    } else if (call?.ioctl !== undefined) {
      this.#model?.called(thread, call, ret, batch, row);
    }
    if (call?.ioctl?.movesClock !== true || ret < 0) return;
    const { name } = call.ioctl;
    if (name === 'KVM_CREATE_VCPU') {
      if (call.creates) this.#note(call.vcpu!, 'vCPU created', call.since);
    } else if (call.vcpu !== undefined) {
      // Which MSRs or attributes were set is not recorded; those that count write an offset.
      if (call.wroteOffset || name === 'KVM_SET_TSC_KHZ' || name === 'KVM_XEN_VCPU_SET_ATTR') {
        this.#note(call.vcpu, name, call.since);
      }
    } else if (call.vm !== undefined) {
      const cause = { kind: name, timestamp: call.since };
      if (name === 'KVM_SET_CLOCK') call.vm.lastSetClock = cause;
      else if (name === 'KVM_XEN_HVM_SET_ATTR') call.vm.lastCall = cause;
    }
  }

  #note(vcpu: Vcpu, kind: CauseKind, timestamp: bigint): void {
    // What was written before has another cause than this.
    if (this.#entryless.active) this.#entryless.inForce(vcpu);
    addCause(vcpu, kind, timestamp);
  }

  #gap(batch: EventBatch, row: number): void {
    this.#identity.loseTrack();
    this.#model?.loseTrack();
    for (const vm of this.#identity.vms) {
      vm.forgetEpoch();
      for (const vcpu of vm.vcpus.values()) {
        vcpu.clock.loseTrack();
        vcpu.running = false;
      }
    }
    this.#judge.gap(
      batch.timestamps[row]!,
      batch.wides[row * WIDE_COLUMNS + GAP.lost]!,
      batch.texts[row]!,
    );
  }
}

/**
 * Something happened to `vcpu` that can put its page elsewhere, where versions begin anew. Only the
 * guest's own writes of the MSR are recorded; the VMM's are inside KVM_SET_MSRS.
 */
const mayMovePage = (vcpu: Vcpu): boolean =>
  vcpu.causes.some(({ kind }) => kind.startsWith('guest wrote MSR_KVM_SYSTEM_TIME'));
