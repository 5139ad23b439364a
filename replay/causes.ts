/**
 * What happened before a clock moved.
 *
 * KVM's clock moves at a vCPU's next entry, long after the call that asked for it and often on
 * another vCPU: a new vCPU asks for a masterclock recomputation, it is served when that vCPU first
 * runs, and every sibling's page follows at that sibling's next entry. So causes are kept with the
 * vCPU they happened to, and a recomputation takes over the causes of the vCPU that served it.
 */
import { type InputType, type IoctlName, MSRS } from '../events/index.ts';
import type { Trigger } from './findings/finding.ts';
import type { Thread } from './identity/thread.ts';
import type { Vcpu, Vm } from './identity/vm.ts';

/** Something that can move a guest's clock. */
export type CauseKind =
  | IoctlName
  | InputType
  | `guest wrote ${keyof typeof MSRS}`
  | 'guest wrote its TSC'
  | 'vCPU created'
  | 'the host resumed'
  | 'a host CPU came online'
  | 'the clocksource left the TSC';

/** Guest MSR writes that move a clock or ask for a masterclock recomputation. */
export const MSR_CAUSES: ReadonlyMap<number, CauseKind> = new Map(
  (
    [
      'IA32_TSC',
      'IA32_TSC_ADJUST',
      'MSR_KVM_SYSTEM_TIME',
      'MSR_KVM_SYSTEM_TIME_NEW',
      'HV_X64_MSR_REFERENCE_TSC',
    ] as const
  ).map((name) => [MSRS[name], `guest wrote ${name}`]),
);
/** Those that write the guest's TSC at once. */
export const TSC_CAUSES = new Set<CauseKind>([
  'guest wrote IA32_TSC',
  'guest wrote IA32_TSC_ADJUST',
]);

export interface Cause {
  readonly kind: CauseKind;
  /** Instant, ticks. */
  readonly timestamp: bigint;
  /** The vCPU it happened to. */
  readonly vcpu?: number;
  /** The MSR that a host wrote, where a log tells. */
  readonly msr?: string;
  /** The input of a log. */
  readonly trigger?: Trigger;
}

/** One masterclock recomputation (`kvm_update_master_clock`). */
export interface Recompute {
  readonly timestamp: bigint;
  readonly useMasterClock: boolean;
  readonly hostClock: number;
  readonly offsetMatched: boolean;
  /** Why, as far as that was seen. */
  readonly cause: Cause | undefined;
  /** What turned it off, where a model tells. */
  readonly offBy?: string;
}

/** A vCPU that is acted on again and again without running keeps only the latest causes. */
const MOST_CAUSES = 8;

export function addCause(vcpu: Vcpu, kind: CauseKind, timestamp: bigint): void {
  if (vcpu.causes.length === MOST_CAUSES) vcpu.causes.shift();
  vcpu.causes.push({ kind, timestamp, vcpu: vcpu.id });
}

/** Causes that write a TSC offset, the strongest explanation first. */
const OFFSET_CAUSES: readonly CauseKind[] = [
  'guest wrote IA32_TSC',
  'guest wrote IA32_TSC_ADJUST',
  'guest wrote its TSC',
  'KVM_SET_MSRS',
  'KVM_SET_DEVICE_ATTR',
  'KVM_SET_TSC_KHZ',
  'vCPU created',
];

/** Causes that make a vCPU ask for a masterclock recomputation, the strongest first. */
const RECOMPUTE_CAUSES: readonly CauseKind[] = [
  'vCPU created',
  'KVM_SET_MSRS',
  'KVM_SET_DEVICE_ATTR',
  'guest wrote IA32_TSC',
  'guest wrote MSR_KVM_SYSTEM_TIME',
  'guest wrote MSR_KVM_SYSTEM_TIME_NEW',
  'guest wrote HV_X64_MSR_REFERENCE_TSC',
  'KVM_XEN_HVM_SET_ATTR',
];

const strongest = (causes: readonly Cause[], order: readonly CauseKind[]): Cause | undefined => {
  for (const kind of order) {
    const found = causes.findLast((c) => c.kind === kind);
    if (found !== undefined) return found;
  }
  return undefined;
};

/** Why `vcpu`'s offset changed since it last ran. */
export const offsetCause = (vcpu: Vcpu): Cause | undefined => strongest(vcpu.causes, OFFSET_CAUSES);

/** Why `vcpu` asked for the recomputation it is serving. */
const recomputeCause = (vcpu: Vcpu): Cause | undefined => strongest(vcpu.causes, RECOMPUTE_CAUSES);

/** Why `thread` recomputed the masterclock of `vm`, as far as it is known whose it is. */
export function causeOfUpdate({ call, vcpu }: Thread, vm: Vm | undefined): Cause | undefined {
  if (call?.ioctl?.name === 'KVM_SET_CLOCK') {
    return { kind: 'KVM_SET_CLOCK', timestamp: call.since };
  }
  const server = call?.vcpu ?? vcpu;
  const own = server === undefined ? undefined : recomputeCause(server);
  if (own !== undefined || vm === undefined) return own;
  // Several vCPUs may have asked for what one of them serves with no cause of its own.
  for (const each of vm.vcpus.values()) {
    const cause = recomputeCause(each);
    if (cause !== undefined) return cause;
  }
  return vm.lastCall;
}

/** Why `vcpu`'s page got a new reference since it last ran. */
export function pageCause(vcpu: Vcpu, vm: Vm): Cause | undefined {
  const since = vcpu.lastEntry;
  const fresh = (timestamp: bigint | undefined): boolean =>
    timestamp !== undefined && (since === undefined || timestamp >= since);
  if (fresh(vm.lastSetClock?.timestamp)) return vm.lastSetClock;
  if (fresh(vm.lastRecompute?.timestamp)) return vm.lastRecompute?.cause;
  return strongest(vcpu.causes, RECOMPUTE_CAUSES);
}
