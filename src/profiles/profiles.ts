/** Profiles as they are used: one kernel's behaviour, as a value for every switch. */
import { PROFILE_DATA, type ProfileData, type ProfileId } from './data.ts';
import { UnknownProfileError } from './error.ts';
import { nearest } from './nearest.ts';
import type { Release } from './release.ts';
import type { Source } from './source.ts';
import { type Switches, type SwitchName, sourceOf } from './switches.ts';

/** One kernel's behaviour, or that of a kernel with switches set by hand. */
export interface Profile {
  readonly id: ProfileId;
  /** What it stands for, in a few words. */
  readonly title: string;
  /** The release whose behaviour it is; for posted patches the one they were posted on. */
  readonly release: Release;
  /** First and last release that it stands for; undefined for patches that no release has. */
  readonly covers: readonly [first: Release, last: Release] | undefined;
  readonly switches: Switches;
  /** Switches set otherwise than the kernel has them, in order of declaration. */
  readonly overridden: readonly SwitchName[];
}

/** Names a `from` that is no profile a type error. */
const DATA: Readonly<Record<ProfileId, ProfileData<ProfileId>>> = PROFILE_DATA;

/** All ids, oldest kernel first, posted patches last. */
export const PROFILE_IDS = Object.freeze(Object.keys(PROFILE_DATA) as ProfileId[]);

function switchesOf(id: ProfileId): Switches {
  const { from, switches } = DATA[id];
  // The one profile that grew out of nothing has all switches: `data.ts` types it so.
  return { ...(from === undefined ? {} : switchesOf(from)), ...switches } as Switches;
}

function profileOf(id: ProfileId): Profile {
  const { title, release, covers } = DATA[id];
  const switches = Object.freeze(switchesOf(id));
  return Object.freeze({ id, title, release, covers, switches, overridden: Object.freeze([]) });
}

/** Every profile by its id, frozen. */
export const PROFILES = Object.freeze(
  Object.fromEntries(PROFILE_IDS.map((id) => [id, profileOf(id)])),
) as Readonly<Record<ProfileId, Profile>>;

/**
 * Where a profile's value of a switch comes from; undefined when kernels always had it.
 *
 * A value that kernels lost and got back has the source of its return.
 */
export function originOf(id: ProfileId, name: SwitchName): Source | undefined {
  const { from, switches } = DATA[id];
  if (from === undefined) return undefined;
  const value = switches[name];
  return value === undefined ? originOf(from, name) : sourceOf(name, value);
}

/** Whether text is a profile's id. */
export const isProfileId = (id: string): id is ProfileId => Object.hasOwn(PROFILES, id);

/**
 * The profile of that id.
 *
 * @throws UnknownProfileError naming the nearest ids.
 */
export function profile(id: string): Profile {
  if (!isProfileId(id)) throw new UnknownProfileError(id, nearest(id, PROFILE_IDS));
  return PROFILES[id];
}
