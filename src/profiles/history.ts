/**
 * A switch's value in each mainline release. A profile stands for a range of releases but behaves as
 * one of them does; this says where another release of its range is known to differ.
 */
import { PROFILE_IDS, PROFILES, type Profile } from './profiles.ts';
import { compareReleases, type Release } from './release.ts';
import type { FromCommit, FromRelease } from './source.ts';
import { SWITCH_NAMES, type Switches, type SwitchName, sourceOf } from './switches.ts';

/** Linus's kernels in order. v4.2 is left out: it had what no later kernel kept. */
const KERNELS = PROFILE_IDS.filter((id) => id !== 'v4.2-cfz')
  .map((id) => PROFILES[id])
  .filter((kernel) => kernel.covers !== undefined);

/** A change of one switch between releases. */
interface Change<K extends SwitchName> {
  readonly value: Switches[K];
  readonly source: FromCommit | FromRelease;
}

function changesOf<K extends SwitchName>(name: K): readonly Change<K>[] {
  return KERNELS.flatMap(({ switches }, i) => {
    const value = switches[name];
    if (i === 0 || KERNELS[i - 1]!.switches[name] === value) return [];
    const source = sourceOf(name, value);
    // No kernel has what is only posted: test/profiles checks it.
    return source?.kind === 'commit' || source?.kind === 'release' ? [{ value, source }] : [];
  });
}

const CHANGES = new Map(SWITCH_NAMES.map((name) => [name, changesOf(name)]));

/** One switch in which a release differs from the profile that stands for it. */
export interface Difference {
  readonly name: SwitchName;
  /** The release's value, for `withSwitches`. */
  readonly set: Partial<Switches>;
  /** The change that lies between the release and the profile. */
  readonly source: FromCommit | FromRelease;
}

/** In which switches Linus's release is known to differ from a profile that stands for it. */
export function differences(release: Release, profile: Profile): readonly Difference[] {
  if (profile.covers === undefined || profile.id === 'v4.2-cfz') return [];
  return SWITCH_NAMES.flatMap((name) => {
    const changes = CHANGES.get(name)!;
    const isIn = ({ source }: Change<SwitchName>, r: Release) =>
      compareReleases(source.release, r) <= 0;
    const then = changes.filter((change) => isIn(change, release)).length;
    const now = changes.filter((change) => isIn(change, profile.release)).length;
    if (then === now) return [];
    const value = then === 0 ? KERNELS[0]!.switches[name] : changes[then - 1]!.value;
    const { source } = changes[then < now ? then : then - 1]!;
    return [{ name, set: { [name]: value }, source }];
  });
}
