import type { KnownVcpu, KnownVm } from '../assimilate/known.ts';
import type { Cause, Recompute } from '../causes.ts';
import { GuestClock } from '../guest-clock.ts';
import type { Thread } from './thread.ts';

/** How a VM was told apart from others. */
export type IdentitySource = 'ioctls' | 'guest option' | 'process' | 'threads' | 'log';

/** How long a page's TSC was read before the event that tells of it, cycles, and when that was, ticks. */
export interface Lateness {
  readonly cycles: bigint;
  readonly ticks: bigint;
}

/** A vCPU of a VM. */
export class Vcpu {
  vm: Vm;
  /** vCPU id: unique within its VM. */
  readonly id: number;
  /** The thread that last ran it; 0 before. */
  tid = 0;
  /** The thread that is inside KVM_RUN on it. */
  caller: Thread | undefined;
  readonly clock = new GuestClock();
  /** In guest mode now, as far as its exits are recorded. */
  running = false;
  /** An exit of it was recorded, or would be. */
  exits = false;
  /** Instant of the first entry, ticks; `undefined` before. */
  firstEntry: bigint | undefined;
  /** What happened to it since it last entered the guest. */
  causes: Cause[] = [];
  /** The VM's `epoch` when this vCPU's page was last written. */
  pageEpoch = 0;
  /** The VM's `epoch` at its last entry; −1 before. */
  entryEpoch = -1;
  /** Of its last page, by the offset it had then. */
  late: Lateness | undefined;
  /**
   * By how much the TSC in its page is less than the host's was when the page was taken, cycles: as long
   * as no write of its offset was seen. And the same when it last ran.
   */
  lag: bigint | undefined;
  seenLag: bigint | undefined;
  /** Its thread also carries a vCPU of the same id of another VM: no jump can be told. */
  ambiguous = false;
  /** By how much its TSC was moved under its present page, signed cycles. */
  staleCycles = 0n;
  /** Its pages do not hold the host's TSC plus its offset: its TSC is scaled. */
  scaled = false;
  /** What the model knows of it, where one runs beside the recording. */
  model: KnownVcpu | undefined;
  /** Every entry writes it: a typed array takes it without making a bigint. */
  readonly #lastEntry = new BigUint64Array(1);

  constructor(vm: Vm, id: number) {
    this.vm = vm;
    this.id = id;
  }

  /** Instant of the last entry, ticks; `undefined` before the first. */
  get lastEntry(): bigint | undefined {
    return this.firstEntry === undefined ? undefined : this.#lastEntry[0];
  }

  /** It entered the guest at `ticks`. */
  entered(ticks: bigint): void {
    this.firstEntry ??= ticks;
    this.#lastEntry[0] = ticks;
    this.entryEpoch = this.vm.epoch;
    if (this.causes.length > 0) this.causes = [];
    this.seenLag = this.lag;
  }

  /** It left the guest. */
  exited(): void {
    this.running = false;
    this.exits = true;
  }

  /**
   * Takes the entry at `ticks[row]`, if nothing happened to it since its last one; that is what
   * nearly all entries are.
   */
  enteredUnchanged(ticks: BigUint64Array, row: number): boolean {
    if (this.clock.dirty || this.pageEpoch !== this.vm.epoch || this.causes.length > 0)
      return false;
    if (this.firstEntry === undefined) return false;
    this.#lastEntry[0] = ticks[row]!;
    this.entryEpoch = this.vm.epoch;
    return true;
  }
}

/** What a report says of a VM. */
export interface VmSummary {
  readonly id: string;
  readonly source: IdentitySource;
  /** Name of its process or thread: hostile text. */
  readonly process: string;
  readonly pid: number;
  /** It may be several VMs that can't be told apart. */
  readonly ambiguous: boolean;
  readonly vcpus: readonly number[];
  /** Its pages that were written. */
  readonly pages: number;
  /** Its masterclock updates and writes of TSC offsets, which pages should follow. */
  readonly moves: number;
}

/** A VM, as far as the recording lets it be told from others. */
export class Vm {
  /** The name debugfs has for it (`pid-fd`) where its creation was recorded; else pid, tid or guest. */
  readonly id: string;
  readonly source: IdentitySource;
  /**
   * Name and id of its process; of its first thread where the recording doesn't tell processes. A
   * log's VM has none: '' and 0.
   */
  readonly process: string;
  readonly pid: number;
  readonly vcpus = new Map<number, Vcpu>();
  /** VMs in the order in which they appeared. */
  order = 0;
  /** It may be several VMs that can't be told apart. */
  ambiguous = false;
  /** Its pages that were written. */
  pages = 0;
  /** Its masterclock updates and writes of TSC offsets. */
  moves = 0;
  /** Counts masterclock recomputations: pages of different epochs are not comparable. */
  epoch = 0;
  /** The update that began the epoch was seen, and was this VM's for certain. */
  epochIsSeen = false;
  lastRecompute: Recompute | undefined;
  /** No recomputation may have come after that one unseen. */
  recomputeHolds = false;
  /** The last KVM_SET_CLOCK that succeeded, and the last other call on the VM that moves clocks. */
  lastSetClock: Cause | undefined;
  lastCall: Cause | undefined;
  /** What the model knows of it, where one runs beside the recording. */
  model: KnownVm | undefined;
  /** The VM that this one turned out to be. */
  #mergedInto: Vm | undefined;

  constructor(id: string, source: IdentitySource, process: string, pid: number) {
    this.id = id;
    this.source = source;
    this.process = process;
    this.pid = pid;
  }

  /** The VM this is now known to be. */
  get resolved(): Vm {
    return this.#mergedInto?.resolved ?? this;
  }

  get summary(): VmSummary {
    const { id, source, process, pid, ambiguous, pages, moves } = this;
    const vcpus = [...this.vcpus.keys()].sort((a, b) => a - b);
    return { id, source, process, pid, ambiguous, vcpus, pages, moves };
  }

  vcpu(id: number): Vcpu {
    let vcpu = this.vcpus.get(id);
    if (vcpu === undefined) {
      vcpu = new Vcpu(this, id);
      this.vcpus.set(id, vcpu);
    }
    return vcpu;
  }

  /** `other` turned out to be this VM: its vCPUs move here, replacing older ones of the same id. */
  absorb(other: Vm): void {
    const epoch = Math.max(this.epoch, other.epoch) + 1;
    this.#enterEpoch(epoch);
    other.#enterEpoch(epoch);
    for (const vcpu of other.vcpus.values()) {
      vcpu.vm = this;
      this.vcpus.set(vcpu.id, vcpu);
    }
    other.vcpus.clear();
    other.#mergedInto = this;
    this.ambiguous ||= other.ambiguous;
    this.pages += other.pages;
    this.moves += other.moves;
    this.learnRecompute(other.lastRecompute);
  }

  /** Its masterclock was updated: pages from before are of another epoch. */
  beginEpoch(recompute: Recompute): void {
    this.epoch++;
    this.epochIsSeen = true;
    this.lastRecompute = recompute;
    this.recomputeHolds = true;
  }

  /** It may turn out only later that a recomputation was this VM's; the latest is what counts. */
  learnRecompute(seen: Recompute | undefined): void {
    const { lastRecompute: last } = this;
    if (seen !== undefined && (last === undefined || last.timestamp < seen.timestamp)) {
      this.lastRecompute = seen;
      this.recomputeHolds = true;
    }
  }

  /** A masterclock update of an unknown VM: what was written before is no longer comparable. */
  forgetEpoch(): void {
    this.epoch++;
    this.epochIsSeen = false;
    this.recomputeHolds = false;
    for (const vcpu of this.vcpus.values()) vcpu.pageEpoch = this.epoch;
  }

  /** Begins another epoch in which what is current stays current. */
  #enterEpoch(epoch: number): void {
    for (const vcpu of this.vcpus.values()) {
      if (vcpu.pageEpoch === this.epoch) vcpu.pageEpoch = epoch;
      if (vcpu.entryEpoch === this.epoch) vcpu.entryEpoch = epoch;
    }
    this.epoch = epoch;
    this.epochIsSeen = false;
  }
}
