/** KVM_SET_CLOCK in a scenario: it takes time, and reads clocks at its beginning and at its end. */
import type { ReadingName } from '../../events/index.ts';
import type { Profile, Switches } from '../profiles/index.ts';
import type { SimulatedVm } from './guest.ts';
import type { Simulation } from './simulation.ts';

/** Which TSC the ioctl reads later than the first: that order is what the commits changed. */
const SECOND_READING: Readonly<Record<Switches['setClockOrder'], ReadingName | undefined>> = {
  'base-then-update': 'snapshot.tsc',
  'now-then-update': 'snapshot.tsc',
  'update-then-now': 'getClock.tsc',
  'update-then-reference': undefined,
};

/** The VMM sets the clock, now; the kernel's second reading is `delayNs` later, when it returns. */
export function setClock(
  { switches }: Profile,
  { host }: Simulation,
  vm: SimulatedVm,
  clock: bigint,
  delayNs: bigint,
): void {
  const second = SECOND_READING[switches.setClockOrder];
  const later = host.tsc + host.cycles(delayNs);
  const readings = second === undefined ? {} : { readings: { [second]: later } };
  vm.ioctl({ type: 'KVM_SET_CLOCK', clock, flags: 0, ...readings });
  host.pass(delayNs);
}
