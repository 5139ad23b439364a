/**
 * Whose clock is it? An event names a vCPU id, not a VM; a masterclock event names neither.
 *
 * In this order: the descriptors of ioctls (`fd-table.ts`), trace.dat's GUEST option or the
 * process, clusters of threads (`thread-groups.ts`).
 */
import type { Page } from '../guest-clock.ts';
import { FdChain } from './fd-table.ts';
import { Thread } from './thread.ts';
import { ThreadGroups } from './thread-groups.ts';
import type { Vcpu, Vm, VmSummary } from './vm.ts';

/** A recording may see any number of VMs come and go; so many of those gone are listed. */
const MOST_ENDED_LISTED = 1000;

export class Identity {
  /** VMs that came and went in the recording, in the order in which they went. */
  readonly ended: VmSummary[] = [];
  endedCount = 0;
  readonly #threads = new Map<number, Thread>();
  #vms: Vm[] = [];
  readonly #chain: FdChain;
  readonly #groups: ThreadGroups;
  #lastThread: Thread | undefined;

  /**
   * `guests`: names of guests by thread, where the recording tells them. `ended` is told of each VM
   * that is gone, so that nothing is kept of it.
   */
  constructor(guests: ReadonlyMap<number, string>, ended: (vm: Vm) => void) {
    const created = (vm: Vm): void => void this.#vms.push(vm);
    this.#chain = new FdChain(created, (vm) => {
      this.#vms = this.#vms.filter((v) => v !== vm);
      if (this.endedCount++ < MOST_ENDED_LISTED) this.ended.push(vm.summary);
      ended(vm);
    });
    this.#groups = new ThreadGroups(guests, created);
  }

  /** VMs that may still be there, in the order in which they appeared, each once. */
  get vms(): readonly Vm[] {
    return this.#vms.filter((vm) => vm.resolved === vm);
  }

  thread(tid: number, tgid: number, comm: string): Thread {
    const last = this.#lastThread;
    if (last !== undefined && last.tid === tid) return last;
    let thread = this.#threads.get(tid);
    if (thread === undefined) {
      thread = new Thread(tid, tgid, comm);
      this.#threads.set(tid, thread);
    }
    if (tgid !== 0) thread.tgid = tgid;
    this.#lastThread = thread;
    return thread;
  }

  enterIoctl(thread: Thread, fd: number, cmd: number, arg: number): void {
    this.#chain.enter(thread, fd, cmd, arg);
  }

  exitIoctl(thread: Thread, ret: number): void {
    this.#chain.exit(thread, ret);
  }

  /** The vCPU that an event of `thread` means by `id`. */
  vcpu(thread: Thread, id: number): Vcpu {
    const call = thread.call;
    if (call?.vcpu?.id === id) return call.vcpu;
    const vm = call?.vm;
    if (vm !== undefined) return vm.vcpu(id);
    // The call's entry may be lost; a thread that ran one vCPU all along still runs that one.
    const { ran } = thread;
    if (ran !== undefined && ran !== 'several' && ran.id === id) return ran;
    return this.#groups.vcpu(thread, id);
  }

  /** The VM that an event of `thread` which names none is about; `undefined` if none is known. */
  vm(thread: Thread): Vm | undefined {
    if (thread.call?.ioctl?.name === 'KVM_CREATE_VM') return undefined;
    const known = thread.call?.vm ?? thread.vcpu?.vm;
    if (known !== undefined) return known;
    return this.#vms.length === 1 ? this.#vms[0] : undefined;
  }

  /** `vcpu` got this page. */
  observe(vcpu: Vcpu, page: Page): void {
    if (vcpu.vm.source !== 'ioctls') this.#groups.observe(vcpu, page);
  }

  /** Its thread carries several vCPUs of this id: they can't be told apart from here on. */
  conflict(vcpu: Vcpu): void {
    vcpu.ambiguous = true;
    vcpu.vm.ambiguous = true;
  }

  /** Events were lost: what threads were doing is no longer known. */
  loseTrack(): void {
    for (const thread of this.#threads.values()) {
      thread.call = undefined;
      if (thread.ran === 'several') thread.vcpu = undefined;
    }
  }

  /** Settles what no evidence has told. Call at the end. */
  settle(): void {
    this.#groups.settle();
  }
}
