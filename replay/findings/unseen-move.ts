/**
 * A guest's TSC that was moved by a write which is not in the recording.
 *
 * Old and new page are compared at one TSC of the guest's, which is one host TSC only while its offset
 * stays. Where writes of offsets are not recorded, the pages still show them: a page's tsc_timestamp
 * was read a little before it was written, so by how much later or earlier it lies against the host's
 * TSC than the one before is what the TSC was moved by, give or take some microseconds. If the
 * apparent step of kvmclock is just that, it is no step of kvmclock.
 */
import { asS64 } from '../../src/num/index.ts';
import type { Vcpu } from '../identity/vm.ts';
import type { ClockChange } from './jump.ts';
import { cyclesToNs, magnitude } from './rate.ts';

/** Less may be how late one page is written and the other not. */
const LEAST_NS = 1_000_000n;
/** The same, as a part of the step. */
const PART = 20n;

/** By how much the TSC of `vcpu` was moved, signed cycles; `undefined` where nothing shows that it was. */
export function unseenMove({ clock, lag, seenLag }: Vcpu, change: ClockChange): bigint | undefined {
  if (clock.writtenOffset !== undefined || lag === undefined || seenLag === undefined) {
    return undefined;
  }
  const { from, to, elapsedCycles } = change;
  const movedNs = cyclesToNs(from, seenLag - lag);
  if (magnitude(movedNs) < LEAST_NS) return undefined;
  // Not as the guest reads it, which wraps where its TSC went back.
  const stepNs = asS64(to.systemTime - from.systemTime) - cyclesToNs(from, elapsedCycles);
  const apart = magnitude(stepNs + movedNs);
  return apart <= LEAST_NS + magnitude(movedNs) / PART ? seenLag - lag : undefined;
}
