/**
 * Which kernel a recording is of: the candidate by its release, and what the recording itself shows.
 *
 * Stable and distribution kernels carry later fixes. Where the candidate does not predict a
 * recording, values of single switches that its neighbours have are tried; one that makes more come
 * out right is kept and named, so that it can be checked against the kernel's sources.
 */
import type { Stepper } from '../../src/engine/index.ts';
import {
  PROFILE_IDS,
  type Profile,
  profile,
  SWITCH_NAMES,
  type Switches,
  type SwitchName,
  withSwitches,
} from '../../src/profiles/index.ts';
import { profileOfRelease } from '../assimilate/profile.ts';
import { Prediction, predict } from './predict.ts';
import type { CheckedRecording } from './recording.ts';
import type { Tally } from './tally.ts';

/** A recording's kernel, and how well it is predicted. */
export interface Conformance {
  readonly recording: CheckedRecording;
  readonly profile: Profile;
  /** Switches that the recording shows to differ from what its release says. */
  readonly shown: readonly SwitchName[];
  readonly tally: Tally;
}

/** How many profiles before and after the candidate lend their values. */
const NEIGHBOURS = 2;
/** How many switches a recording may show to differ. */
const MAX_SHOWN = 3;

/** Single changes that a neighbouring kernel has. */
function changesNear(of: Profile): Partial<Switches>[] {
  const at = PROFILE_IDS.indexOf(of.id);
  const near = PROFILE_IDS.slice(Math.max(0, at - NEIGHBOURS), at + NEIGHBOURS + 1);
  const changes = new Map<string, Partial<Switches>>();
  for (const id of near) {
    const { switches } = profile(id);
    for (const name of SWITCH_NAMES) {
      const value = switches[name];
      if (value !== of.switches[name]) changes.set(`${name}=${value}`, { [name]: value });
    }
  }
  return [...changes.values()];
}

/** The change that makes most come out right, if any does. */
function bestChange(
  recording: CheckedRecording,
  of: Profile,
  wrong: number,
  stepper: Stepper | undefined,
): Profile | undefined {
  let best: Profile | undefined;
  let fewest = wrong;
  for (const change of changesNear(of)) {
    const changed = withSwitches(of, change);
    const count = new Prediction(recording, changed.switches, { stepper }).run().wrong.length;
    if (count < fewest) [best, fewest] = [changed, count];
  }
  return best;
}

/**
 * Predicts a recording.
 *
 * @param given - the profile to use, whatever the release says; then nothing else is tried.
 * @param stepper - what moves the machines; their decision tables by default.
 */
export function conformanceOf(
  recording: CheckedRecording,
  given?: Profile,
  stepper?: Stepper,
): Conformance {
  const assumed = given ?? profileOfRelease(recording.meta.kernel);
  let used = assumed;
  let tally = predict(recording, used.switches, stepper);
  while (given === undefined && tally.wrong.length > 0) {
    const changed = bestChange(recording, used, tally.wrong.length, stepper);
    const shown = changed?.overridden.length ?? 0;
    if (changed === undefined || shown > assumed.overridden.length + MAX_SHOWN) break;
    used = changed;
    tally = predict(recording, used.switches, stepper);
  }
  const differs = (name: SwitchName): boolean => used.switches[name] !== assumed.switches[name];
  return { recording, profile: used, shown: SWITCH_NAMES.filter(differs), tally };
}
