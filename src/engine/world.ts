/**
 * A host with its VMs and vCPUs, to which things happen one after another.
 *
 * `dispatch` is the way in: it checks an input's shape, admits it, walks its route, and tells what
 * could be seen and what became of the masterclock. `dispatchValid` leaves out the first, for inputs
 * that a reader of logs has checked.
 */
import type { Input, Observation, ReadingName } from '../../events/index.ts';
import { type HostState, VcpuState, VmState } from '../clock/index.ts';
import { isBefore } from '../num/index.ts';
import type { Switches } from '../profiles/index.ts';
import { admit, type Fail } from './admit.ts';
import { InputError } from './input-error.ts';
import { checkShape, readHead } from './input-shape.ts';
import { type Plan, planFor, stepsFor } from './plan.ts';
import type { ReadingSource } from './readings.ts';
import { type MasterclockRecord, Run, type VmOf } from './run.ts';
import type { HostCell, Stepper, VcpuCell } from './stepper.ts';
import { tableStepper } from './table-stepper.ts';

/** What one input came to. */
export interface Dispatched {
  /** How many inputs came before it. */
  readonly index: number;
  readonly observations: readonly Observation[];
  readonly masterclock: MasterclockRecord;
  /** The kernel refused it: nothing but the result was observed. */
  readonly refused: boolean;
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
  readonly #host: HostCell;
  readonly #vms = new Map<number, VmOf>();
  #named: VmOf | undefined;
  readonly #run: Run;
  #count = 0;
  /** Instant of the last input. */
  readonly #last = new BigUint64Array(1);
  readonly #fail: Fail = (code, expected, found) => {
    const { type } = this.#run.input;
    throw new InputError(code, { index: this.#count, type }, expected, found);
  };

  constructor(options: WorldOptions) {
    this.switches = options.switches;
    this.#stepper = options.stepper ?? tableStepper();
    this.#host = this.#stepper.host(options.host.clone());
    this.#run = new Run(this.#host, this.#vms, this.switches);
  }

  /** The host as it is now; not to be changed. */
  get host(): HostState {
    return this.#host.state;
  }

  /** The VMs there are, by id. */
  get vms(): ReadonlyMap<number, VmOf> {
    return this.#vms;
  }

  /** How many inputs were dispatched. */
  get count(): number {
    return this.#count;
  }

  /** Instant of the last one, host TSC. */
  get lastTsc(): bigint {
    return this.#last[0]!;
  }

  /** Clock reads that no input told, by name. */
  get derived(): ReadonlyMap<ReadingName, number> {
    return this.#run.readings.derived;
  }

  /** @internal Puts back what was saved. */
  restore(
    count: number,
    lastTsc: bigint,
    vms: ReadonlyMap<number, { state: VmState; vcpus: ReadonlyMap<number, VcpuState> }>,
  ): void {
    this.#count = count;
    this.#last[0] = lastTsc;
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
    const plan = planFor(input, this.#count);
    checkShape(input, plan.shape, this.#run.head, this.#count);
    return this.#take(input, plan, source);
  }

  /**
   * Lets something happen whose shape was checked before: whoever reads a log has done that.
   *
   * @throws InputError when it cannot have happened; nothing was changed.
   */
  dispatchValid(input: Input): Dispatched {
    const plan = planFor(input, this.#count);
    readHead(input, plan.shape, this.#run.head);
    return this.#take(input, plan, undefined);
  }

  /** Takes an input whose head the run has. */
  #take(input: Input, plan: Plan, source: ReadingSource | undefined): Dispatched {
    const index = this.#count;
    const run = this.#run;
    run.begin(input, source);
    this.#checkInstant(plan);
    this.#find(plan);
    const refusal = admit(input, plan.admission, run, this.#fail);
    if (refusal === undefined) {
      this.#create(plan);
      run.walk(stepsFor(input, plan));
      if (plan.endsVm) this.#forget(run.head.vm);
    } else {
      run.refuse(refusal);
    }
    this.#count += 1;
    this.#last[0] = run.head.tsc;
    const { observations, masterclock } = run;
    return { index, observations, masterclock, refused: refusal !== undefined };
  }

  #checkInstant({ mayGoBack }: Plan): void {
    const { tsc } = this.#run.head;
    if (!isBefore(tsc, this.#last[0]!) || mayGoBack || this.#host.state.tsc === 'unstable') return;
    this.#fail('tsc-backwards', `a TSC of at least ${this.lastTsc}`, String(tsc));
  }

  /** Gives the turn to the VM and vCPU that an input names. */
  #find({ type, target }: Plan): void {
    if (target === 'host') return;
    const run = this.#run;
    const { vm: id, vcpu } = run.head;
    const vm = this.#vmOf(id);
    if (type === 'KVM_CREATE_VM') {
      if (vm !== undefined) this.#fail('vm-exists', 'a VM id that no VM has', String(id));
      return;
    }
    if (vm === undefined) {
      this.#fail('no-such-vm', 'a VM that exists', `VM ${id}`);
    }
    run.vmOf = vm;
    if (target === 'vm') return;
    run.vcpuCell = vm.vcpus.get(vcpu);
    if (run.vcpuCell === undefined && type !== 'KVM_CREATE_VCPU') {
      this.#fail('no-such-vcpu', 'a vCPU that exists', `vCPU ${vcpu} of VM ${id}`);
    }
  }

  /** Inputs mostly name the VM that the input before named. */
  #vmOf(id: number): VmOf | undefined {
    if (this.#named?.id !== id) this.#named = this.#vms.get(id);
    return this.#named;
  }

  /** Makes room for what an input creates. */
  #create({ type }: Plan): void {
    const run = this.#run;
    const { vm, vcpu } = run.head;
    if (type === 'KVM_CREATE_VM') run.vmOf = this.#addVm(vm, new VmState());
    if (type === 'KVM_CREATE_VCPU' && run.vmOf !== undefined) {
      run.vcpuCell = this.#addVcpu(run.vmOf, vcpu, new VcpuState());
    }
  }

  /** Nothing is kept of a VM that is gone. */
  #forget(id: number): void {
    this.#vms.delete(id);
    this.#named = undefined;
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
