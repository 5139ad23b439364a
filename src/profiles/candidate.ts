/**
 * Which profile a kernel's release string suggests.
 *
 * It is never more than a suggestion: distributions backport, and their strings often hide the
 * stable level. What a recording shows confirms or overrides it.
 */
import { BACKPORTS, backportEvidence } from './backports.ts';
import type { ProfileId } from './data.ts';
import { printable } from './error.ts';
import { differences } from './history.ts';
import { withSwitches } from './override.ts';
import { PROFILE_IDS, PROFILES, type Profile } from './profiles.ts';
import { compareReleases, type Release, releaseNumbers } from './release.ts';
import type { FromCommit, FromRelease } from './source.ts';
import type { Switches } from './switches.ts';

/** Switches that the release has otherwise than the profile that stands for it. */
export interface Adjustment {
  readonly set: Partial<Switches>;
  /** False: the release, or whether this kernel has it, is not known for sure. */
  readonly certain: boolean;
  readonly evidence: string;
}

/** What a release string suggests. */
export interface Candidate {
  readonly profile: ProfileId;
  /** `candidate`: a profile stands for that release. `unknown`: none does, this is the nearest. */
  readonly confidence: 'candidate' | 'unknown';
  /** Why, in words; safe to print. */
  readonly reason: string;
  /** Where Linus's release differs from the one that the profile describes. */
  readonly differences: readonly Adjustment[];
  /** Fixes that the stable kernel took over. */
  readonly backports: readonly Adjustment[];
}

/** The longest release string looked at; the kernel's own field has 64 characters. */
const LONGEST = 64;

/** Major versions ended with these; a release beyond them never was. */
const LAST_MINOR: Readonly<Record<number, number>> = { 4: 20, 5: 19, 6: 19 };

const OLDEST: ProfileId = 'v4.4';
const NEWEST: ProfileId = 'v7.3';

interface Parsed {
  readonly release: Release;
  /** The stable level; undefined where the string does not say. */
  readonly patch: number | undefined;
}

/**
 * The numbers of a release string. A third number 0 followed by a build (`6.1.0-56-amd64`,
 * `4.18.0-553.el8`) is a distribution's name for its own kernel: the stable level is not in it.
 */
function parse(text: string): Parsed | undefined {
  const match = /^(\d{1,2})\.(\d{1,2})(?=$|[-.+_~])(?:\.(\d{1,4})(?!\d)(-\d)?)?/.exec(text);
  if (match === null) return undefined;
  const [, major, minor, patch, build] = match;
  const hidden = patch === undefined || (patch === '0' && build !== undefined);
  return {
    release: `v${Number(major)}.${Number(minor)}`,
    patch: hidden ? undefined : Number(patch),
  };
}

const unknown = (profile: ProfileId, reason: string): Candidate => ({
  profile,
  confidence: 'unknown',
  reason,
  differences: [],
  backports: [],
});

function neverWas(release: Release): boolean {
  const [major, minor] = releaseNumbers(release);
  return minor > (LAST_MINOR[major] ?? minor);
}

function unknownRelease(release: Release): Candidate {
  if (neverWas(release)) {
    return unknown(NEWEST, `there was no ${release}; ${NEWEST} is the newest kernel known`);
  }
  return compareReleases(release, 'v4.2') < 0
    ? unknown(OLDEST, `${release} is older than any profile; ${OLDEST} is the nearest`)
    : unknown(NEWEST, `${release} is newer than any profile; ${NEWEST} is the nearest`);
}

function standsFor(release: Release): Profile | undefined {
  if (neverWas(release)) return undefined;
  return PROFILE_IDS.map((id) => PROFILES[id]).find(
    ({ covers }) =>
      covers !== undefined &&
      compareReleases(covers[0], release) <= 0 &&
      compareReleases(release, covers[1]) <= 0,
  );
}

function evidenceOf(source: FromCommit | FromRelease): string {
  return source.kind === 'commit'
    ? `${source.commit} (${source.subject}) came with ${source.release}`
    : `changed about ${source.release}, commit unknown`;
}

const backportsOf = ({ release, patch }: Parsed): readonly Adjustment[] =>
  BACKPORTS.filter(
    ({ line, since }) => line === release && (patch === undefined || patch >= since),
  ).map((backport) => ({
    set: backport.set,
    certain: backport.verified && patch !== undefined,
    evidence: backportEvidence(backport),
  }));

/**
 * The profile that a release string such as `6.1.0-56-amd64` suggests, and where that release is
 * known to differ from it. Any text is allowed; what is no release suggests the newest kernel,
 * `unknown`.
 *
 * @param text - as in `uname -r`.
 */
export function candidateProfile(text: string): Candidate {
  const parsed = text.length > LONGEST ? undefined : parse(text);
  if (parsed === undefined) {
    return unknown(NEWEST, `"${printable(text)}" is no kernel release`);
  }
  const profile = standsFor(parsed.release);
  if (profile === undefined) return unknownRelease(parsed.release);
  const level =
    parsed.patch === undefined
      ? 'its stable level is not in the name, and distributions'
      : 'but distributions';
  const backports = backportsOf(parsed);
  return {
    profile: profile.id,
    confidence: 'candidate',
    reason: `"${printable(text)}" names ${parsed.release}, for which ${profile.id} stands; ${level} backport: only a candidate`,
    differences: differences(parsed.release, profile).map(({ name, set, source }) => ({
      set,
      // What the stable kernel may have taken over is no longer sure to be as in Linus's release.
      certain: source.verified && !backports.some((backport) => name in backport.set),
      evidence: evidenceOf(source),
    })),
    backports,
  };
}

/** The candidate's profile with every adjustment that is certain. */
export function assumedProfile(candidate: Candidate): Profile {
  const certain = [...candidate.differences, ...candidate.backports].filter((a) => a.certain);
  return withSwitches(
    PROFILES[candidate.profile],
    Object.assign({}, ...certain.map(({ set }) => set)) as Partial<Switches>,
  );
}
