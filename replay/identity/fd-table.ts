/**
 * The first and best way to tell whose clock it is: file descriptors.
 *
 * KVM_CREATE_VM returns a VM's descriptor, KVM_CREATE_VCPU on it returns a vCPU's, and KVM_RUN is
 * called on that one, so everything a thread records between an ioctl's entry and its exit belongs
 * to a known VM. A trace has no close(2), but a reused number shows itself: it is returned again.
 *
 * Descriptors belong to a process, and VMMs of one kind all use the same numbers. Where the recording
 * does not say which process a thread is of (trace.dat never does), a thread joins a process only if
 * nothing speaks against it: threads are started after their process, one thread runs a vCPU, and a
 * vCPU is created once.
 */
import { IOCTLS, type Ioctl } from '../../events/index.ts';
import type { Thread } from './thread.ts';
import { type Vcpu, Vm } from './vm.ts';

/** What the KVM descriptors of one process stand for. */
export class FdTable extends Map<number, Vm | Vcpu> {
  /** The thread that created the process's first VM, and when. */
  readonly creator: Thread;
  readonly since: bigint;

  constructor(creator: Thread, since: bigint) {
    super();
    this.creator = creator;
    this.since = since;
  }
}

/** By the lowest byte of the request number, which is the ioctl's own within KVM. */
const BY_NUMBER: readonly (readonly Ioctl[])[] = Array.from({ length: 256 }, (_, number) =>
  IOCTLS.filter(({ cmd }) => (cmd & 0xff) === number),
);

function ioctlOf(cmd: number): Ioctl | undefined {
  for (const ioctl of BY_NUMBER[cmd & 0xff]!) if (ioctl.cmd === cmd) return ioctl;
  return undefined;
}

const KVM_TYPE = 0xae;

/** The ioctl belongs to KVM: its type byte says so. */
const isKvm = (cmd: number): boolean => ((cmd >>> 8) & 0xff) === KVM_TYPE;

export class FdChain {
  /** By process id where it is recorded, otherwise by the thread that created the first VM. */
  readonly #tables = new Map<number, FdTable>();
  /** How often a VM's name was given: a later VM may get the same thread and descriptor. */
  readonly #names = new Map<string, number>();
  readonly #created: (vm: Vm) => void;
  readonly #ended: (vm: Vm) => void;

  /** `created` is told of each VM as it is created, `ended` when its descriptor is another's. */
  constructor(created: (vm: Vm) => void, ended: (vm: Vm) => void) {
    this.#created = created;
    this.#ended = ended;
  }

  /** The thread's last call has begun. `arg`: the low half of the argument, u32. */
  enter(thread: Thread, cmd: number, arg: number): void {
    thread.call = undefined;
    if (!isKvm(cmd)) return;
    const call = thread.lastCall;
    thread.call = call;
    const ioctl = ioctlOf(cmd);
    call.ioctl = ioctl;
    thread.fds ??= this.#findTable(thread, call.fd, ioctl, arg);
    const target = thread.fds?.get(call.fd);
    if (!(target instanceof Vm)) {
      call.vm = target?.vm;
      call.vcpu = target;
      if (ioctl?.name === 'KVM_RUN' && target !== undefined) runs(thread, target);
      return;
    }
    call.vm = target;
    if (ioctl?.name === 'KVM_CREATE_VCPU') {
      call.creates = !target.vcpus.has(arg);
      call.vcpu = target.vcpu(arg);
      if (call.creates) call.vcpu.clock.born = true;
    }
  }

  /** The ioctl in progress returned `ret`, its low half: a descriptor, a value, or minus errno. */
  exit(thread: Thread, ret: number): void {
    const call = thread.call;
    thread.call = undefined;
    if (call?.ioctl === undefined) return;
    if (call.vcpu?.caller === thread) call.vcpu.caller = undefined;
    if (call.ioctl.name === 'KVM_CREATE_VM' && ret >= 0) this.#createVm(thread, ret, call.since);
    if (call.ioctl.name === 'KVM_CREATE_VCPU' && call.vcpu !== undefined) {
      if (ret >= 0) thread.fds?.set(ret, call.vcpu);
      else if (call.creates) call.vm?.vcpus.delete(call.vcpu.id);
    }
  }

  /** Events were lost: where a VM's number is another's, so may those of its vCPUs be by now. */
  loseTrack(): void {
    for (const table of this.#tables.values()) {
      const held = new Set<Vm | Vcpu>(table.values());
      for (const [fd, target] of table) {
        if (!(target instanceof Vm) && !held.has(target.vm)) table.delete(fd);
      }
    }
  }

  #createVm(thread: Thread, fd: number, since: bigint): void {
    // debugfs names a VM after the creating thread and the descriptor.
    const name = `${thread.tid}-${fd}`;
    const uses = (this.#names.get(name) ?? 0) + 1;
    this.#names.set(name, uses);
    const id = uses === 1 ? name : `${name}.${uses}`;
    const process = thread.tgid || thread.tid;
    const vm = new Vm(id, 'ioctls', thread.comm, process);
    if (thread.fds === undefined) {
      thread.fds = this.#tables.get(process) ?? new FdTable(thread, since);
      this.#tables.set(process, thread.fds);
    }
    const before = thread.fds.get(fd);
    if (before instanceof Vm) this.#ended(before);
    thread.fds.set(fd, vm);
    this.#created(vm);
  }

  #findTable(
    thread: Thread,
    fd: number,
    ioctl: Ioctl | undefined,
    arg: number,
  ): FdTable | undefined {
    if (thread.tgid !== 0) return this.#tables.get(thread.tgid);
    if (ioctl === undefined || ioctl.scope === 'system') return undefined;
    const fitting = [...this.#tables.values()].filter(
      (table) =>
        table.creator.tid < thread.tid &&
        table.since < thread.since &&
        fits(table.get(fd), ioctl, thread, arg),
    );
    if (ioctl.name !== 'KVM_CREATE_VCPU') return fitting.length === 1 ? fitting[0] : undefined;
    // Of several VMs that lack this vCPU, the one whose process was started last before the thread.
    return fitting.reduce<FdTable | undefined>(
      (best, table) => (best === undefined || table.creator.tid > best.creator.tid ? table : best),
      undefined,
    );
  }
}

function runs(thread: Thread, vcpu: Vcpu): void {
  vcpu.tid = thread.tid;
  vcpu.caller = thread;
  thread.vcpu = vcpu;
  if (thread.ran === vcpu) return;
  thread.ran = thread.ran === undefined ? vcpu : 'several';
}

/** Could `target` be what this ioctl of `thread` is called on? */
function fits(target: Vm | Vcpu | undefined, ioctl: Ioctl, thread: Thread, arg: number): boolean {
  if (target === undefined) return false;
  if (target instanceof Vm) {
    if (ioctl.name === 'KVM_CREATE_VCPU') return !target.vcpus.has(arg);
    return ioctl.scope !== 'vcpu';
  }
  // While a thread runs a vCPU nobody else can call on it.
  return ioctl.scope !== 'vm' && (target.caller === undefined || target.caller === thread);
}
