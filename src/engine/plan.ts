/**
 * What the type of an input says by itself, found out once: what its members are, what must hold for
 * it to happen, and its way through the machines.
 */
import {
  BARE_TYPES,
  INPUT_TYPES,
  type Input,
  type InputOf,
  type InputType,
} from '../../events/index.ts';
import { type Admission, admissionOf } from './admit.ts';
import { refuseType, type Shape, shapeOf, typeOf } from './input-shape.ts';
import type { Run } from './run.ts';
import { MSR_WALKS, WALKS } from './tables/routes.ts';

/** Lets the machines react to an input. */
type Walk = (run: Run) => void;

/** What inputs of each type do, but for those whose way depends on the MSR they write. */
export type Walks = Readonly<Record<Exclude<InputType, 'wrmsr' | 'KVM_SET_MSRS'>, Walk>>;

/** What a write of an MSR does, by who writes. */
export type MsrWalks = ReadonlyMap<number, { readonly wrmsr: Walk; readonly KVM_SET_MSRS: Walk }>;

/** Targets of inputs. */
export const HOST = 0;
export const VM = 1;
const VCPU = 2;

/** How inputs of a type are dispatched. */
export interface Plan {
  readonly type: InputType;
  readonly code: number;
  /** What it names: nothing, a VM, or one of its vCPUs. A number, as all inputs compare it. */
  readonly target: typeof HOST | typeof VM | typeof VCPU;
  /** The host's TSC may have gone backwards since the input before. */
  readonly mayGoBack: boolean;
  /** It makes the VM or the vCPU it names, or the VM is gone afterwards. */
  readonly life: 'begins' | 'ends' | undefined;
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

const LIFE: { readonly [T in InputType]?: 'begins' | 'ends' } = {
  KVM_CREATE_VM: 'begins',
  KVM_CREATE_VCPU: 'begins',
  destroy_vm: 'ends',
};

function planOf(type: InputType, code: number): Plan {
  const shape = shapeOf(type);
  return {
    type,
    code,
    target: shape.hasVcpu ? VCPU : shape.hasVm ? VM : HOST,
    mayGoBack: type === 'resume' || type === 'cpu_online',
    life: LIFE[type],
    shape,
    mayBeBare: BARE_TYPES.has(type),
    admission: admissionOf(type),
    walk: type === 'wrmsr' || type === 'KVM_SET_MSRS' ? walkByMsr : WALKS[type],
  };
}

/** By the code of the type, and by the type. */
const PLAN_OF_CODE: readonly Plan[] = INPUT_TYPES.map(planOf);
const PLANS: ReadonlyMap<unknown, Plan> = new Map(PLAN_OF_CODE.map((plan) => [plan.type, plan]));

/** The plan of a type by its code. */
export const planOfCode = (code: number): Plan => PLAN_OF_CODE[code]!;

/** The plan of a type. */
export const planOfType = (type: InputType): Plan => PLANS.get(type)!;

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
