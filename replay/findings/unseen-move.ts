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

/** A smaller move may be how late one page is written and the other not. */
const LEAST_MOVE_NS = 100_000n;
/** By how late pages are written the step may be off: at most, and as a part of the move. */
const MOST_LATE_NS = 1_000_000n;
const LATE_PART = 4n;
/** By what else it may be off, as a part of the move. */
const REST_PART = 20n;
/** A page that lies so far behind the one before is no reference that another vCPU's update took. */
const LEAST_BACK_NS = 1_000_000_000n;

/** By how much a TSC was moved, signed cycles; `back` where only that much is certain. */
export type UnseenMove = bigint | 'back';

/** How the TSC of `vcpu` was moved; `undefined` where nothing shows that it was. */
export function unseenMove(vcpu: Vcpu, change: ClockChange): UnseenMove | undefined {
  const { clock, lag, seenLag } = vcpu;
  if (clock.writtenOffset !== undefined) return undefined;
  const { from, to, elapsedCycles } = change;
  const moved = lag === undefined || seenLag === undefined ? undefined : seenLag - lag;
  if (cyclesToNs(from, elapsedCycles) < -LEAST_BACK_NS) return moved ?? 'back';
  if (moved === undefined) return undefined;
  const movedNs = cyclesToNs(from, moved);
  const size = magnitude(movedNs);
  if (size < LEAST_MOVE_NS) return undefined;
  // Not as the guest reads it, which wraps where its TSC went back.
  const stepNs = asS64(to.systemTime - from.systemTime) - cyclesToNs(from, elapsedCycles);
  const apart = magnitude(stepNs + movedNs);
  const late = size / LATE_PART;
  const mostLate = late < MOST_LATE_NS ? late : MOST_LATE_NS;
  return apart <= mostLate + size / REST_PART ? moved : undefined;
}
