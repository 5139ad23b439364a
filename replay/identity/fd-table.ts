/**
 * The first and best way to tell whose clock it is: file descriptors.
 *
 * KVM_CREATE_VM returns a VM's descriptor, KVM_CREATE_VCPU on it returns a vCPU's, and KVM_RUN is
 * called on that one, so everything a thread records between an ioctl's entry and its exit belongs
 * to a known VM. A trace has no close(2), but a reused number shows itself: it is returned again.
 *
 * Descriptors belong to a process. Text without a tgid column does not say which process a thread
 * is of; then a thread joins the only process whose table explains its ioctl.
 */
import { IOCTLS, type Ioctl } from '../../events/index.ts';
import type { Thread } from './thread.ts';
import { type Vcpu, Vm } from './vm.ts';

/** What the KVM descriptors of one process stand for. */
export type FdTable = Map<number, Vm | Vcpu>;

const BY_CMD: ReadonlyMap<number, Ioctl> = new Map(IOCTLS.map((i) => [i.cmd, i]));
const KVM_TYPE = 0xae;

/** The ioctl belongs to KVM: its type byte says so. */
const isKvm = (cmd: number): boolean => ((cmd >>> 8) & 0xff) === KVM_TYPE;

export class FdChain {
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

  /** `arg`: the low half of the argument, u32. */
  enter(thread: Thread, fd: number, cmd: number, arg: number): void {
    thread.call = undefined;
    if (!isKvm(cmd)) return;
    const ioctl = BY_CMD.get(cmd);
    thread.fds ??= this.#findTable(thread, fd, ioctl);
    const target = thread.fds?.get(fd);
    if (ioctl?.name === 'KVM_CREATE_VCPU' && target instanceof Vm) {
      const creates = !target.vcpus.has(arg);
      const vcpu = target.vcpu(arg);
      if (creates) vcpu.clock.born = true;
      thread.call = { cmd, ioctl, vm: target, vcpu, creates };
      return;
    }
    const vm = target instanceof Vm ? target : target?.vm;
    const vcpu = target instanceof Vm ? undefined : target;
    thread.call = { cmd, ioctl, vm, vcpu, creates: false };
    if (ioctl?.name === 'KVM_RUN' && vcpu !== undefined && thread.ran !== vcpu) {
      thread.ran = thread.ran === undefined ? vcpu : 'several';
    }
  }

  /** The ioctl in progress returned `ret`, its low half: a descriptor, a value, or minus errno. */
  exit(thread: Thread, ret: number): void {
    const call = thread.call;
    thread.call = undefined;
    if (call?.ioctl === undefined) return;
    if (call.ioctl.name === 'KVM_CREATE_VM' && ret >= 0) this.#createVm(thread, ret);
    if (call.ioctl.name === 'KVM_CREATE_VCPU' && call.vcpu !== undefined) {
      if (ret >= 0) thread.fds?.set(ret, call.vcpu);
      else if (call.creates) call.vm?.vcpus.delete(call.vcpu.id);
    }
  }

  #createVm(thread: Thread, fd: number): void {
    // debugfs names a VM after the creating thread and the descriptor.
    const name = `${thread.tid}-${fd}`;
    const uses = (this.#names.get(name) ?? 0) + 1;
    this.#names.set(name, uses);
    const id = uses === 1 ? name : `${name}.${uses}`;
    const vm = new Vm(id, 'ioctls', thread.comm, thread.tgid || thread.tid);
    thread.fds ??= this.#table(thread.tgid || thread.tid);
    const before = thread.fds.get(fd);
    if (before instanceof Vm) this.#ended(before);
    thread.fds.set(fd, vm);
    this.#created(vm);
  }

  #table(process: number): FdTable {
    let table = this.#tables.get(process);
    if (table === undefined) {
      table = new Map();
      this.#tables.set(process, table);
    }
    return table;
  }

  #findTable(thread: Thread, fd: number, ioctl: Ioctl | undefined): FdTable | undefined {
    if (thread.tgid !== 0) return this.#table(thread.tgid);
    if (ioctl === undefined || ioctl.scope === 'system') return undefined;
    const fitting = [...this.#tables.values()].filter((t) => fits(t.get(fd), ioctl, thread.tid));
    return fitting.length === 1 ? fitting[0] : undefined;
  }
}

/** Could `target` be what this ioctl of thread `tid` is called on? */
function fits(target: Vm | Vcpu | undefined, ioctl: Ioctl, tid: number): boolean {
  if (target === undefined) return false;
  if (target instanceof Vm) return ioctl.scope !== 'vcpu';
  if (ioctl.scope === 'vm') return false;
  // A vCPU that another thread is running can't be called on by this one.
  return !(target.running && target.tid !== tid);
}
