/**
 * Telling VMs apart where no ioctl does: by guest, process, or thread.
 *
 * trace.dat's GUEST option names the threads of a guest's vCPUs; a tgid column names a thread's
 * process. Within such a group, and in the one group of all threads where neither is recorded, a
 * thread that carries a vCPU is the evidence: it carries one vCPU for life, so every jump on it is
 * sound whatever VM it is of. Threads are joined to VMs by what only one VM can have:
 *
 * - one masterclock reference (host TSC, ns) or, with equal offsets, one (tsc_timestamp,
 *   system_time): 128 bits that two VMs never share;
 * - one TSC offset other than 0: it holds the instant at which the VM was created.
 *
 * What no evidence joins is one VM if its vCPU ids allow it (a host with one VM is the usual case).
 * Otherwise the vCPUs that could belong to several VMs become one VM marked ambiguous.
 */
import { isStable, type Page } from '../guest-clock.ts';
import type { Thread } from './thread.ts';
import { type IdentitySource, type Vcpu, Vm } from './vm.ts';

/** An event of a vCPU: its creation, another write of its offset, or one that shows that it runs. */
export type SeenBy = 'creation' | 'offset' | 'run';

/** Threads among which VMs are told apart. */
class ThreadGroup {
  /** In the order in which they appeared. */
  readonly vms = new Set<Vm>();
  /** vCPUs that were created but have not run, by id. */
  readonly waiting = new Map<number, Set<Vcpu>>();
  /** Which VM shows a piece of evidence now. */
  readonly evidence = new Map<string, Vm>();
  readonly label: string | undefined;
  readonly source: IdentitySource;

  constructor(label: string | undefined, source: IdentitySource) {
    this.label = label;
    this.source = source;
  }
}

export class ThreadGroups {
  readonly #groups = new Map<string, ThreadGroup>();
  readonly #groupOf = new Map<Vm, ThreadGroup>();
  readonly #guestOf: ReadonlyMap<number, string>;
  /** The evidence each vCPU shows now, so that older evidence can be forgotten. */
  readonly #shown = new Map<Vcpu, readonly string[]>();
  readonly #names = new Map<number, number>();
  readonly #created: (vm: Vm) => void;
  readonly #absorbed: (vm: Vm) => void;

  /**
   * `guests`: names by thread, from trace.dat's GUEST option. `created` is told of each VM, `absorbed`
   * of each that turned out to be another.
   */
  constructor(
    guests: ReadonlyMap<number, string>,
    created: (vm: Vm) => void,
    absorbed: (vm: Vm) => void,
  ) {
    this.#guestOf = guests;
    this.#created = created;
    this.#absorbed = absorbed;
  }

  /**
   * The vCPU `id` that `thread` carries. `apart`: it is another than the thread is known to carry under
   * this id.
   */
  vcpu(thread: Thread, id: number, by: SeenBy, apart = false): Vcpu {
    let vcpu = apart ? undefined : thread.carried.get(id);
    if (vcpu === undefined) {
      vcpu = this.#place(thread, id, by === 'creation', apart);
      // A VMM's main thread creates vCPUs and sets their MSRs; only who runs one has it for good.
      if (by !== 'run' && vcpu.tid === 0) this.#wait(vcpu);
      thread.carried.set(id, vcpu);
    }
    return vcpu;
  }

  /**
   * The vCPU `id` among those that a VMM's thread `thread` acts on whose TSC offset was `offset` until
   * now; `undefined` unless just one is known to be.
   */
  withOffset(thread: Thread, id: number, offset: bigint): Vcpu | undefined {
    if (thread.carried.has(id)) return undefined;
    const found: Vcpu[] = [];
    for (const { vcpus } of this.#group(thread).vms) {
      const vcpu = vcpus.get(id);
      if (vcpu?.clock.writtenOffset === offset) found.push(vcpu);
    }
    return found.length === 1 ? found[0] : undefined;
  }

  /** `vcpu` ran: it waits for no thread any more. */
  ran(vcpu: Vcpu): void {
    this.#groupOf.get(vcpu.vm)?.waiting.get(vcpu.id)?.delete(vcpu);
  }

  /** `vcpu` got this page: perhaps it shows which VM it is of. */
  observe(vcpu: Vcpu, page: Page): void {
    const group = this.#groupOf.get(vcpu.vm);
    if (group === undefined) return;
    const keys = [...evidence(vcpu, page)];
    for (const old of this.#shown.get(vcpu) ?? []) {
      if (!keys.includes(old) && group.evidence.get(old) === vcpu.vm) group.evidence.delete(old);
    }
    this.#shown.set(vcpu, keys);
    for (const key of keys) {
      const other = group.evidence.get(key)?.resolved;
      if (other !== undefined && other !== vcpu.vm) this.#join(group, other, vcpu.vm);
      group.evidence.set(key, vcpu.vm);
    }
  }

  /** Everything is read: settle what no evidence has told. */
  settle(): void {
    for (const group of this.#groups.values()) this.#settle(group);
  }

  #place(thread: Thread, id: number, creates: boolean, apart: boolean): Vcpu {
    const group = this.#group(thread);
    const beside = thread.carried.values().next().value?.vm;
    if (!apart && beside !== undefined && !beside.vcpus.has(id)) {
      return beside.vcpu(id);
    }
    // A VMM's main thread may create vCPUs for other threads to run: one that never ran is taken.
    const [created, ...others] = creates ? [] : (group.waiting.get(id) ?? []);
    if (created !== undefined && others.length === 0) return created;
    // A process or guest is one VM until a second thread carries a vCPU of the same id.
    if (group.source !== 'threads') {
      const vm = group.vms.values().next().value;
      if (vm !== undefined && !vm.vcpus.has(id)) return vm.vcpu(id);
    }
    const first = group.vms.size === 0;
    const name = group.label !== undefined && first ? group.label : this.#name(thread);
    const vm = new Vm(name, group.source, thread.comm, thread.tgid || thread.tid);
    group.vms.add(vm);
    this.#groupOf.set(vm, group);
    this.#created(vm);
    return vm.vcpu(id);
  }

  /** Another thread may be going to run it. */
  #wait(vcpu: Vcpu): void {
    const { waiting } = this.#groupOf.get(vcpu.vm)!;
    const others = waiting.get(vcpu.id);
    if (others === undefined) waiting.set(vcpu.id, new Set([vcpu]));
    else others.add(vcpu);
  }

  /** The thread's id; a thread that carries vCPUs of several VMs gives the later ones a number. */
  #name({ tid }: Thread): string {
    const uses = (this.#names.get(tid) ?? 0) + 1;
    this.#names.set(tid, uses);
    return uses === 1 ? String(tid) : `${tid}.${uses}`;
  }

  #group(thread: Thread): ThreadGroup {
    const guest = this.#guestOf.get(thread.tid);
    const label = guest ?? (thread.tgid !== 0 ? String(thread.tgid) : undefined);
    const source =
      guest !== undefined ? 'guest option' : label !== undefined ? 'process' : 'threads';
    const key = `${source} ${label ?? ''}`;
    let group = this.#groups.get(key);
    if (group === undefined) {
      group = new ThreadGroup(label, source);
      this.#groups.set(key, group);
    }
    return group;
  }

  #join(group: ThreadGroup, one: Vm, other: Vm): void {
    if (!compatible(one, other)) return;
    // Earlier VMs keep their name.
    const [keep, gone] = one.order < other.order ? [one, other] : [other, one];
    this.#absorb(group, keep, gone);
  }

  #absorb(group: ThreadGroup, keep: Vm, gone: Vm): void {
    keep.absorb(gone);
    group.vms.delete(gone);
    this.#groupOf.delete(gone);
    this.#absorbed(gone);
  }

  #settle(group: ThreadGroup): void {
    this.#dropIdle(group);
    const vms = [...group.vms];
    const byId = new Map<number, Vcpu[]>();
    for (const vm of vms) {
      for (const [id, vcpu] of vm.vcpus) {
        const same = byId.get(id);
        if (same === undefined) byId.set(id, [vcpu]);
        else same.push(vcpu);
      }
    }
    const [first, ...rest] = vms;
    if (first === undefined) return;
    if ([...byId.values()].every(takeTurns)) {
      for (const vm of rest) this.#absorb(group, first, vm);
      return;
    }
    // A lone vCPU could belong to any VM that has none of its id.
    const [ambiguous, ...others] = vms.filter((vm) => {
      const [only, ...more] = vm.vcpus.keys();
      return only !== undefined && more.length === 0 && byId.get(only)!.length < vms.length;
    });
    if (ambiguous === undefined) return;
    ambiguous.ambiguous = true;
    for (const vm of others) this.#absorb(group, ambiguous, vm);
  }

  /** A main thread's VM whose vCPUs other threads ran, though nothing told which thread ran which. */
  #dropIdle(group: ThreadGroup): void {
    const ran = (vm: Vm): boolean => [...vm.vcpus.values()].some((v) => v.tid !== 0);
    const idle = [...group.vms].filter((vm) => !ran(vm));
    if (idle.length === group.vms.size) return;
    for (const vm of idle) {
      group.vms.delete(vm);
      this.#absorbed(vm);
    }
  }
}

/** Could these be one VM? Not if two threads carry vCPUs of one id at the same time. */
function compatible(a: Vm, b: Vm): boolean {
  for (const [id, vcpu] of a.vcpus) {
    const other = b.vcpus.get(id);
    if (other !== undefined && !takeTurns([vcpu, other])) return false;
  }
  return true;
}

/**
 * vCPUs of one id that never live at once: one vCPU, unplugged and plugged in again. Not so if a
 * later one was created in the recording: VMMs keep an unplugged vCPU and use it again.
 */
function takeTurns(vcpus: readonly Vcpu[]): boolean {
  if (vcpus.length < 2) return true;
  const lives = vcpus.map((v) => ({ from: v.firstEntry, to: v.lastEntry, born: v.clock.born }));
  lives.sort((a, b) => ((a.from ?? 0n) < (b.from ?? 0n) ? -1 : 1));
  return lives.every(({ from, born }, i) => {
    if (from === undefined) return false;
    const before = i === 0 ? undefined : lives[i - 1];
    if (before === undefined) return true;
    return !born && before.to !== undefined && before.to < from;
  });
}

function* evidence(vcpu: Vcpu, page: Page): Generator<string> {
  const offset = vcpu.clock.tscOffset;
  if (offset !== undefined && offset !== 0n) yield `offset ${offset}`;
  if (!isStable(page)) return;
  yield `page ${page.tscTimestamp} ${page.systemTime}`;
  if (offset !== undefined) {
    yield `reference ${BigInt.asUintN(64, page.tscTimestamp - offset)} ${page.systemTime}`;
  }
}
