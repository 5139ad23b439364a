/**
 * A host with its VMs and vCPUs, to which things happen one after another.
 *
 * `dispatch` is the way in: it checks an input's shape, admits it, walks its route, and tells what
 * could be seen and what became of the masterclock. `dispatchRows` leaves out the first, and takes
 * many at once, for whoever reads logs.
 */
import type { Input, InputRows, Observation, ReadingName } from '../../events/index.ts';
import { gtodIsBasedOnTsc, type HostState, VcpuState, VmState } from '../clock/index.ts';
import { isBefore } from '../num/index.ts';
import type { Switches } from '../profiles/index.ts';
import { admit, type Fail } from './admit.ts';
import { mayPass, passCalm } from './calm.ts';
import { InputError } from './input-error.ts';
import { checkShape, readHead, takeBare } from './input-shape.ts';
import { HOST, type Plan, Plans, planOfCode, VM } from './plan.ts';
import type { ReadingSource } from './readings.ts';
import { type MasterclockRecord, Run, SMALL_VCPU_IDS, type VmOf } from './run.ts';
import type { HostCell, Stepper, VcpuCell } from './stepper.ts';
import { tableStepper } from './table-stepper.ts';

/** What one input came to. */
export interface Dispatched {
  /** How many inputs came before it. */
  readonly index: number;
  readonly observations: readonly Observation[];
  readonly masterclock: MasterclockRecord;
  /** The kernel refused it: nothing but the result was observed, if the world shows that. */
  readonly refused: boolean;
}

/** What a world is made of. */
export interface WorldOptions {
  readonly switches: Switches;
  /** The host as it is at first; it is not changed. */
  readonly host: HostState;
  /** What moves the machines; their decision tables by default. */
  readonly stepper?: Stepper;
  /** The observations that somebody looks at, and no others are made; all by default. */
  readonly shows?: ReadonlySet<Observation['type']>;
}

/** The vCPU of an id, if that is one at all. */
function vcpuOf({ byId, vcpus }: VmOf, id: number): VcpuCell | undefined {
  return (typeof id === 'number' ? byId[id] : undefined) ?? vcpus.get(id);
}

/** A host with its VMs and vCPUs. */
export class World {
  readonly switches: Switches;
  readonly #stepper: Stepper;
  readonly #hasTables: boolean;
  readonly #host: HostCell;
  readonly #vms = new Map<number, VmOf>();
  #named: VmOf | undefined;
  readonly #run: Run;
  readonly #plans = new Plans();
  #count = 0;
  /** Instant of the last input. */
  readonly #last = new BigUint64Array(1);
  readonly #lastHalves = new Uint32Array(this.#last.buffer);
  readonly #fail: Fail = (code, expected, found) => {
    const { type } = this.#run;
    throw new InputError(code, { index: this.#count, type }, expected, found);
  };

  constructor(options: WorldOptions) {
    this.switches = options.switches;
    this.#stepper = options.stepper ?? tableStepper();
    this.#hasTables = this.#stepper === tableStepper();
    const host = options.host.clone();
    // Which clocksource counts as the TSC is the kernel's to say, and no host knows its kernel.
    host.clocksource = gtodIsBasedOnTsc(host.vclockMode, options.switches) ? 'tsc' : 'other';
    this.#host = this.#stepper.host(host);
    this.#run = new Run(this.#host, this.#vms, this.switches, options.shows);
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
    const plan = this.#plans.of(input, this.#count);
    const { head } = this.#run;
    if (!plan.mayBeBare || !takeBare(input, head)) {
      checkShape(input, plan.shape, head, this.#count);
    }
    return this.#dispatched(this.#happen(input, plan, source));
  }

  /**
   * Lets inputs of a batch happen, which whoever reads a log has checked, until one comes to something:
   * it shows something, has to do with the masterclock, is refused, names no VM, or is of a type that
   * stops.
   *
   * @param from - row of the first.
   * @param to - behind the row of the last; more than `from`.
   * @param stops - by code: types after which to stop in any case.
   * @returns what the last that happened came to; those before it came to nothing. `count` tells how
   * many they were.
   * @throws InputError when one cannot have happened, which changed nothing; those before it happened.
   */
  dispatchRows(batch: InputRows, from: number, to: number, stops: Uint8Array): Dispatched {
    const run = this.#run;
    for (let row = from; ; ) {
      const passed = this.#passCalm(batch, row, to, stops);
      if (passed === to) return this.#dispatched(false);
      const plan = planOfCode(batch.codeOf(passed));
      const refused = this.#takeRow(batch, passed, plan);
      const isQuiet = !refused && run.isQuiet && plan.target !== HOST && stops[plan.code] === 0;
      row = passed + 1;
      if (!isQuiet || row === to) return this.#dispatched(refused);
    }
  }

  /** Lets the input of a row happen. @returns whether the kernel refused it. */
  #takeRow(batch: InputRows, row: number, plan: Plan): boolean {
    const { head } = this.#run;
    const whole = batch.whole(row);
    if (whole === undefined) head.takeRow(batch, row);
    else readHead(whole, plan.shape, head);
    return this.#happen(whole, plan, undefined);
  }

  /** Lets what can go the short way. @returns the row behind it. */
  #passCalm(batch: InputRows, from: number, to: number, stops: Uint8Array): number {
    const vm = this.#named;
    if (vm === undefined || !this.#hasTables || !mayPass(stops)) return from;
    const row = passCalm(this.#run, vm, this.#lastHalves, batch, from, to);
    this.#count += row - from;
    return row;
  }

  /** What the input that happened last came to. */
  #dispatched(refused: boolean): Dispatched {
    const { observations, masterclock } = this.#run;
    return { index: this.#count - 1, observations, masterclock, refused };
  }

  /**
   * Lets an input happen whose head the run has.
   *
   * @param whole - all of it, unless it is bare.
   * @returns whether the kernel refused it.
   */
  #happen(whole: Input | undefined, plan: Plan, source: ReadingSource | undefined): boolean {
    const run = this.#run;
    run.begin(plan.code, whole, source);
    if (isBefore(run.head.tsc, this.#last[0]!)) this.#goBack(plan);
    if (!this.#find(plan)) this.#checkNames(plan);
    const refusal = admit(plan.admission, run, this.#fail);
    if (refusal === undefined) {
      if (plan.life === undefined) plan.walk(run);
      else this.#walkLife(plan);
    } else {
      run.refuse(refusal);
    }
    this.#count += 1;
    this.#last[0] = run.head.tsc;
    return refusal !== undefined;
  }

  /** The TSC is less than it was: it may be after a sleep, or when it is known to be unstable. */
  #goBack({ mayGoBack, shape }: Plan): void {
    const { head, input } = this.#run;
    checkShape(input, shape, head, this.#count);
    if (mayGoBack || this.#host.state.tsc === 'unstable') return;
    const found = String(head.tsc);
    this.#fail('tsc-backwards', `a TSC of at least ${this.lastTsc}`, found);
  }

  /**
   * Gives the turn to the VM and vCPU that an input names, which mostly is the VM that the input
   * before named.
   *
   * @returns whether they are there.
   */
  #find({ target }: Plan): boolean {
    const run = this.#run;
    if (target === HOST) {
      run.vmOf = undefined;
      run.vcpuCell = undefined;
      return true;
    }
    const { vm: id, vcpu } = run.head;
    let vm = this.#named;
    if (vm === undefined || vm.id !== id) this.#named = vm = this.#vms.get(id);
    const cell = vm === undefined || target === VM ? undefined : vcpuOf(vm, vcpu);
    // To write what is there already would cost more than to compare it.
    if (run.vmOf !== vm) run.vmOf = vm;
    if (run.vcpuCell !== cell) run.vcpuCell = cell;
    return (target === VM ? vm : cell) !== undefined;
  }

  /** What an input names and is not there is what it creates, or is no name at all. */
  #checkNames({ target, life, shape }: Plan): void {
    const { vmOf, head, input } = this.#run;
    checkShape(input, shape, head, this.#count);
    if (life === 'begins' && (vmOf !== undefined || target === VM)) return;
    if (vmOf === undefined) this.#fail('no-such-vm', 'a VM that exists', `VM ${head.vm}`);
    this.#fail('no-such-vcpu', 'a vCPU that exists', `vCPU ${head.vcpu} of VM ${head.vm}`);
  }

  /** Walks what makes a VM or vCPU, or ends a VM. */
  #walkLife(plan: Plan): void {
    if (plan.life === 'begins') this.#create(plan);
    plan.walk(this.#run);
    if (plan.life === 'ends') this.#forget(this.#run.head.vm);
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
    const vm: VmOf = {
      id,
      cell: this.#stepper.vm(state, `vm ${id}`),
      vcpus: new Map(),
      inOrder: [],
      byId: [],
    };
    this.#vms.set(id, vm);
    return vm;
  }

  #addVcpu(vm: VmOf, id: number, state: VcpuState): VcpuCell {
    const cell = this.#stepper.vcpu(state, `vm ${vm.id} vcpu ${id}`);
    vm.vcpus.set(id, cell);
    vm.inOrder.push(cell);
    if (id < SMALL_VCPU_IDS) vm.byId[id] = cell;
    return cell;
  }
}
