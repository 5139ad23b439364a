/**
 * The kernels' clocks as profiles: a value for every switch in which they differ.
 *
 * @module
 */
export { BACKPORTS, type Backport } from './backports.ts';
export { type Adjustment, assumedProfile, type Candidate, candidateProfile } from './candidate.ts';
export { COMMITS, type Commit, type CommitId } from './commits.ts';
export type { ProfileId } from './data.ts';
export type { SwitchSpec, SwitchValue } from './declare.ts';
export {
  ProfileError,
  SettingFormError,
  SwitchValueError,
  UnknownProfileError,
  UnknownSwitchError,
} from './error.ts';
export { parseSet, withSwitches } from './override.ts';
export { isProfileId, originOf, PROFILE_IDS, PROFILES, type Profile, profile } from './profiles.ts';
export type { Release } from './release.ts';
export type { FromCommit, FromPatch, FromRelease, Source } from './source.ts';
export {
  isSwitchName,
  isSwitchValue,
  SWITCH_NAMES,
  SWITCHES,
  type Switches,
  type SwitchName,
  sourceOf,
} from './switches.ts';
