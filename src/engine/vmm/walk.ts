/** How a VMM's policy is walked: what each composite event comes to, at the instants of a plan. */
import type { Composite, Input, InputType, Observation } from '../../../events/index.ts';
import type { VmmSignal, VmmVcpuSignal } from '../../../machines/index.ts';
import {
  hasTscControl,
  realtimeAt,
  VcpuState,
  type VmmCtx,
  type VmmState,
  VmmVcpuState,
} from '../../clock/index.ts';
import type { Machine } from '../stepper.ts';
import type { Dispatched, World } from '../world.ts';
import type { Call, MakeCall, VmmPhase, VmmRoute } from './phase.ts';
import { Instants, type Plan } from './plan.ts';

/** One input of an event, and what it came to. */
export interface PerformedInput {
  readonly input: Input;
  readonly dispatched: Dispatched;
}

/** A saved VM, as it travels: plain data that survives JSON. */
export interface SavedVm {
  readonly vmm: Record<string, unknown>;
  /** In order of their first plugging. */
  readonly vcpus: readonly Record<string, unknown>[];
}

/** A VMM's machine. */
export type VmmCell = Machine<VmmState, VmmSignal, VmmCtx>;
/** The machine of a VMM's vCPU. */
export type VmmVcpuCell = Machine<VmmVcpuState, VmmVcpuSignal, VmmCtx>;

/** Ioctls that read CLOCK_REALTIME. */
const READS_REALTIME: ReadonlySet<InputType> = new Set([
  'KVM_GET_CLOCK',
  'KVM_SET_CLOCK',
  'KVM_GET_TSC_STATE',
  'KVM_SET_TSC_STATE',
]);

const NO_VCPU = new VmmVcpuState();
const NO_KVM = new VcpuState();
const BOOT_VCPU = 0;

/** The machines of a VMM, for one walk. */
export interface Cells {
  readonly vmm: VmmCell;
  readonly vcpus: ReadonlyMap<number, VmmVcpuCell>;
  readonly saved: { readonly vmm: VmmState; readonly vcpus: readonly VmmVcpuState[] } | undefined;
  readonly cellOf: (id: number) => VmmVcpuCell;
}

/** One event on its way. */
export class Walk {
  readonly #world: World;
  readonly #vm: number;
  readonly #inputs: PerformedInput[] = [];
  #kept: SavedVm | undefined;
  readonly #cells: Cells;
  readonly #instants: Instants;
  readonly #ctx: VmmCtx;
  #turn: VmmVcpuCell | undefined;
  #savedVcpu: VmmVcpuState | undefined;
  #result: Observation | undefined;

  constructor(world: World, vm: number, event: Composite, plan: Plan, cells: Cells) {
    this.#world = world;
    this.#vm = vm;
    this.#cells = cells;
    this.#instants = new Instants(plan);
    this.#turn = 'vcpu' in event ? cells.cellOf(event.vcpu) : undefined;
    this.#ctx = this.#makeCtx(event);
  }

  #makeCtx(event: Composite): VmmCtx {
    const walk = this;
    return {
      event,
      switches: this.#world.switches,
      get realtimeNs() {
        const { host, lastTsc } = walk.#world;
        return walk.#instants.realtimeAt(lastTsc) ?? realtimeAt(host, lastTsc);
      },
      saved: this.#cells.saved?.vmm,
      tscControl: hasTscControl(this.#world.host, this.#world.switches),
      get result() {
        return walk.#result;
      },
      get savedVcpu() {
        return walk.#savedVcpu;
      },
      get vmm() {
        return walk.#cells.vmm.state;
      },
      get vcpu() {
        return walk.#turn?.state ?? NO_VCPU;
      },
      get kvm() {
        return walk.#kvmOf(this.vcpu.vcpuId);
      },
      get bootVcpu() {
        return walk.#cells.vcpus.get(BOOT_VCPU)?.state ?? NO_VCPU;
      },
      get bootKvm() {
        return walk.#kvmOf(BOOT_VCPU);
      },
    };
  }

  #kvmOf(id: number): Readonly<VcpuState> {
    return this.#world.vms.get(this.#vm)?.vcpus.get(id)?.state ?? NO_KVM;
  }

  /** What was done so far. */
  get inputs(): readonly PerformedInput[] {
    return this.#inputs;
  }

  /** What was saved, if it came to that. */
  get saved(): SavedVm | undefined {
    return this.#kept;
  }

  walk(route: VmmRoute): void {
    for (const phase of route) this.#do(phase);
  }

  #do(phase: VmmPhase): void {
    const ctx = this.#ctx;
    if ('vmm' in phase) {
      this.#cells.vmm.step(phase.vmm, ctx);
      if (phase.vmm === 'SAVE') this.#save();
    } else if ('vcpu' in phase) {
      this.#turn?.step(phase.vcpu, ctx);
    } else if ('callVm' in phase) {
      this.#instants.group(() => this.#call(phase.callVm(ctx)));
      if (phase.then !== undefined) this.#cells.vmm.step(phase.then, ctx);
    } else if ('callVcpu' in phase) {
      this.#instants.group(() => this.#callVcpu(phase.callVcpu(ctx)));
    } else if ('ioctl' in phase) {
      this.#instants.group(() => this.#ioctl(phase.ioctl, phase.then));
    } else if ('when' in phase) {
      if (phase.when(ctx)) this.walk(phase.phases);
    } else if ('moment' in phase) {
      this.#instants.reach(phase.moment);
    } else {
      this.#each(phase.each, phase.phases);
    }
  }

  /** Its thread takes the vCPU onto its CPU and off again. */
  #ioctl(makes: readonly MakeCall[], then: VmmVcpuSignal | undefined): void {
    const ctx = this.#ctx;
    this.#callVcpu({ type: 'vcpu_load', cpu: ctx.vcpu.cpu });
    for (const make of makes) {
      this.#callVcpu(make(ctx));
      if (then !== undefined) this.#turn?.step(then, ctx);
    }
    const result = this.#result;
    this.#callVcpu({ type: 'vcpu_put' });
    this.#result = result;
  }

  #each(which: 'plugged' | 'saved', route: VmmRoute): void {
    const before = this.#turn;
    if (which === 'saved') {
      for (const saved of this.#cells.saved?.vcpus ?? []) {
        this.#savedVcpu = saved;
        this.#turn = this.#cells.cellOf(saved.vcpuId);
        this.walk(route);
      }
      this.#savedVcpu = undefined;
    } else {
      for (const cell of this.#cells.vcpus.values()) {
        if (cell.state.life !== 'plugged') continue;
        this.#turn = cell;
        this.walk(route);
      }
    }
    this.#turn = before;
  }

  #save(): void {
    const states = [...this.#cells.vcpus.values()].map(({ state }) => state);
    const plugged = states.filter(({ life }) => life === 'plugged');
    this.#kept = {
      vmm: this.#cells.vmm.state.toJSON(),
      vcpus: plugged.map((vcpu) => vcpu.toJSON()),
    };
  }

  #callVcpu(call: Call): void {
    this.#call(call, { vcpu: this.#ctx.vcpu.vcpuId });
  }

  #call(call: Call, name: { readonly vcpu?: number } = {}): void {
    const tsc = this.#instants.next();
    const realtime = READS_REALTIME.has(call.type) ? this.#instants.realtimeAt(tsc) : undefined;
    const readings = realtime === undefined ? {} : { readings: { 'realtime.ns': realtime } };
    const input = { ...call, vm: this.#vm, ...name, tsc, ...readings } as Input;
    const dispatched = this.#world.dispatch(input);
    this.#inputs.push({ input, dispatched });
    this.#result = dispatched.observations.findLast(
      ({ type }) => type === 'ioctl_result' || type === 'msr_result',
    );
  }
}
