/**
 * A VMM that drives one VM of a world: composite events in, inputs out.
 *
 * `perform` expands an event by the VMM's policy and dispatches what it comes to, at the instants
 * of a plan: a VMM here reads no clock. What was done keeps the event and its inputs.
 *
 * ```ts
 * const vmm = new Vmm({ world, vm: 0, policy: 'qemu' });
 * vmm.perform({ type: 'launch' }, { tsc: 1_000n, step: 500n });
 * vmm.perform({ type: 'hotplug', vcpu: 0, cpu: 0 }, { tsc: 10_000n, step: 500n });
 * ```
 */
import type { Composite, CompositeType } from '../../../events/index.ts';
import { vmmMachine, vmmVcpuMachine } from '../../../machines/index.ts';
import { VmmState, VmmVcpuState } from '../../clock/index.ts';
import { describeValue, StructJsonError } from '../../num/index.ts';
import { ActorCell, type Inspect, onCopies } from '../actor-stepper.ts';
import { InputError } from '../input-error.ts';
import type { World } from '../world.ts';
import type { Plan } from './plan.ts';
import { VMM_POLICIES, VMM_POLICY_IDS, type VmmPolicyId } from './policies.ts';
import { type PerformedInput, type SavedVm, type VmmCell, type VmmVcpuCell, Walk } from './walk.ts';

/** What was done: an event and its inputs. */
export interface Performed {
  readonly event: Composite;
  readonly inputs: readonly PerformedInput[];
  /** What a snapshot, or a migration at its source, saved. */
  readonly saved?: SavedVm;
}

/** A VMM in JSON: all there is of it but its log. */
export interface PersistedVmm extends SavedVm {
  /** What it received and has not restored yet, or has. */
  readonly received?: SavedVm;
}

/** What a VMM is made of. */
export interface VmmOptions {
  readonly world: World;
  /** The id of its VM; `launch` creates it. */
  readonly vm: number;
  readonly policy: VmmPolicyId;
  /** What `persist` of another one told, to go on from there with an equal world. */
  readonly from?: PersistedVmm;
  /** Sees every signal and snapshot of its machines. */
  readonly inspect?: Inspect;
}

/** Largest shift of a pvclock's scale, either way. */
const MAX_SHIFT = 63;

const VMM = onCopies(vmmMachine);
const VCPU = onCopies(vmmVcpuMachine);

/** In which states of the VMM an event can be. */
const POSSIBLE: Readonly<Record<CompositeType, readonly VmmState['run'][]>> = {
  launch: ['absent'],
  hotplug: ['launched', 'running', 'paused', 'saved', 'restored'],
  unplug: ['launched', 'running', 'paused', 'saved', 'restored'],
  pause: ['running'],
  resume: ['launched', 'paused', 'saved', 'restored'],
  snapshot: ['running', 'paused', 'saved'],
  migration: ['running', 'paused', 'saved'],
};

/** The struct of a VMM from JSON, checked for what its recipes count on. */
function stateFrom(json: unknown): VmmState {
  const state = VmmState.fromJSON(json);
  if (Math.abs(state.pageShift) > MAX_SHIFT) {
    throw new RangeError(`pageShift: expected −63 … 63, found ${state.pageShift}`);
  }
  return state;
}

/** What was saved of a VMM. */
interface Saved {
  readonly vmm: VmmState;
  readonly vcpus: readonly VmmVcpuState[];
}

/** It comes as JSON, from anywhere. */
function savedFrom(json: unknown): Saved {
  if (typeof json !== 'object' || json === null) {
    throw new StructJsonError('the saved VM', 'an object', describeValue(json));
  }
  const { vmm, vcpus } = json as { readonly vmm?: unknown; readonly vcpus?: unknown };
  const state = stateFrom(vmm);
  if (!Array.isArray(vcpus)) throw new StructJsonError('vcpus', 'an array', describeValue(vcpus));
  return { vmm: state, vcpus: vcpus.map((vcpu) => VmmVcpuState.fromJSON(vcpu)) };
}

export class Vmm {
  readonly #world: World;
  readonly #vm: number;
  readonly #policy: VmmPolicyId;
  readonly #inspect: Inspect | undefined;
  readonly #cell: VmmCell;
  readonly #vcpus = new Map<number, VmmVcpuCell>();
  readonly #log: Performed[] = [];
  #saved: Saved | undefined;

  /** @throws RangeError for a policy that is none; as `receive`, when `from` is no persisted VMM. */
  constructor({ world, vm, policy, from, inspect }: VmmOptions) {
    if (!Object.hasOwn(VMM_POLICIES, policy)) {
      const expected = VMM_POLICY_IDS.join(', ');
      throw new RangeError(`policy: expected one of ${expected}, found ${describeValue(policy)}`);
    }
    this.#world = world;
    this.#vm = vm;
    this.#policy = policy;
    this.#inspect = inspect;
    const saved = from === undefined ? undefined : savedFrom(from);
    this.#cell = new ActorCell(VMM, saved?.vmm ?? new VmmState(), `vmm ${vm}`, inspect);
    for (const vcpu of saved?.vcpus ?? []) this.#addCell(vcpu);
    if (from?.received !== undefined) this.receive(from.received);
  }

  /** All there is of it, as plain JSON. */
  persist(): PersistedVmm {
    const received = this.#saved;
    return {
      vmm: this.state.toJSON(),
      vcpus: [...this.#vcpus.values()].map(({ state }) => state.toJSON()),
      ...(received === undefined
        ? {}
        : {
            received: {
              vmm: received.vmm.toJSON(),
              vcpus: received.vcpus.map((vcpu) => vcpu.toJSON()),
            },
          }),
    };
  }

  /** The VMM as it is now; not to be changed. */
  get state(): Readonly<VmmState> {
    return this.#cell.state;
  }

  /** Its vCPUs by id, in order of their first plugging. */
  get vcpus(): ReadonlyMap<number, Readonly<VmmVcpuState>> {
    return new Map([...this.#vcpus].map(([id, { state }]) => [id, state]));
  }

  /** All that was done, in order. */
  get log(): readonly Performed[] {
    return this.#log;
  }

  /**
   * Does an event.
   *
   * @returns the event and its inputs, also kept in `log`.
   * @throws InputError when there is no such event, or the VMM or the vCPU is in no state for it, and
   * nothing was done; or from
   * an input that the plan or the world made impossible, before which the others were done (`log`).
   */
  perform(event: Composite, plan: Plan): Performed {
    this.#admit(event);
    const walk = new Walk(this.#world, this.#vm, event, plan, {
      vmm: this.#cell,
      vcpus: this.#vcpus,
      saved: this.#saved,
      cellOf: (id) => this.#cellOf(id),
    });
    try {
      walk.walk(VMM_POLICIES[this.#policy].routes[event.type]);
    } finally {
      const { inputs, saved } = walk;
      this.#log.push({ event, inputs, ...(saved === undefined ? {} : { saved }) });
    }
    return this.#log.at(-1)!;
  }

  /**
   * Takes what was saved elsewhere, as the `migration` that follows needs.
   *
   * @throws StructJsonError when it is no saved VM; RangeError for a page that no KVM wrote.
   */
  receive(saved: SavedVm): void {
    this.#saved = savedFrom(saved);
  }

  #cellOf(id: number): VmmVcpuCell {
    return this.#vcpus.get(id) ?? this.#addCell(VmmVcpuState.of({ vcpuId: id }));
  }

  #addCell(state: VmmVcpuState): VmmVcpuCell {
    const id = `vmm ${this.#vm} vcpu ${state.vcpuId}`;
    const cell: VmmVcpuCell = new ActorCell(VCPU, state, id, this.#inspect);
    this.#vcpus.set(state.vcpuId, cell);
    return cell;
  }

  #fail(type: CompositeType, expected: string, found: string): never {
    throw new InputError('wrong-order', { index: this.#world.count, type }, expected, found);
  }

  #admit(event: Composite): void {
    const { run } = this.state;
    if (!Object.hasOwn(POSSIBLE, event.type)) {
      const at = { index: this.#world.count, type: describeValue(event.type) };
      throw new InputError(
        'unknown-input',
        at,
        `one of ${Object.keys(POSSIBLE).join(', ')}`,
        at.type,
      );
    }
    const incoming = event.type === 'migration' && event.incoming;
    const possible = incoming ? ['launched'] : POSSIBLE[event.type];
    if (!possible.includes(run)) {
      this.#fail(event.type, `a VMM ${possible.join(' or ')}`, run);
    }
    if (incoming && this.#saved === undefined) {
      this.#fail(event.type, 'a saved VM to take over', 'nothing');
    }
    if (event.type !== 'hotplug' && event.type !== 'unplug') return;
    const plugged = this.#vcpus.get(event.vcpu)?.state.life === 'plugged';
    if (plugged === (event.type === 'hotplug')) {
      const wanted = plugged ? 'not plugged in' : 'plugged in';
      this.#fail(event.type, `vCPU ${event.vcpu} ${wanted}`, plugged ? 'plugged' : 'unplugged');
    }
  }
}
