/**
 * Whose clock is it? An event names a vCPU id, not a VM; a masterclock event names neither.
 *
 * In this order: the descriptors of ioctls (`fd-table.ts`), trace.dat's GUEST option or the
 * process, clusters of threads (`thread-groups.ts`).
 */
import { FormatError } from '../formats/error.ts';
import type { Page } from '../guest-clock.ts';
import { FdChain } from './fd-table.ts';
import { Thread } from './thread.ts';
import { type SeenBy, ThreadGroups } from './thread-groups.ts';
import type { Vcpu, Vm, VmSummary } from './vm.ts';

/** A recording may see any number of VMs come and go; so many of those gone are listed. */
const MOST_ENDED_LISTED = 1000;
/** Far above any host's; a damaged recording could name as many as it has events. */
const MOST_THREADS = 200_000;
/** So many threads are found at once, most of them: few record at a time. */
const RECENT_THREADS = 256;

export class Identity {
  /** VMs that came and went in the recording, in the order in which they went. */
  readonly ended: VmSummary[] = [];
  endedCount = 0;
  readonly #input: string;
  readonly #threads = new Map<number, Thread>();
  readonly #vms = new Set<Vm>();
  readonly #chain: FdChain;
  readonly #groups: ThreadGroups;
  /** Threads by the low bits of their ids: those of the last events. */
  readonly #recent = new Array<Thread | undefined>(RECENT_THREADS).fill(undefined);
  #created = 0;

  /**
   * `input`: what messages call the recording. `guests`: names of guests by thread, where the
   * recording tells them. `ended` is told of each VM that is gone, so that nothing is kept of it.
   */
  constructor(input: string, guests: ReadonlyMap<number, string>, ended: (vm: Vm) => void) {
    this.#input = input;
    const created = (vm: Vm): void => {
      vm.order = this.#created++;
      this.#vms.add(vm);
    };
    this.#chain = new FdChain(created, (vm) => {
      this.#vms.delete(vm);
      if (this.endedCount++ < MOST_ENDED_LISTED) this.ended.push(vm.summary);
      ended(vm);
    });
    this.#groups = new ThreadGroups(guests, created, (vm) => {
      this.#vms.delete(vm);
      ended(vm);
    });
  }

  /** VMs that may still be there, in the order in which they appeared, each once. */
  get vms(): ReadonlySet<Vm> {
    return this.#vms;
  }

  /** The thread of an event, if one of its events came before. */
  knownThread(tid: number, tgid: number): Thread | undefined {
    const recent = this.#recent[tid & (RECENT_THREADS - 1)];
    if (recent !== undefined && recent.tid === tid && (tgid === 0 || recent.tgid === tgid)) {
      return recent;
    }
    const thread = this.#threads.get(tid);
    if (thread === undefined) return undefined;
    if (tgid !== 0) {
      // A thread id that is of another process now is another thread.
      if (thread.tgid !== 0 && thread.tgid !== tgid) return undefined;
      thread.tgid = tgid;
    }
    this.#recent[tid & (RECENT_THREADS - 1)] = thread;
    return thread;
  }

  /** A thread whose first event is at `ticks`. */
  newThread(tid: number, tgid: number, comm: string, ticks: bigint): Thread {
    if (this.#threads.size >= MOST_THREADS) {
      const found = `another one at ${ticks}`;
      throw new FormatError(this.#input, undefined, `at most ${MOST_THREADS} threads`, found);
    }
    const thread = new Thread(tid, tgid, comm, ticks);
    this.#threads.set(tid, thread);
    this.#recent[tid & (RECENT_THREADS - 1)] = thread;
    return thread;
  }

  /** The thread's last call has begun. */
  enterIoctl(thread: Thread, cmd: number, arg: number): void {
    this.#chain.enter(thread, cmd, arg);
    const { call } = thread;
    // Whatever this call does is not about the vCPU of the last one.
    if (call?.ioctl?.scope === 'vcpu') {
      thread.vcpu = call.vcpu ?? thread.carriedByFd.get(call.fd) ?? onlyCarried(thread);
    }
  }

  exitIoctl(thread: Thread, ret: number): void {
    this.#chain.exit(thread, ret);
  }

  /**
   * The vCPU that an event of `thread` means by `id`. `by`: what the event is, as far as it matters to
   * which thread runs it.
   */
  vcpu(thread: Thread, id: number, by: SeenBy = 'run'): Vcpu {
    const call = thread.call;
    if (call?.vcpu?.id === id) return call.vcpu;
    const vm = call?.vm;
    if (vm !== undefined) return vm.vcpu(id);
    if (call?.ioctl?.scope === 'vcpu') return this.#byFd(thread, call.fd, id, by);
    // The call's entry may be lost; a thread that ran one vCPU all along still runs that one.
    const { ran } = thread;
    if (ran !== undefined && ran !== 'several' && ran.id === id) return ran;
    return this.#groups.vcpu(thread, id, by);
  }

  /** The vCPU whose offset `thread` writes: `previous` until now, 0 where it is created. */
  vcpuOfOffset(thread: Thread, id: number, previous: bigint): Vcpu {
    if (previous === 0n) return this.vcpu(thread, id, 'creation');
    // A VMM's main thread may set the MSRs of vCPUs that other threads run.
    const known =
      thread.call === undefined ? this.#groups.withOffset(thread, id, previous) : undefined;
    return known ?? this.vcpu(thread, id, 'offset');
  }

  /** A vCPU whose creation was not recorded, by the descriptor that the thread calls on. */
  #byFd(thread: Thread, fd: number, id: number, by: SeenBy): Vcpu {
    const known = thread.carriedByFd.get(fd);
    if (known?.id === id) return known;
    const carried = thread.carried.get(id);
    const apart = carried !== undefined && [...thread.carriedByFd.values()].includes(carried);
    const vcpu = this.#groups.vcpu(thread, id, by, apart);
    thread.carriedByFd.set(fd, vcpu);
    return vcpu;
  }

  /** The VM that an event of `thread` which names none is about; `undefined` if none is known. */
  vm(thread: Thread): Vm | undefined {
    if (thread.call?.ioctl?.name === 'KVM_CREATE_VM') return undefined;
    const { call, tgid } = thread;
    const known = call?.vm ?? thread.vcpu?.vm;
    if (known !== undefined) return known;
    // A vCPU that was not seen yet may be of a VM that was not either.
    if (this.#vms.size !== 1 || call?.ioctl?.scope === 'vcpu') return undefined;
    const [only] = this.#vms;
    const tellsProcess = only?.source === 'process' || only?.source === 'ioctls';
    return tellsProcess && tgid !== 0 && only.pid !== tgid ? undefined : only;
  }

  /** `thread` runs `vcpu`. */
  ran(thread: Thread, vcpu: Vcpu): void {
    if (vcpu.tid === 0 && vcpu.vm.source !== 'ioctls') this.#groups.ran(vcpu);
    vcpu.tid = thread.tid;
    if (thread.vcpu === vcpu) return;
    if (thread.vcpu !== undefined) thread.vcpu.running = false;
    thread.vcpu = vcpu;
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
    this.#chain.loseTrack();
    for (const thread of this.#threads.values()) {
      thread.call = undefined;
      thread.recompute = undefined;
      if (thread.ran === 'several') thread.vcpu = undefined;
    }
  }

  /** Settles what no evidence has told. Call at the end. */
  settle(): void {
    this.#groups.settle();
  }
}

/** The vCPU of a thread that is not known to call on any, where it was seen to carry just one. */
function onlyCarried({ carried, carriedByFd }: Thread): Vcpu | undefined {
  if (carried.size !== 1 || carriedByFd.size > 0) return undefined;
  const [only] = carried.values();
  return only;
}
