/**
 * Which kernel a recording is of: a candidate by its release, and what the recording itself shows.
 *
 * Distributions backport, and text says no release at all. So some switches that show plainly are
 * looked for: evidence confirms the candidate, or sets the switch otherwise. A profile that was asked
 * for stays as it is: then evidence against it is a divergence.
 */
import {
  assumedProfile,
  candidateProfile,
  PROFILE_IDS,
  type Profile,
  profile,
  type Switches,
  type SwitchName,
  withSwitches,
} from '../../src/profiles/index.ts';

/** Kernels built with one change on purpose, by what their release ends with. */
const BUILDS: readonly { readonly suffix: string; readonly switches: Partial<Switches> }[] = [
  // 53fafdbb8b21 undone: the base clock is the NTP-corrected boottime again.
  { suffix: '-monobase', switches: { masterBase: 'boottime', otherBase: 'boottime' } },
];

/** The profile that a release stands for. */
export function profileOfRelease(release: string): Profile {
  const assumed = assumedProfile(candidateProfile(release));
  const build = BUILDS.find(({ suffix }) => release.endsWith(suffix));
  return build === undefined ? assumed : withSwitches(assumed, build.switches);
}

/** Where no release is recorded: the kernel that most hosts run. */
const USUAL = 'v6.8';

/** How a profile came to be used. */
type Basis = 'given' | 'release' | 'assumed';

/** Values of a switch that no recording tells apart. */
const ALIKE: { readonly [N in SwitchName]?: readonly Switches[N][] } = {
  tscWriteByGuest: ['offset', 'offset-unless-protected'],
};

function isAlike(name: SwitchName, a: unknown, b: unknown): boolean {
  const alike: readonly unknown[] = ALIKE[name] ?? [];
  return a === b || (alike.includes(a) && alike.includes(b));
}

const holds = (of: Profile, shown: Partial<Switches>): boolean =>
  Object.entries(shown).every(([name, value]) =>
    isAlike(name as SwitchName, of.switches[name as SwitchName], value),
  );

/** The released kernel nearest to one that has these switches. */
function nearestWith(of: Profile, shown: Partial<Switches>): Profile | undefined {
  const at = PROFILE_IDS.indexOf(of.id);
  return PROFILE_IDS.map((id, place) => ({ each: profile(id), apart: Math.abs(place - at) }))
    .filter(({ each }) => each.covers !== undefined && holds(each, shown))
    .sort((a, b) => a.apart - b.apart)[0]?.each;
}

/** What a profile was chosen by, and what speaks for it. */
export interface ProfileChoice {
  readonly profile: Profile;
  readonly basis: Basis;
  /** What the recording shows that is as the profile has it. */
  readonly confirmed: readonly string[];
  /** Switches that the recording shows to be otherwise than the candidate has them. */
  readonly shown: Partial<Switches>;
}

export class ChosenProfile implements ProfileChoice {
  readonly basis: Basis;
  readonly confirmed: string[] = [];
  #profile: Profile;
  #shown: Partial<Switches> = {};
  /** Seen to be as the profile has them. */
  readonly #sure = new Set<SwitchName>();
  /** May not be set by what the recording shows. */
  readonly #isGiven: (name: SwitchName) => boolean;

  /**
   * @param given - the profile to use, whatever the recording says.
   * @param set - switches to set otherwise, whatever the recording says.
   */
  constructor(release: string | undefined, given?: Profile, set: Partial<Switches> = {}) {
    const candidate = release === undefined ? profile(USUAL) : profileOfRelease(release);
    this.basis = given !== undefined ? 'given' : release !== undefined ? 'release' : 'assumed';
    this.#profile = withSwitches(given ?? candidate, set);
    this.#isGiven = (name) => given !== undefined || name in set;
  }

  get profile(): Profile {
    return this.#profile;
  }

  get shown(): Partial<Switches> {
    return this.#shown;
  }

  /** The recording shows a switch to be as the profile has it. */
  confirm(name: SwitchName, how: string): void {
    if (this.#sure.has(name)) return;
    this.#sure.add(name);
    this.confirmed.push(how);
  }

  /**
   * The recording shows a switch to be otherwise.
   *
   * @returns what to set; `undefined` when the profile stays and the kernel diverges from it.
   */
  contradict(name: SwitchName, set: Partial<Switches>, how: string): Partial<Switches> | undefined {
    if (this.#isGiven(name) || this.#sure.has(name)) return undefined;
    this.#shown = { ...this.#shown, ...set };
    this.confirm(name, how);
    const known = Object.fromEntries(
      [...this.#sure].map((each) => [each, { ...this.#profile.switches, ...set }[each]]),
    ) as Partial<Switches>;
    const nearest = this.basis === 'assumed' ? nearestWith(this.#profile, known) : undefined;
    this.#profile = nearest ?? withSwitches(this.#profile, set);
    return this.#profile.switches;
  }
}

/** `v6.1 (confirmed by even page versions)`, `v6.8 (assumed)`, `v6.1 (given)`. */
export function profileText({ profile, basis, confirmed }: ProfileChoice): string {
  const { id, overridden, switches } = profile;
  const set = overridden.map((name) => `${name}=${switches[name]}`).join(', ');
  const name = set === '' ? id : `${id} with ${set}`;
  if (basis === 'given') return `${name} (given)`;
  if (confirmed.length === 0) return `${name} (assumed)`;
  const shown = confirmed.join(' and ');
  return basis === 'release' ? `${name} (confirmed by ${shown})` : `${name} (assumed for ${shown})`;
}
