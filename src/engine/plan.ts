/**
 * What the type of an input says by itself, found out once: what its members are, what must hold for
 * it to happen, and its way through the machines.
 */
import { INPUTS, type Input, type InputOf, type InputType } from '../../events/index.ts';
import { type Admission, admissionOf } from './admit.ts';
import { mayBeBare, refuseType, type Shape, shapeOf, typeOf } from './input-shape.ts';
import type { Run } from './run.ts';
import { MSR_WALKS, WALKS } from './tables/routes.ts';

/** Lets the machines react to an input. */
type Walk = (run: Run) => void;

/** What inputs of each type do, but for those whose way depends on the MSR they write. */
export type Walks = Readonly<Record<Exclude<InputType, 'wrmsr' | 'KVM_SET_MSRS'>, Walk>>;

/** What a write of an MSR does, by who writes. */
export type MsrWalks = ReadonlyMap<number, { readonly wrmsr: Walk; readonly KVM_SET_MSRS: Walk }>;

/** How inputs of a type are dispatched. */
export interface Plan {
  readonly type: InputType;
  /** It names a VM; and one of its vCPUs. */
  readonly hasVm: boolean;
  readonly hasVcpu: boolean;
  /** The host's TSC may have gone backwards since the input before. */
  readonly mayGoBack: boolean;
  /** It makes the VM or the vCPU it names. */
  readonly creates: boolean;
  /** The VM it names is gone afterwards. */
  readonly endsVm: boolean;
  readonly shape: Shape;
  /** It may have nothing but an instant, a VM and a vCPU. */
  readonly mayBeBare: boolean;
  readonly admission: Admission;
  readonly walk: Walk;
}

/** A write to an MSR, which was found to be one of the clock's. */
const walkByMsr: Walk = (run) => {
  const { type, index } = run.input as InputOf<'wrmsr' | 'KVM_SET_MSRS'>;
  MSR_WALKS.get(index)![type](run);
};

function planOf(type: InputType): Plan {
  const shape = shapeOf(type);
  return {
    type,
    hasVm: shape.hasVm,
    hasVcpu: shape.hasVcpu,
    mayGoBack: type === 'resume' || type === 'cpu_online',
    creates: type === 'KVM_CREATE_VM' || type === 'KVM_CREATE_VCPU',
    endsVm: type === 'destroy_vm',
    shape,
    mayBeBare: mayBeBare(shape),
    admission: admissionOf(type),
    walk: type === 'wrmsr' || type === 'KVM_SET_MSRS' ? walkByMsr : WALKS[type],
  };
}

const PLANS: ReadonlyMap<unknown, Plan> = new Map(
  (Object.keys(INPUTS) as InputType[]).map((type) => [type, planOf(type)]),
);

/** Finds the plans of inputs. Mostly two types take turns, entry and exit: these are tried first. */
export class Plans {
  #last = PLANS.get('kvm_exit')!;
  #other = PLANS.get('kvm_entry')!;

  /**
   * The plan of a value's type.
   *
   * @param index - how many inputs came before, for the error.
   * @throws InputError when it is no input at all.
   */
  of(value: Input, index: number): Plan {
    const type = typeOf(value, index);
    const last = this.#last;
    if (last.type === type) return last;
    const other = this.#other;
    const plan = other.type === type ? other : (PLANS.get(type) ?? refuseType(type, index));
    this.#other = last;
    this.#last = plan;
    return plan;
  }
}
