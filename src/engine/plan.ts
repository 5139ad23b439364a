/**
 * What the type of an input says by itself, found out once: what its members are, what must hold for
 * it to happen, and the steps it takes.
 */
import { INPUTS, type Input, type InputTarget, type InputType } from '../../events/index.ts';
import { type Admission, admissionOf } from './admit.ts';
import { refuseType, type Shape, shapeOf, typeOf } from './input-shape.ts';
import { MSR_ROUTES } from './msr-routes.ts';
import { ROUTES } from './routes.ts';
import { type Step, stepsOf } from './steps.ts';

/** How inputs of a type are dispatched. */
export interface Plan {
  readonly type: InputType;
  readonly target: InputTarget;
  /** The host's TSC may have gone backwards since the input before. */
  readonly mayGoBack: boolean;
  /** The VM it names is gone afterwards. */
  readonly endsVm: boolean;
  readonly shape: Shape;
  readonly admission: Admission;
  /** `undefined` where they depend on the MSR. */
  readonly steps: readonly Step[] | undefined;
}

function planOf(type: InputType): Plan {
  const goesByMsr = type === 'wrmsr' || type === 'KVM_SET_MSRS';
  return {
    type,
    target: INPUTS[type].target,
    mayGoBack: type === 'resume' || type === 'cpu_online',
    endsVm: type === 'destroy_vm',
    shape: shapeOf(type),
    admission: admissionOf(type),
    steps: goesByMsr ? undefined : stepsOf(ROUTES[type]),
  };
}

const PLANS: ReadonlyMap<unknown, Plan> = new Map(
  (Object.keys(INPUTS) as InputType[]).map((type) => [type, planOf(type)]),
);

const MSR_STEPS = new Map(
  [...MSR_ROUTES].map(([index, { wrmsr, KVM_SET_MSRS }]) => [
    index,
    { wrmsr: stepsOf(wrmsr), KVM_SET_MSRS: stepsOf(KVM_SET_MSRS) },
  ]),
);

/**
 * The plan of a value's type.
 *
 * @param index - how many inputs came before, for the error.
 * @throws InputError when it is no input at all.
 */
export function planFor(value: Input, index: number): Plan {
  const type = typeOf(value, index);
  return PLANS.get(type) ?? refuseType(type, index);
}

/** The steps of an input; those of a write to an MSR go by the MSR. */
export function stepsFor(input: Input, { steps }: Plan): readonly Step[] {
  if (steps !== undefined) return steps;
  return input.type === 'wrmsr' || input.type === 'KVM_SET_MSRS'
    ? MSR_STEPS.get(input.index)![input.type]
    : [];
}
