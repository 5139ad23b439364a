/** Switches set by hand: one patch on or off in any kernel. */
import type { SwitchValue } from './declare.ts';
import { SettingFormError, SwitchValueError, UnknownSwitchError } from './error.ts';
import { nearest } from './nearest.ts';
import { PROFILES, type Profile } from './profiles.ts';
import { isSwitchName, isSwitchValue, SWITCH_NAMES, SWITCHES, type Switches } from './switches.ts';

/**
 * Reads a setting such as `mclkRequestOnTrack=toggle`, for {@link withSwitches}.
 *
 * @throws SettingFormError without `=`; UnknownSwitchError naming the nearest switches;
 * SwitchValueError naming the valid values.
 */
export function parseSet(text: string): Partial<Switches> {
  const at = text.indexOf('=');
  if (at < 0) throw new SettingFormError(text);
  const name = text.slice(0, at).trim();
  if (!isSwitchName(name)) throw new UnknownSwitchError(name, nearest(name, SWITCH_NAMES));
  const written = text.slice(at + 1).trim();
  const values: readonly SwitchValue[] = SWITCHES[name].values;
  const value = values.find((v) => String(v) === written);
  if (value === undefined) throw new SwitchValueError(name, written, values);
  return { [name]: value };
}

/**
 * A profile with some switches set otherwise. `overridden` of the result names those that differ
 * from the kernel, so setting one back takes it off the list.
 *
 * @throws UnknownSwitchError, SwitchValueError: the settings may come from JSON.
 */
export function withSwitches(profile: Profile, settings: Partial<Switches>): Profile {
  for (const [name, value] of Object.entries(settings)) {
    if (!isSwitchName(name)) throw new UnknownSwitchError(name, nearest(name, SWITCH_NAMES));
    if (!isSwitchValue(name, value)) throw new SwitchValueError(name, value, SWITCHES[name].values);
  }
  const switches: Switches = Object.freeze({ ...profile.switches, ...settings });
  const kernel = PROFILES[profile.id].switches;
  const overridden = SWITCH_NAMES.filter((name) => switches[name] !== kernel[name]);
  return Object.freeze({ ...profile, switches, overridden: Object.freeze(overridden) });
}
