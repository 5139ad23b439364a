/**
 * Why a clock moved, where a model ran the kernel: the steps between two references are known, so the
 * mechanism is the largest of them and the prediction is their sum.
 */
import type { Cause } from '../causes.ts';
import { isStable } from '../guest-clock.ts';
import { formatNs, formatRate, formatSignedNs } from '../quantity.ts';
import type { Explanation } from './finding.ts';
import type { ClockChange } from './jump.ts';
import type { MechanismId } from './mechanism.ts';
import { magnitude } from './rate.ts';
import { type ReferenceSteps, sumOf } from './reference.ts';

/** Each of the two readings is rounded down. */
const ROUNDING_NS = 2n;

/** The clock was set, and by a guest: it told where its page is. */
export const startsAgain = ({ setNs }: ReferenceSteps, cause: Cause | undefined): boolean =>
  setNs !== 0n && cause?.kind.startsWith('guest wrote MSR_KVM_SYSTEM_TIME') === true;

/** Explains a new reference by the steps that led to it; `told` is the cause in words. */
export function explainKnown(
  change: ClockChange,
  steps: ReferenceSteps,
  why: { readonly cause: Cause | undefined; readonly told: string },
): Explanation {
  const again = startsAgain(steps, why.cause);
  const mechanism = again ? 'counts-from-zero' : mechanismOf(change, steps);
  const predictedNs = sumOf(steps);
  const remainderNs = change.deltaNs - predictedNs;
  return {
    cause: why.told,
    mechanism,
    reason: `New reference after ${formatNs(steps.elapsedNs)}: ${partsOf(steps)}.`,
    // A reading on the other side of its reference wraps: no formula means that.
    ...(change.wraps ? {} : { predictedNs, remainderNs }),
  };
}

function mechanismOf(change: ClockChange, steps: ReferenceSteps): MechanismId | undefined {
  const { residueNs, sleptNs, setNs, takenBackNs } = steps;
  const steeredNs = steps.steeredNs + steps.toldNs;
  if (setNs !== 0n) return 'set-clock';
  if (magnitude(takenBackNs) > magnitude(residueNs + steeredNs + sleptNs)) return 'refreshed';
  if (sleptNs !== 0n) return 'suspend';
  if (isStable(change.from) !== isStable(change.to)) return 'masterclock-switch';
  if (!isStable(change.to)) return 'own-reference';
  if (magnitude(change.deltaNs) <= ROUNDING_NS) return undefined;
  return magnitude(steeredNs) > magnitude(residueNs) ? 'base-rate' : 'raw-residue';
}

/** The steps in words, those that are none left out. */
function partsOf(steps: ReferenceSteps): string {
  const { base, elapsedNs, residueNs, steeredNs, toldNs, sleptNs, setNs, takenBackNs } = steps;
  const rate = (ns: bigint): string =>
    elapsedNs > 0n ? `${formatSignedNs(ns)} (${formatRate(ns, elapsedNs)})` : formatSignedNs(ns);
  const counted = base === 'raw' ? 'MONOTONIC_RAW' : 'the base clock without NTP';
  const parts = [
    setNs === 0n ? '' : `the VM's offset was set by ${formatSignedNs(setNs)}`,
    sleptNs === 0n
      ? ''
      : `the host slept ${formatNs(sleptNs)} and ${counted} counted ${formatSignedNs(residueNs)} against the page`,
    steeredNs === 0n ? '' : `NTP steered the base clock by ${rate(steeredNs)}`,
    toldNs === 0n
      ? ''
      : `the base clock was read ${rate(toldNs)} beyond what the log tells of its timekeepers`,
    residueNs === 0n || sleptNs !== 0n
      ? ''
      : `${counted} counted ${rate(residueNs)} against the page`,
    takenBackNs === 0n
      ? ''
      : `writes of the TSC that the page did not follow are taken back (${formatSignedNs(takenBackNs)})`,
  ].filter((part) => part !== '');
  return parts.length === 0 ? 'the clocks agreed' : parts.join('; ');
}
