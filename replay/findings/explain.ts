/**
 * Why a clock moved: from a change and what happened before it to a mechanism, a cause in a few
 * words and a reason in sentences. Only the recording is asked, no model of the kernel.
 */

import { asS64 } from '../../src/num/index.ts';
import { type Cause, offsetCause, pageCause } from '../causes.ts';
import { isNegative, isStable } from '../guest-clock.ts';
import type { Vcpu } from '../identity/vm.ts';
import { formatNs, formatRate, formatSignedNs, groups, rounded } from '../quantity.ts';
import { explainKnown, startsAgain } from './explain-known.ts';
import type { Explanation } from './finding.ts';
import type { ClockChange } from './jump.ts';
import { cyclesToNs, formatCycles, magnitude } from './rate.ts';
import { rawClock, rawResidue } from './raw-residue.ts';
import type { ReferenceSteps } from './reference.ts';
import { CPU_BRING_UP_NS } from './severity.ts';

/** What is known of a change beside what the vCPU's pages and offsets say. */
export interface Knowledge {
  /** Why its page has a new reference, and why its offset changed, since it last ran. */
  pageCause(vcpu: Vcpu): Cause | undefined;
  offsetCause(vcpu: Vcpu): Cause | undefined;
  /** What the host's clocks did between the two pages' references, where a model knows. */
  steps(vcpu: Vcpu, change: ClockChange, staleCycles: bigint): ReferenceSteps | undefined;
}

/** A recording: causes are found by what came before, the host's clocks are not seen. */
export const SEEN_IN_RECORDING: Knowledge = {
  pageCause: (vcpu) => pageCause(vcpu, vcpu.vm),
  offsetCause,
  steps: () => undefined,
};

/** What the explanation may look at beside the change itself. */
export interface Circumstances {
  readonly vcpu: Vcpu;
  /** What TSC writes moved this vCPU's TSC by since its page was last written, signed cycles. */
  readonly staleCycles: bigint;
  /** The host slept since the old reference was taken. */
  readonly slept: boolean;
  readonly knowledge: Knowledge;
}

/** A residue below this share of a jump is rounding and reading time, not another mechanism. */
const RESIDUE_SHARE = 100n;

/** No host clock can be steered by more than a tenth and 500 ppm; a fifth is no rate. */
const LEAST_RATE_PART = 5n;
/** Each of the two readings is rounded down. */
const ROUNDING_NS = 2n;

export function explain(change: ClockChange, around: Circumstances): Explanation {
  const cause = causeOf(change, around);
  const why = explainChange(change, around, cause);
  const trigger = cause?.trigger;
  const real = !change.wraps && why.mechanism !== 'negative-time';
  const failsBringUp = change.deltaNs >= CPU_BRING_UP_NS && real;
  if (!failsBringUp && trigger === undefined) return why;
  const consequence = ' A CPU that the guest is bringing up fails: Linux waits 10 s for it.';
  return {
    mechanism: why.mechanism,
    cause: why.cause,
    reason: failsBringUp ? why.reason + consequence : why.reason,
    predictedNs: why.predictedNs,
    remainderNs: why.remainderNs,
    trigger,
  };
}

/**
 * The change as a guest counts it whose clock starts again: the page's time is negative, and by when
 * it is read its sum has wrapped to the little that has passed since.
 */
export function asCounted(change: ClockChange, around: Circumstances): ClockChange {
  if (!isNegative(change.to) && !isNegative(change.from)) return change;
  const { vcpu, knowledge, staleCycles } = around;
  const steps = knowledge.steps(vcpu, change, staleCycles);
  if (steps === undefined || !startsAgain(steps, causeOf(change, around))) return change;
  return { ...change, deltaNs: asS64(change.deltaNs) };
}

function causeOf({ pageChanged }: ClockChange, { vcpu, knowledge }: Circumstances) {
  const ofPage = pageChanged ? knowledge.pageCause(vcpu) : undefined;
  return ofPage ?? knowledge.offsetCause(vcpu);
}

function explainChange(
  change: ClockChange,
  around: Circumstances,
  cause: Cause | undefined,
): Explanation {
  const { vcpu, knowledge } = around;
  if (!change.pageChanged) return explainOffset(change, vcpu, cause);
  const told = describeCause(cause, vcpu);
  const steps = knowledge.steps(vcpu, change, around.staleCycles);
  const again = steps !== undefined && startsAgain(steps, cause);
  if (!again && (isNegative(change.to) || isNegative(change.from))) {
    return explainNegative(change, told);
  }
  if (steps !== undefined) return explainKnown(change, steps, { cause, told });
  if (cause?.kind === 'KVM_SET_CLOCK') {
    return {
      mechanism: 'set-clock',
      cause: told,
      reason: `KVM_SET_CLOCK moved the VM's clock by ${formatSignedNs(change.deltaNs)}; the page follows at this entry.`,
    };
  }
  const takenBack = explainRefresh(change, around.staleCycles, told);
  if (takenBack !== undefined) return takenBack;
  if (!isStable(change.from) || !isStable(change.to)) return explainOwnReference(change, told);
  return explainReference(change, around, told);
}

/** A cause in a few words. */
function describeCause(cause: Cause | undefined, vcpu: Vcpu): string {
  if (cause === undefined) return 'a clock update';
  if (cause.vcpu === undefined) return cause.kind;
  const whose = cause.vcpu === vcpu.id ? 'its' : `vCPU ${cause.vcpu}'s`;
  switch (cause.kind) {
    case 'vCPU created':
      return cause.vcpu === vcpu.id ? 'its creation' : `vCPU ${cause.vcpu} was created`;
    case 'KVM_SET_MSRS':
      return `a host write of ${whose} ${cause.msr ?? 'MSRs'}`;
    case 'KVM_SET_DEVICE_ATTR':
      return `KVM_VCPU_TSC_OFFSET on vCPU ${cause.vcpu}`;
    default:
      return cause.kind.replace(
        /^guest/,
        cause.vcpu === vcpu.id ? 'its guest' : `vCPU ${cause.vcpu}'s guest`,
      );
  }
}

function explainOffset(change: ClockChange, vcpu: Vcpu, cause: Cause | undefined): Explanation {
  const cycles = formatCycles(change.offsetCycles);
  const byGuest = cause?.kind.startsWith('guest') ?? false;
  const wrapped = change.wraps
    ? ' The TSC is now on the other side of the page’s tsc_timestamp, so the difference wraps.'
    : '';
  return {
    mechanism: byGuest ? 'guest-tsc-write' : 'tsc-write',
    cause: cause === undefined ? 'a TSC offset write' : describeCause(cause, vcpu),
    reason: `The TSC moved by ${cycles} and the page was not refreshed.${wrapped}`,
  };
}

function explainNegative(change: ClockChange, cause: string): Explanation {
  const [page, when] = isNegative(change.to)
    ? [change.to, 'now holds']
    : [change.from, 'held until now'];
  const negative = BigInt.asIntN(64, page.systemTime);
  const really = BigInt.asIntN(64, change.deltaNs);
  return {
    mechanism: 'negative-time',
    cause,
    reason: `The page ${when} a system_time of ${negative} ns, unsigned ${page.systemTime}. To 64-bit arithmetic the step is ${formatSignedNs(really)}; a reader that divides first (Hyper-V's reference time) sees 584 years.`,
  };
}

function explainRefresh(
  change: ClockChange,
  staleCycles: bigint,
  cause: string,
): Explanation | undefined {
  if (staleCycles === 0n) return undefined;
  const staleNs = cyclesToNs(change.from, staleCycles);
  const remainderNs = change.deltaNs + staleNs;
  if (!change.wraps && magnitude(remainderNs) * RESIDUE_SHARE > magnitude(staleNs))
    return undefined;
  const cycles = formatCycles(staleCycles);
  return {
    mechanism: 'refreshed',
    cause,
    reason: `The page is written anew and takes back what TSC writes of ${cycles} (${formatSignedNs(staleNs)}) had moved the clock by.`,
    predictedNs: change.wraps ? undefined : -staleNs,
    remainderNs: change.wraps ? undefined : remainderNs,
  };
}

function explainOwnReference(change: ClockChange, cause: string): Explanation {
  const before = isStable(change.from);
  if (before === isStable(change.to)) {
    return {
      mechanism: 'own-reference',
      cause,
      reason: `No masterclock: the page took a reference of its own ${sinceReference(change)}.`,
    };
  }
  return {
    mechanism: 'masterclock-switch',
    cause: before ? 'the masterclock was lost' : 'the masterclock came back',
    reason: before
      ? `The page left the VM's common reference for one of its own ${sinceReference(change)}.`
      : `The page left a reference of its own for the VM's common one ${sinceReference(change)}.`,
  };
}

/** Both pages are masterclock pages: the base clock and the page differ in rate. */
function explainReference(
  change: ClockChange,
  { slept, vcpu: { scaled } }: Circumstances,
  cause: string,
): Explanation {
  const elapsed = elapsedNs(change);
  const predictedNs = scaled ? undefined : rawResidue(change.from, change.elapsedCycles);
  const remainderNs = predictedNs === undefined ? undefined : change.deltaNs - predictedNs;
  if (slept) {
    return {
      cause,
      reason: `The host slept since the last reference, ${formatNs(elapsed)} ago by its TSC: boot time counted ${formatSignedNs(change.deltaNs)} against the TSC.`,
      mechanism: 'suspend',
      predictedNs,
      remainderNs,
    };
  }
  const since = `New reference after ${formatNs(elapsed)}`;
  const told = (mechanism: Explanation['mechanism'], reason: string): Explanation => ({
    mechanism,
    cause,
    reason,
    predictedNs,
    remainderNs,
  });
  if (magnitude(change.deltaNs) <= ROUNDING_NS) {
    return told(undefined, `${since}: no more than its rounding to whole nanoseconds.`);
  }
  if (predictedNs !== undefined && fits(change.deltaNs, predictedNs)) {
    const khz = groups(rawClock(change.from)?.khz ?? 0);
    const rate = formatRate(predictedNs, elapsed);
    const reason = `${since}: MONOTONIC_RAW runs ${rate} against a page of ${khz} kHz, which predicts ${formatSignedNs(predictedNs)}.`;
    return told('raw-residue', reason);
  }
  if (magnitude(change.deltaNs) * LEAST_RATE_PART > elapsed) {
    const reason = `${since}, too soon for two clocks to part so far: the VM's clock was set, though the recording does not show it.`;
    return told('unseen-set', reason);
  }
  const rate = formatRate(change.deltaNs, elapsed);
  const reason = `${since}: the host clock behind it ran ${rate} against the page.`;
  return told('base-rate', reason);
}

const fits = (delta: bigint, predicted: bigint): boolean =>
  magnitude(delta - predicted) <= ROUNDING_NS + magnitude(predicted) / RESIDUE_SHARE;

const elapsedNs = ({ from, elapsedCycles }: ClockChange): bigint => cyclesToNs(from, elapsedCycles);

const sinceReference = (change: ClockChange): string =>
  `${rounded(elapsedNs(change), 1e6, 3)} s after the last`;
