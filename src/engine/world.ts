/**
 * A host with its VMs and vCPUs, to which things happen one after another.
 *
 * `dispatch` is the only way in: it admits an input, walks its route, and tells what could be seen
 * and what became of the masterclock.
 */
import type { Input, Observation, ReadingName } from '../../events/index.ts';
import { type HostState, VcpuState, VmState } from '../clock/index.ts';
import { isBefore } from '../num/index.ts';
import type { Switches } from '../profiles/index.ts';
import {
  checkCpu,
  checkEntry,
  checkHostOrder,
  checkMsr,
  checkNested,
  checkVcpuOrder,
  checkVmOrder,
  type Fail,
  type Refusal,
  refusalOf,
} from './admit.ts';
import { InputError } from './input-error.ts';
import { checkShape } from './input-shape.ts';
import { type Plan, planFor, stepsFor } from './plan.ts';
import type { ReadingSource, ReadingsOf } from './readings.ts';
import { type MasterclockRecord, Run, type Turn, type VmOf } from './run.ts';
import type { HostCell, Stepper, VcpuCell } from './stepper.ts';
import { tableStepper } from './table-stepper.ts';

/** What one input came to. */
export interface Dispatched {
  /** How many inputs came before it. */
  readonly index: number;
  readonly observations: readonly Observation[];
  readonly masterclock: MasterclockRecord;
  /** Clock reads that the input did not tell, by name. */
  readonly derived: ReadonlyMap<ReadingName, number>;
  /** The kernel refused it: nothing but the result was observed. */
  readonly refused: boolean;
}

const NO_READS: ReadonlyMap<ReadingName, number> = new Map();

/** What one input came to; its reads are counted when somebody asks. */
class Done implements Dispatched {
  readonly index: number;
  readonly observations: readonly Observation[];
  readonly masterclock: MasterclockRecord;
  readonly refused: boolean;
  readonly #readings: ReadingsOf | undefined;

  constructor(index: number, run: Run, refused: boolean) {
    this.index = index;
    this.observations = run.observations;
    this.masterclock = run.masterclock;
    this.refused = refused;
    this.#readings = run.readings;
  }

  get derived(): ReadonlyMap<ReadingName, number> {
    return this.#readings?.derived() ?? NO_READS;
  }
}

/** What a world is made of. */
export interface WorldOptions {
  readonly switches: Switches;
  /** The host as it is at first; it is not changed. */
  readonly host: HostState;
  /** What moves the machines; their decision tables by default. */
  readonly stepper?: Stepper;
}

/** A host with its VMs and vCPUs. */
export class World {
  readonly switches: Switches;
  readonly #stepper: Stepper;
  #host: HostCell;
  #vms = new Map<number, VmOf>();
  #count = 0;
  #lastTsc = 0n;
  /** The one being dispatched, or the last one. */
  #input: Input | undefined;
  readonly #fail: Fail = (code, expected, found) => {
    const type = this.#input?.type ?? '';
    throw new InputError(code, { index: this.#count, type }, expected, found);
  };

  constructor(options: WorldOptions) {
    this.switches = options.switches;
    this.#stepper = options.stepper ?? tableStepper();
    this.#host = this.#stepper.host(options.host.clone());
  }

  /** The host as it is now; not to be changed. */
  get host(): HostState {
    return this.#host.state;
  }

  /** The VMs there are, and were, by id. */
  get vms(): ReadonlyMap<number, VmOf> {
    return this.#vms;
  }

  /** How many inputs were dispatched. */
  get count(): number {
    return this.#count;
  }

  /** Instant of the last one, host TSC. */
  get lastTsc(): bigint {
    return this.#lastTsc;
  }

  /** @internal Puts back what was saved. */
  restore(
    count: number,
    lastTsc: bigint,
    vms: ReadonlyMap<number, { state: VmState; vcpus: ReadonlyMap<number, VcpuState> }>,
  ): void {
    this.#count = count;
    this.#lastTsc = lastTsc;
    for (const [id, { state, vcpus }] of vms) {
      const vm = this.#addVm(id, state);
      for (const [vcpu, its] of vcpus) this.#addVcpu(vm, vcpu, its);
    }
  }

  /**
   * Lets something happen.
   *
   * @param source - told what clock reads returned which the input does not tell.
   * @throws InputError when it cannot have happened; nothing was changed.
   */
  dispatch(input: Input, source?: ReadingSource): Dispatched {
    const index = this.#count;
    checkShape(input, index);
    this.#input = input;
    const fail = this.#fail;
    this.#checkInstant(input, fail);
    const turn = this.#turnOf(input, fail);
    const run = new Run(this.#host, this.#vms, turn, input, this.switches, source);
    const plan = planFor(input.type);
    const refusal = this.#admit(input, plan, run, fail);
    if (refusal === undefined) {
      this.#create(input, turn);
      run.walk(stepsFor(input, plan));
    } else {
      run.refuse(refusal);
    }
    this.#count += 1;
    this.#lastTsc = input.tsc;
    return new Done(index, run, refusal !== undefined);
  }

  #checkInstant(input: Input, fail: Fail): void {
    if (!isBefore(input.tsc, this.#lastTsc)) return;
    const mayGoBack =
      this.#host.state.tsc === 'unstable' || input.type === 'resume' || input.type === 'cpu_online';
    if (!mayGoBack) fail('tsc-backwards', `a TSC of at least ${this.#lastTsc}`, String(input.tsc));
  }

  #turnOf(input: Input, fail: Fail): Turn {
    if (!('vm' in input)) return { vm: undefined, vcpu: undefined };
    const vm = this.#vms.get(input.vm);
    if (input.type === 'KVM_CREATE_VM') {
      if (vm !== undefined) fail('vm-exists', 'a VM id not used before', String(input.vm));
      return { vm, vcpu: undefined };
    }
    if (vm === undefined || vm.cell.state.life !== 'alive') {
      return fail('no-such-vm', 'a VM that exists', `VM ${input.vm}`);
    }
    if (!('vcpu' in input)) return { vm, vcpu: undefined };
    const vcpu = vm.vcpus.get(input.vcpu);
    if (vcpu === undefined && input.type !== 'KVM_CREATE_VCPU') {
      fail('no-such-vcpu', 'a vCPU that exists', `vCPU ${input.vcpu} of VM ${input.vm}`);
    }
    return { vm, vcpu };
  }

  #admit(input: Input, plan: Plan, run: Run, fail: Fail): Refusal | undefined {
    const { vm, vcpu } = run.turn;
    if (plan.hasCpu) checkCpu(input, fail);
    if (plan.hasMsr) checkMsr(input, fail);
    if (plan.target === 'host') checkHostOrder(input, run, fail);
    if (plan.target === 'vm') checkVmOrder(input, run, [...(vm?.vcpus.values() ?? [])], fail);
    if (plan.hasVcpu) {
      checkVcpuOrder(input, run.vcpu, fail);
      checkEntry(input, run, fail);
      if (plan.hasLimits) checkNested(input, run, fail);
    }
    return refusalOf(input, run, vcpu !== undefined);
  }

  /** Makes room for what an input creates. */
  #create(input: Input, turn: Turn): void {
    if (input.type === 'KVM_CREATE_VM') turn.vm = this.#addVm(input.vm, new VmState());
    if (input.type === 'KVM_CREATE_VCPU' && turn.vm !== undefined) {
      turn.vcpu = this.#addVcpu(turn.vm, input.vcpu, new VcpuState());
    }
  }

  #addVm(id: number, state: VmState): VmOf {
    const vm = { id, cell: this.#stepper.vm(state, `vm ${id}`), vcpus: new Map() };
    this.#vms.set(id, vm);
    return vm;
  }

  #addVcpu(vm: VmOf, id: number, state: VcpuState): VcpuCell {
    const cell = this.#stepper.vcpu(state, `vm ${vm.id} vcpu ${id}`);
    vm.vcpus.set(id, cell);
    return cell;
  }
}
