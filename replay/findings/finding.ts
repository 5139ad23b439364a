import type { InputType } from '../../events/index.ts';
import { asS64 } from '../../src/num/index.ts';
import type { Vm } from '../identity/vm.ts';
import type { MechanismId } from './mechanism.ts';
import type { Severity } from './severity.ts';

/** What a finding is about. Declared once: types, help and reports derive from it. */
export const RULES = {
  jump: 'kvmclock moved: the page in force at an entry reads differently from the one before',
  'tsc-jump': "the guest's TSC moved under an unchanged page, and kvmclock with it",
  'cross-vcpu': 'two vCPUs of one VM read different times at one host TSC',
  'masterclock-lost': 'the STABLE bit went away: vCPUs keep time each on their own',
  'masterclock-regained': 'the STABLE bit came back',
  rate: "the page's multiplier or shift changed",
  flags: "the page's other flags changed",
  drift:
    'kvmclock runs at another rate than MONOTONIC_RAW; the next masterclock update steps by this',
  stale: 'a vCPU runs on with a page from before a masterclock update',
  divergence: 'the kernel did what the model of it does not do',
  gap: 'events are missing: what was known before is no longer known',
  unmeasured: "a vCPU's clock could not be compared with what was before",
} as const;

export type Rule = keyof typeof RULES;

/** Something a person should know. */
export interface Finding {
  readonly rule: Rule;
  severity: Severity;
  /** The VM; `undefined` where no VM is concerned or known. */
  readonly vm: Vm | undefined;
  readonly vcpu: number | undefined;
  /** Instant, ticks of the recording's clock. */
  readonly timestamp: bigint;
  /** Host TSC at that instant, cycles; `undefined` where it can't be told. */
  readonly tsc: bigint | undefined;
  /** That instant in ns of the recording's clock, or since the host's TSC was 0. */
  readonly timeNs: bigint | undefined;
  /** CLOCK_REALTIME at that instant, ns; `undefined` where it can't be told. */
  readonly wallNs: bigint | undefined;
  /** How far: new minus old, + is forward; `undefined` for rules that measure no step. */
  readonly deltaNs: bigint | undefined;
  /**
   * The same modulo 2^64, as the guest's own arithmetic reads it, where `deltaNs` is beyond 63 bits.
   */
  readonly wrappedDeltaNs: bigint | undefined;
  /** A few words: after what. */
  readonly cause: string;
  /** Sentences: how it came about. */
  reason: string;
  readonly mechanism: MechanismId | undefined;
  /** What the mechanism's formula gives, and what is left of `deltaNs` beyond it. */
  readonly predictedNs: bigint | undefined;
  readonly remainderNs: bigint | undefined;
  /**
   * `entry`: seen by the guest at a recorded entry. `unknown`: the recording has no entries.
   * `undefined`: it concerns a VM or the host, not what one vCPU saw.
   */
  readonly visibility: 'entry' | 'unknown' | undefined;
  /** The input that brought it about, where a log tells. */
  readonly trigger: Trigger | undefined;
}

/** An input of a log. */
export interface Trigger {
  /** How many inputs had been dispatched with it: the `n` of `--at n`. */
  readonly input: number;
  readonly type: InputType;
}

/** Where and when something was found. */
export interface Scene {
  readonly vm: Vm | undefined;
  readonly vcpu: number | undefined;
  readonly timestamp: bigint;
  readonly tsc: bigint | undefined;
  readonly timeNs: bigint | undefined;
  readonly wallNs?: bigint | undefined;
  readonly visibility: Finding['visibility'];
}

/** Why it came about. */
export interface Explanation {
  readonly cause: string;
  readonly reason: string;
  readonly mechanism?: MechanismId | undefined;
  readonly predictedNs?: bigint | undefined;
  readonly remainderNs?: bigint | undefined;
  readonly trigger?: Trigger | undefined;
}

/** Makes a finding. Every finding has the same fields in the same order, whatever its rule. */
export function makeFinding(
  rule: Rule,
  severity: Severity,
  scene: Scene,
  why: Explanation,
  deltaNs?: bigint,
): Finding {
  const wrapped = deltaNs === undefined ? undefined : asS64(deltaNs);
  return {
    rule,
    severity,
    vm: scene.vm,
    vcpu: scene.vcpu,
    timestamp: scene.timestamp,
    tsc: scene.tsc,
    timeNs: scene.timeNs,
    wallNs: scene.wallNs,
    deltaNs,
    wrappedDeltaNs: wrapped === deltaNs ? undefined : wrapped,
    cause: why.cause,
    reason: why.reason,
    mechanism: why.mechanism,
    predictedNs: why.predictedNs,
    remainderNs: why.remainderNs,
    visibility: scene.visibility,
    trigger: why.trigger,
  };
}
