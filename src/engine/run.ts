/** One input on its way through the machines. */
import type { Input, Observation } from '../../events/index.ts';
import {
  type Ctx,
  MASTERCLOCK_DECISIONS,
  type MasterclockDecision,
  VcpuState,
  VmState,
} from '../clock/index.ts';
import type { Switches } from '../profiles/index.ts';
import type { Refusal } from './admit.ts';
import type { Route } from './phase.ts';
import { type ReadingSource, ReadingsOf } from './readings.ts';
import type { HostCell, VcpuCell, VmCell } from './stepper.ts';

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

const rankOf = (decision: MasterclockDecision): number => MASTERCLOCK_DECISIONS.indexOf(decision);

/** One input on its way. */
export class Run {
  readonly ctx: Ctx;
  readonly readings: ReadingsOf;
  readonly observations: Observation[] = [];
  masterclock = NOT_REACHED;
  readonly #host: HostCell;
  readonly #vms: ReadonlyMap<number, VmOf>;
  readonly #turn: Turn;

  constructor(
    host: HostCell,
    vms: ReadonlyMap<number, VmOf>,
    turn: Turn,
    input: Input,
    switches: Switches,
    source: ReadingSource | undefined,
  ) {
    this.#host = host;
    this.#vms = vms;
    this.#turn = turn;
    const { observations } = this;
    this.readings = new ReadingsOf(
      {
        input,
        switches,
        observed: observations,
        get host() {
          return host.state;
        },
        get vcpu() {
          return turn.vcpu?.state;
        },
      },
      source,
    );
    this.ctx = this.#makeCtx(input, switches);
  }

  /** Reads the structs where they are now: a step may have replaced them. */
  #makeCtx(input: Input, switches: Switches): Ctx {
    const host = this.#host;
    const turn = this.#turn;
    return {
      input,
      switches,
      read: this.readings.read,
      get host() {
        return host.state;
      },
      get vm() {
        return turn.vm?.cell.state ?? NO_VM;
      },
      get vcpu() {
        return turn.vcpu?.state ?? NO_VCPU;
      },
      get bootVcpu() {
        const first = turn.vm?.vcpus.values().next().value;
        return first?.state ?? NO_VCPU;
      },
      out: {
        emit: (seen) => {
          this.observations.push({ vm: turn.vm?.id ?? -1, ...seen } as Observation);
        },
        considered: (decision, by) => {
          this.#consider(decision, by);
        },
      },
    };
  }

  /** The first of the highest rank counts: what asked first, or what the last update came to. */
  #consider(decision: MasterclockDecision, by: string): void {
    const higher = rankOf(decision) > rankOf(this.masterclock.decision);
    if (higher || this.masterclock === NOT_REACHED || decision === 'recomputed') {
      this.masterclock = { decision, by };
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
    this.readings.turn(index);
  }

  /** The kernel's answer, and nothing else. */
  refuse(refusal: Refusal): void {
    const vcpu = 'vcpu' in this.ctx.input ? { vcpu: this.ctx.input.vcpu } : {};
    if ('gp' in refusal && 'index' in this.ctx.input) {
      this.ctx.out.emit({ type: 'msr_result', ...vcpu, index: this.ctx.input.index, ok: false });
    } else if ('errno' in refusal) {
      const { type: name } = this.ctx.input;
      this.ctx.out.emit({ type: 'ioctl_result', ...vcpu, name, ret: -refusal.errno });
    }
  }
}
