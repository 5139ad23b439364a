/** One input on its way through the machines. */
import {
  bareInput,
  INPUT_TYPES,
  type Input,
  type InputRows,
  type InputType,
  type Observation,
  type ReadingName,
} from '../../events/index.ts';
import {
  type Ctx,
  type HostState,
  MASTERCLOCK_DECISIONS,
  type MasterclockDecision,
  VcpuState,
  VmState,
} from '../clock/index.ts';
import type { Switches } from '../profiles/index.ts';
import type { Refusal } from './answers.ts';
import { InputHead } from './input-shape.ts';
import { type ReadingSource, ReadingsOf } from './readings.ts';
import type { HostCell, VcpuCell, VmCell } from './stepper.ts';

/** vCPUs with ids below this are found by them in an array, which others would make too long. */
export const SMALL_VCPU_IDS = 4096;

/** A VM of a world. */
export interface VmOf {
  readonly id: number;
  readonly cell: VmCell;
  /** By id, in the order of creation. */
  readonly vcpus: Map<number, VcpuCell>;
  /** The same ones, by their place in that order. */
  readonly inOrder: VcpuCell[];
  /** Those with ids below `SMALL_VCPU_IDS`, which are nearly all, by their id. */
  readonly byId: (VcpuCell | undefined)[];
}

/** What became of the masterclock, and which switch or condition decided. */
export interface MasterclockRecord {
  readonly decision: MasterclockDecision;
  readonly by: string;
}

const NOT_REACHED: MasterclockRecord = {
  decision: 'kept',
  by: 'nothing on this route asks for it',
};

/** Stands for the VM and the vCPU where an input has none. */
const NO_VM = new VmState();
const NO_VCPU = VcpuState.of({ cpu: -1 });

/** Most inputs show nothing. */
const NOTHING_SEEN: readonly Observation[] = Object.freeze([]);

const RANK = Object.fromEntries(
  MASTERCLOCK_DECISIONS.map((decision, rank) => [decision, rank]),
) as Readonly<Record<MasterclockDecision, number>>;

/**
 * One input on its way, and what recipes see of it.
 *
 * A world has one run, which begins anew with each input; what it tells of one is never changed
 * afterwards, so that others may keep it. Structs are read where they are now, as a step may have
 * replaced them.
 */
export class Run implements Ctx {
  readonly switches: Switches;
  /** This run itself, also for who puts other members before its own. */
  readonly own: Run = this;
  readonly head = new InputHead();
  observations = NOTHING_SEEN;
  masterclock = NOT_REACHED;
  readonly readings: ReadingsOf;
  readonly hostCell: HostCell;
  /** Whose turn it is. */
  vmOf: VmOf | undefined = undefined;
  vcpuCell: VcpuCell | undefined = undefined;
  readonly seesWrites: boolean;
  /** Of the input's type: a number, which is written faster than what a collector has to know of. */
  private code = 0;
  /** The input itself; one that is bare has none before somebody asks for it. */
  private whole: Input | undefined = undefined;
  private readonly vms: ReadonlyMap<number, VmOf>;
  private readonly shows: ReadonlySet<Observation['type']> | undefined;

  constructor(
    host: HostCell,
    vms: ReadonlyMap<number, VmOf>,
    switches: Switches,
    shows: ReadonlySet<Observation['type']> | undefined,
  ) {
    this.hostCell = host;
    this.vms = vms;
    this.switches = switches;
    this.shows = shows;
    this.seesWrites = shows === undefined || shows.has('guest_write');
    this.readings = new ReadingsOf(this);
  }

  /**
   * Begins with another input, whose head is there already; whose turn it is, is said then.
   *
   * @param whole - the input itself, unless it is bare.
   */
  begin(code: number, whole: Input | undefined, source: ReadingSource | undefined): void {
    this.code = code;
    if (this.whole !== whole) this.whole = whole;
    if (!this.isQuiet) {
      this.observations = NOTHING_SEEN;
      this.masterclock = NOT_REACHED;
    }
    this.readings.begin(source);
  }

  /** Begins with bare inputs of one VM; to those of the type that this code is of, `passTo` leads. */
  beginCalm(code: number, vm: VmOf): void {
    this.begin(code, undefined, undefined);
    this.head.vm = vm.id;
    this.head.readings = undefined;
    if (this.vmOf !== vm) this.vmOf = vm;
  }

  /** Goes on to one of that type, of a vCPU; those between and of other vCPUs may be left out. */
  passTo(rows: InputRows, row: number, vcpu: number, cell: VcpuCell): void {
    this.head.passTo(rows, row, vcpu);
    if (this.whole !== undefined) this.whole = undefined;
    if (this.vcpuCell !== cell) this.vcpuCell = cell;
    this.readings.again();
  }

  get type(): InputType {
    return INPUT_TYPES[this.own.code]!;
  }

  get input(): Input {
    const { own } = this;
    const { head } = own;
    own.whole ??= bareInput(own.code, head.tsc, head.vm, head.vcpu);
    return own.whole;
  }

  /** Nothing was seen so far, and the masterclock not considered. */
  get isQuiet(): boolean {
    return this.observations === NOTHING_SEEN && this.masterclock === NOT_REACHED;
  }

  get host(): Readonly<HostState> {
    return this.hostCell.state;
  }

  get vmId(): number {
    const { vmOf } = this;
    return vmOf === undefined ? -1 : vmOf.id;
  }

  get vm(): Readonly<VmState> {
    const { vmOf } = this;
    return vmOf === undefined ? NO_VM : vmOf.cell.state;
  }

  get vcpu(): Readonly<VcpuState> {
    const { vcpuCell } = this;
    return vcpuCell === undefined ? NO_VCPU : vcpuCell.state;
  }

  get bootVcpu(): Readonly<VcpuState> {
    const first = this.vmOf?.vcpus.values().next().value;
    return first?.state ?? NO_VCPU;
  }

  get subject(): Readonly<VcpuState> | undefined {
    return this.vcpuCell?.state;
  }

  get out(): Ctx['out'] {
    return this.own;
  }

  read(name: ReadingName): bigint {
    return this.own.readings.read(name);
  }

  /** The observation is the run's from now on. */
  emit(seen: Observation): void {
    if (this.shows !== undefined && !this.shows.has(seen.type)) return;
    if (this.observations === NOTHING_SEEN) this.observations = [];
    (this.observations as Observation[]).push(seen);
  }

  /** The first of the highest rank counts: what asked first, or what the last update came to. */
  considered(decision: MasterclockDecision, by: string): void {
    const higher = RANK[decision] > RANK[this.masterclock.decision];
    if (higher || this.masterclock === NOT_REACHED || decision === 'recomputed') {
      this.masterclock = { decision, by };
    }
  }

  /** Gives each VM the turn, one after the other. */
  eachVm(walk: (run: Run) => void): void {
    const { vmOf, vcpuCell } = this;
    for (const other of this.vms.values()) {
      this.take(other, undefined, 0);
      walk(this);
    }
    this.take(vmOf, vcpuCell, 0);
  }

  /** Gives each vCPU of the VM the turn, in the order of creation. */
  eachVcpu(walk: (run: Run) => void): void {
    const { vmOf, vcpuCell } = this;
    if (vmOf !== undefined) {
      const { inOrder } = vmOf;
      for (let place = 0; place < inOrder.length; place++) {
        this.take(vmOf, inOrder[place], place);
        walk(this);
      }
    }
    this.take(vmOf, vcpuCell, 0);
  }

  private take(vm: VmOf | undefined, vcpu: VcpuCell | undefined, place: number): void {
    this.vmOf = vm;
    this.vcpuCell = vcpu;
    this.readings.turn(place);
  }

  /** The kernel's answer, and nothing else. */
  refuse(refusal: Refusal): void {
    const vcpu = 'vcpu' in this.input ? { vcpu: this.input.vcpu } : {};
    if ('gp' in refusal && 'index' in this.input) {
      this.emit({ type: 'msr_result', ...vcpu, index: this.input.index, ok: false, vm: this.vmId });
    } else if ('errno' in refusal) {
      const { type: name } = this.input;
      this.emit({ type: 'ioctl_result', ...vcpu, name, ret: -refusal.errno, vm: this.vmId });
    }
  }
}
