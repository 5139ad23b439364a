/** What the type of an input says by itself, found out once: which checks it needs, and its steps. */
import { INPUTS, type Input, type InputTarget, type InputType } from '../../events/index.ts';
import { MSR_ROUTES } from './msr-routes.ts';
import { ROUTES } from './routes.ts';
import { type Step, stepsOf } from './steps.ts';

/** How inputs of a type are dispatched. */
export interface Plan {
  readonly hasCpu: boolean;
  readonly hasMsr: boolean;
  readonly target: InputTarget;
  /** It acts on a vCPU that there is. */
  readonly hasVcpu: boolean;
  /** It is subject to `checkNested`. */
  readonly hasLimits: boolean;
  /** `undefined` where they depend on the MSR. */
  readonly steps: readonly Step[] | undefined;
}

function planOf(type: InputType): Plan {
  const { target, fields } = INPUTS[type];
  const goesByMsr = type === 'wrmsr' || type === 'KVM_SET_MSRS';
  return {
    hasCpu: 'cpu' in fields,
    hasMsr: 'index' in fields,
    target,
    hasVcpu: target === 'vcpu' && type !== 'KVM_CREATE_VCPU',
    hasLimits:
      type === 'kvm_nested_vmenter' || type === 'kvm_nested_vmexit' || type === 'KVM_SET_CPUID2',
    steps: goesByMsr ? undefined : stepsOf(ROUTES[type]),
  };
}

const PLANS: ReadonlyMap<InputType, Plan> = new Map(
  (Object.keys(INPUTS) as InputType[]).map((type) => [type, planOf(type)]),
);

const MSR_STEPS = new Map(
  [...MSR_ROUTES].map(([index, { wrmsr, KVM_SET_MSRS }]) => [
    index,
    { wrmsr: stepsOf(wrmsr), KVM_SET_MSRS: stepsOf(KVM_SET_MSRS) },
  ]),
);

/** The plan of a type. */
export const planFor = (type: InputType): Plan => PLANS.get(type)!;

/** The steps of an input; those of a write to an MSR go by the MSR. */
export function stepsFor(input: Input, plan: Plan): readonly Step[] {
  if (plan.steps !== undefined) return plan.steps;
  return input.type === 'wrmsr' || input.type === 'KVM_SET_MSRS'
    ? MSR_STEPS.get(input.index)![input.type]
    : [];
}
