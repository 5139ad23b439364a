/** One input on its way through the machines. */
import type { Input, Observation, ReadingName } from '../../events/index.ts';
import {
  type Ctx,
  type HostState,
  MASTERCLOCK_DECISIONS,
  type MasterclockDecision,
  type SeenOf,
  VcpuState,
  VmState,
} from '../clock/index.ts';
import type { Switches } from '../profiles/index.ts';
import type { Refusal } from './admit.ts';
import { type ReadingScope, type ReadingSource, ReadingsOf } from './readings.ts';
import type { HostCell, VcpuCell, VmCell } from './stepper.ts';
import { STEP, type Step } from './steps.ts';

/** A VM of a world. */
export interface VmOf {
  readonly id: number;
  readonly cell: VmCell;
  /** By id, in the order of creation. */
  readonly vcpus: Map<number, VcpuCell>;
}

/** What became of the masterclock, and which switch or condition decided. */
export interface MasterclockRecord {
  readonly decision: MasterclockDecision;
  readonly by: string;
}

/** Which machines have their turn. */
export interface Turn {
  vm: VmOf | undefined;
  vcpu: VcpuCell | undefined;
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

const rankOf = (decision: MasterclockDecision): number => MASTERCLOCK_DECISIONS.indexOf(decision);

/**
 * One input on its way, and what recipes see of it.
 *
 * There is one for each input, so it is no more than its fields: lists and readings are made when
 * something is shown or read, and methods are not `#private`, which would cost each instance a mark. Structs are read where they are now, as a step may have replaced them.
 */
export class Run implements Ctx, ReadingScope {
  readonly input: Input;
  readonly switches: Switches;
  /** This run itself, also for who puts other members before its own. */
  readonly own: Run = this;
  observations = NOTHING_SEEN;
  masterclock = NOT_REACHED;
  readonly turn: Turn;
  readonly hostCell: HostCell;
  readonly #vms: ReadonlyMap<number, VmOf>;
  readonly #source: ReadingSource | undefined;
  #seen: Observation[] | undefined = undefined;
  /** Made at the first read. */
  readings: ReadingsOf | undefined = undefined;
  /** The place of the vCPU whose turn it is. */
  #index = 0;

  constructor(
    host: HostCell,
    vms: ReadonlyMap<number, VmOf>,
    turn: Turn,
    input: Input,
    switches: Switches,
    source: ReadingSource | undefined,
  ) {
    this.hostCell = host;
    this.#vms = vms;
    this.turn = turn;
    this.input = input;
    this.switches = switches;
    this.#source = source;
  }

  get host(): Readonly<HostState> {
    return this.hostCell.state;
  }

  get vm(): Readonly<VmState> {
    return this.turn.vm?.cell.state ?? NO_VM;
  }

  get vcpu(): Readonly<VcpuState> {
    return this.turn.vcpu?.state ?? NO_VCPU;
  }

  get bootVcpu(): Readonly<VcpuState> {
    const first = this.turn.vm?.vcpus.values().next().value;
    return first?.state ?? NO_VCPU;
  }

  get subject(): Readonly<VcpuState> | undefined {
    return this.turn.vcpu?.state;
  }

  get out(): Ctx['out'] {
    return this.own;
  }

  read(name: ReadingName): bigint {
    return this.own.readNow(name);
  }

  /** @internal */
  readNow(name: ReadingName): bigint {
    this.readings ??= new ReadingsOf(this, this.#source, this.#index);
    return this.readings.read(name);
  }

  emit(seen: SeenOf<Observation>): void {
    if (this.#seen === undefined) this.observations = this.#seen = [];
    this.#seen.push({ vm: this.turn.vm?.id ?? -1, ...seen } as Observation);
  }

  /** The first of the highest rank counts: what asked first, or what the last update came to. */
  considered(decision: MasterclockDecision, by: string): void {
    const higher = rankOf(decision) > rankOf(this.masterclock.decision);
    if (higher || this.masterclock === NOT_REACHED || decision === 'recomputed') {
      this.masterclock = { decision, by };
    }
  }

  walk(steps: readonly Step[]): void {
    for (let i = 0; i < steps.length; i++) {
      const step = steps[i]!;
      switch (step.kind) {
        case STEP.host:
          this.hostCell.step(step.host, this);
          break;
        case STEP.vm:
          this.turn.vm?.cell.step(step.vm, this);
          break;
        case STEP.vcpu:
          this.turn.vcpu?.step(step.vcpu, this);
          break;
        case STEP.when:
          if (step.condition(this)) this.walk(step.steps);
          break;
        case STEP.eachVm:
          this.eachVm(step.steps);
          break;
        case STEP.eachVcpu:
          this.eachVcpu(step.steps);
          break;
      }
    }
  }

  private eachVm(steps: readonly Step[]): void {
    const { vm, vcpu } = this.turn;
    for (const other of this.#vms.values()) {
      if (other.cell.state.life !== 'alive') continue;
      this.take(other, undefined, 0);
      this.walk(steps);
    }
    this.take(vm, vcpu, 0);
  }

  private eachVcpu(steps: readonly Step[]): void {
    const { vm, vcpu } = this.turn;
    if (vm !== undefined) {
      let index = 0;
      for (const other of vm.vcpus.values()) {
        this.take(vm, other, index);
        this.walk(steps);
        index += 1;
      }
    }
    this.take(vm, vcpu, 0);
  }

  private take(vm: VmOf | undefined, vcpu: VcpuCell | undefined, index: number): void {
    this.turn.vm = vm;
    this.turn.vcpu = vcpu;
    this.#index = index;
    this.readings?.turn(index);
  }

  /** The kernel's answer, and nothing else. */
  refuse(refusal: Refusal): void {
    const vcpu = 'vcpu' in this.input ? { vcpu: this.input.vcpu } : {};
    if ('gp' in refusal && 'index' in this.input) {
      this.emit({ type: 'msr_result', ...vcpu, index: this.input.index, ok: false });
    } else if ('errno' in refusal) {
      const { type: name } = this.input;
      this.emit({ type: 'ioctl_result', ...vcpu, name, ret: -refusal.errno });
    }
  }
}
