/**
 * A host with its VMs and vCPUs, to which things happen one after another.
 *
 * `dispatch` is the only way in: it admits an input, walks its route, and tells what could be seen
 * and what became of the masterclock.
 */
import { INPUTS, type Input, type Observation, type ReadingName } from '../../events/index.ts';
import {
  type Ctx,
  type HostState,
  MASTERCLOCK_DECISIONS,
  type MasterclockDecision,
  VcpuState,
  VmState,
} from '../clock/index.ts';
import { isBefore } from '../num/index.ts';
import type { Switches } from '../profiles/index.ts';
import { actorStepper } from './actor-stepper.ts';
import {
  checkCpu,
  checkEntry,
  checkHostOrder,
  checkMsr,
  checkVcpuOrder,
  checkVmOrder,
  type Fail,
  failure,
  type Refusal,
  refusalOf,
} from './admit.ts';
import { checkShape } from './input-shape.ts';
import { MSR_ROUTES } from './msr-routes.ts';
import type { Route } from './phase.ts';
import { type ReadingSource, ReadingsOf } from './readings.ts';
import { ROUTES } from './routes.ts';
import type { HostCell, Stepper, VcpuCell, VmCell } from './stepper.ts';

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

/** What a world is made of. */
export interface WorldOptions {
  readonly switches: Switches;
  /** The host as it is at first; it is not changed. */
  readonly host: HostState;
  /** What moves the machines; XState actors by default. */
  readonly stepper?: Stepper;
}

const NOT_REACHED: MasterclockRecord = {
  decision: 'kept',
  by: 'nothing on this route asks for it',
};

/** Stands for the VM and the vCPU where an input has none. */
const NO_VM = new VmState();
const NO_VCPU = VcpuState.of({ cpu: -1 });

/** Which machines have their turn. */
interface Turn {
  vm: VmOf | undefined;
  vcpu: VcpuCell | undefined;
}

export class World {
  readonly switches: Switches;
  readonly #stepper: Stepper;
  #host: HostCell;
  #vms = new Map<number, VmOf>();
  #count = 0;
  #lastTsc = 0n;

  constructor(options: WorldOptions) {
    this.switches = options.switches;
    this.#stepper = options.stepper ?? actorStepper();
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
    const fail = failure(index, String(input.type).slice(0, 40));
    checkShape(input, index);
    this.#checkInstant(input, fail);
    const turn = this.#turnOf(input, fail);
    const readings = new ReadingsOf(input, this.switches, () => this.#host.state, source);
    const run = new Run(this.#host, this.#vms, turn, input, this.switches, readings);
    const exists = input.type === 'KVM_CREATE_VCPU' && turn.vcpu !== undefined;
    const refusal = this.#admit(input, run.ctx, exists, fail);
    if (refusal === undefined) {
      this.#create(input, turn);
      run.walk(routeOf(input));
    } else {
      run.refuse(refusal);
    }
    this.#count += 1;
    this.#lastTsc = input.tsc;
    return { index, ...run.result(), derived: readings.derived, refused: refusal !== undefined };
  }

  #checkInstant(input: Input, fail: Fail): void {
    const mayGoBack =
      this.#host.state.tsc === 'unstable' || input.type === 'resume' || input.type === 'cpu_online';
    if (isBefore(input.tsc, this.#lastTsc) && !mayGoBack) {
      fail('tsc-backwards', `a TSC of at least ${this.#lastTsc}`, String(input.tsc));
    }
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

  #admit(input: Input, ctx: Ctx, exists: boolean, fail: Fail): Refusal | undefined {
    checkCpu(input, fail);
    checkMsr(input, fail);
    checkHostOrder(input, ctx, fail);
    checkVmOrder(input, ctx, fail);
    if (INPUTS[input.type].target === 'vcpu' && input.type !== 'KVM_CREATE_VCPU') {
      checkVcpuOrder(input, ctx.vcpu, fail);
      checkEntry(input, ctx, fail);
    }
    return refusalOf(input, ctx, exists);
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

/** The route of an input; a write to an MSR goes by the MSR. */
function routeOf(input: Input): Route {
  return input.type === 'wrmsr' || input.type === 'KVM_SET_MSRS'
    ? MSR_ROUTES.get(input.index)![input.type]
    : ROUTES[input.type];
}

/** One input on its way. */
class Run {
  readonly #host: HostCell;
  readonly #vms: ReadonlyMap<number, VmOf>;
  readonly #turn: Turn;
  readonly #input: Input;
  readonly #readings: ReadingsOf;
  readonly #observations: Observation[] = [];
  #masterclock = NOT_REACHED;
  readonly ctx: Ctx;

  constructor(
    host: HostCell,
    vms: ReadonlyMap<number, VmOf>,
    turn: Turn,
    input: Input,
    switches: Switches,
    readings: ReadingsOf,
  ) {
    this.#host = host;
    this.#vms = vms;
    this.#turn = turn;
    this.#input = input;
    this.#readings = readings;
    readings.turn(turn.vcpu?.state, 0);
    this.ctx = this.#makeCtx(switches);
  }

  /** Reads the structs where they are now: a step may have replaced them. */
  #makeCtx(switches: Switches): Ctx {
    const run = this;
    return {
      input: this.#input,
      switches,
      read: this.#readings.read,
      get host() {
        return run.#host.state;
      },
      get vm() {
        return run.#turn.vm?.cell.state ?? NO_VM;
      },
      get vcpu() {
        return run.#turn.vcpu?.state ?? NO_VCPU;
      },
      get bootVcpu() {
        return run.#turn.vm?.vcpus.get(0)?.state ?? NO_VCPU;
      },
      out: {
        emit: (seen) => {
          this.#observations.push({ vm: this.#turn.vm?.id ?? -1, ...seen } as Observation);
        },
        considered: (decision, by) => {
          this.#consider(decision, by);
        },
      },
    };
  }

  /** The first of the highest rank counts: what asked first, or what the last update came to. */
  #consider(decision: MasterclockDecision, by: string): void {
    const rank = (d: MasterclockDecision): number => MASTERCLOCK_DECISIONS.indexOf(d);
    const before = this.#masterclock;
    const higher = rank(decision) > rank(before.decision);
    if (higher || before === NOT_REACHED || decision === 'recomputed') {
      this.#masterclock = { decision, by };
    }
  }

  walk(route: Route): void {
    const { ctx } = this;
    for (const phase of route) {
      if ('when' in phase) {
        if (phase.when(ctx)) this.walk(phase.phases);
      } else if ('each' in phase) {
        if (phase.each === 'vm') this.#eachVm(phase.phases);
        else this.#eachVcpu(phase.phases);
      } else if (phase.level === 'host') {
        this.#host.step(phase.signal, ctx);
      } else if (phase.level === 'vm') {
        this.#turn.vm?.cell.step(phase.signal, ctx);
      } else {
        this.#turn.vcpu?.step(phase.signal, ctx);
      }
    }
  }

  #eachVm(route: Route): void {
    const { vm, vcpu } = this.#turn;
    for (const other of this.#vms.values()) {
      if (other.cell.state.life !== 'alive') continue;
      this.#take(other, undefined, 0);
      this.walk(route);
    }
    this.#take(vm, vcpu, 0);
  }

  #eachVcpu(route: Route): void {
    const { vm, vcpu } = this.#turn;
    let index = 0;
    for (const other of vm?.vcpus.values() ?? []) {
      this.#take(vm, other, index);
      this.walk(route);
      index += 1;
    }
    this.#take(vm, vcpu, 0);
  }

  #take(vm: VmOf | undefined, vcpu: VcpuCell | undefined, index: number): void {
    this.#turn.vm = vm;
    this.#turn.vcpu = vcpu;
    this.#readings.turn(vcpu?.state, index);
  }

  /** The kernel's answer, and nothing else. */
  refuse(refusal: Refusal): void {
    const vcpu = 'vcpu' in this.#input ? { vcpu: this.#input.vcpu } : {};
    if ('gp' in refusal && 'index' in this.#input) {
      this.ctx.out.emit({ type: 'msr_result', ...vcpu, index: this.#input.index, ok: false });
    } else if ('errno' in refusal) {
      const { type: name } = this.#input;
      this.ctx.out.emit({ type: 'ioctl_result', ...vcpu, name, ret: -refusal.errno });
    }
  }

  result(): Pick<Dispatched, 'observations' | 'masterclock'> {
    return { observations: this.#observations, masterclock: this.#masterclock };
  }
}
