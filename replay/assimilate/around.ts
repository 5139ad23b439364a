/** What all parts of an assimilation share. */
import type { Switches, SwitchName } from '../../src/profiles/index.ts';
import type { HostClock } from '../host-clock.ts';
import type { BaseWatch } from './base-watch.ts';
import type { Books } from './books.ts';
import type { Driver } from './driver.ts';
import type { HostModel } from './host-model.ts';
import type { KnownVcpu, KnownVm } from './known.ts';
import type { ChosenProfile } from './profile.ts';

/** Kinds of events that were seen so far: what was never seen may not have been recorded. */
interface Sees {
  calls: boolean;
  entries: boolean;
  msrs: boolean;
  offsets: boolean;
  tracks: boolean;
  pages: boolean;
  updates: boolean;
}

export interface Around {
  readonly driver: Driver;
  readonly host: HostModel;
  readonly base: BaseWatch;
  readonly books: Books;
  readonly chosen: ChosenProfile;
  readonly clock: HostClock;
  readonly sees: Sees;
}

/**
 * The recording shows that the kernel has a switch otherwise.
 *
 * @param set - what follows from it.
 * @param how - what it is that shows it, in a few words.
 * @returns the profile may be set so, and is from here on; else the kernel diverges from it.
 */
export function showOtherwise(
  { chosen, driver }: Pick<Around, 'chosen' | 'driver'>,
  name: SwitchName,
  set: Partial<Switches>,
  how: string,
): boolean {
  const switches = chosen.contradict(name, set, how);
  if (switches !== undefined) driver.setSwitches(switches);
  return switches !== undefined;
}

/** Everything that is done to this VM from outside is recorded, and named. */
export const isWatched = ({ sees, host }: Around, { vm, born }: KnownVm): boolean =>
  born && sees.calls && vm.source === 'ioctls' && !host.slept;

/** What this vCPU is asked to do is known, as far as it was asked by what is recorded. */
export function isFollowed(around: Around, known: KnownVcpu): boolean {
  const { entries, msrs, tracks, updates } = around.sees;
  const areSeen = entries && msrs && tracks && updates;
  return areSeen && known.requests && isWatched(around, known.of);
}

/** All that this vCPU is asked to do is known. */
export const asksAreKnown = (around: Around, known: KnownVcpu): boolean =>
  !known.mayAsk && isFollowed(around, known);
