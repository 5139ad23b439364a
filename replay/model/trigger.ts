/** What an input did, as the cause of what came of it. */
import { INPUT_TYPES, INPUTS, type Input, MSRS } from '../../events/index.ts';
import type { Cause, CauseKind } from '../causes.ts';

const MSR_NAMES: ReadonlyMap<number, keyof typeof MSRS> = new Map(
  Object.entries(MSRS).map(([name, index]) => [index, name as keyof typeof MSRS]),
);

/** Inputs that have a cause of another name; all others are named as they are. */
const KINDS: Partial<Record<Input['type'], CauseKind>> = {
  KVM_CREATE_VCPU: 'vCPU created',
  vcpu_postcreate: 'vCPU created',
  KVM_SET_TSC_OFFSET: 'KVM_SET_DEVICE_ATTR',
  KVM_XEN_SET_SHARED_INFO: 'KVM_XEN_HVM_SET_ATTR',
  KVM_XEN_SET_VCPU_INFO: 'KVM_XEN_VCPU_SET_ATTR',
  KVM_XEN_SET_VCPU_TIME_INFO: 'KVM_XEN_VCPU_SET_ATTR',
  resume: 'the host resumed',
  cpu_online: 'a host CPU came online',
  pvclock_gtod_work: 'the clocksource left the TSC',
};

/** What the type of an input says by itself. */
interface OfType {
  readonly kind: CauseKind;
  readonly namesVcpu: boolean;
  readonly namesMsr: boolean;
}

/** What inputs of some types name. */
interface Named {
  readonly vcpu: number;
  readonly index: number;
}

const OF_TYPE: ReadonlyMap<Input['type'], OfType> = new Map(
  INPUT_TYPES.map((type) => {
    const { target, fields } = INPUTS[type];
    const kind = KINDS[type] ?? type;
    return [type, { kind, namesVcpu: target === 'vcpu', namesMsr: 'index' in fields }];
  }),
);

/** An input as a cause; `index`: how many came before it. */
export function causeOf(input: Input, index: number): Cause {
  const { type, tsc: timestamp } = input;
  const { kind, namesVcpu, namesMsr } = OF_TYPE.get(type)!;
  const trigger = { input: index + 1, type };
  if (!namesVcpu) return { kind, timestamp, trigger };
  // What the type names is there.
  const { vcpu, index: register } = input as Input & Named;
  const msr = namesMsr ? MSR_NAMES.get(register) : undefined;
  if (msr === undefined) return { kind, timestamp, vcpu, trigger };
  const named = type === 'wrmsr' ? (`guest wrote ${msr}` as const) : kind;
  return { kind: named, timestamp, vcpu, msr, trigger };
}
