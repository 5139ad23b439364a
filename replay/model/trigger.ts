/** What an input did, as the cause of what came of it. */
import { type Input, MSRS } from '../../events/index.ts';
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

function kindOf(input: Input, msr: keyof typeof MSRS | undefined): CauseKind {
  if (input.type === 'wrmsr' && msr !== undefined) return `guest wrote ${msr}`;
  return KINDS[input.type] ?? input.type;
}

/** An input as a cause; `index`: how many came before it. */
export function causeOf(input: Input, index: number): Cause {
  const msr = 'index' in input ? MSR_NAMES.get(input.index) : undefined;
  const kind = kindOf(input, msr);
  const { type, tsc: timestamp } = input;
  const trigger = { input: index + 1, type };
  if (!('vcpu' in input)) return { kind, timestamp, trigger };
  const { vcpu } = input;
  return msr === undefined
    ? { kind, timestamp, vcpu, trigger }
    : { kind, timestamp, vcpu, msr, trigger };
}
