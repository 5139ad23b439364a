/**
 * Every way in which kernels' clocks differ, as one switch each.
 *
 * A profile is a value for each of them, so a single patch can be turned on or off in any kernel.
 * The declarations live by subject in `switches/`; names, values and the type all derive from them.
 */
import type { SwitchValue } from './declare.ts';
import type { Source } from './source.ts';
import { CLOCK_SWITCHES } from './switches/clock.ts';
import { MASTERCLOCK_SWITCHES } from './switches/masterclock.ts';
import { PAGE_SWITCHES } from './switches/page.ts';
import { TSC_SWITCHES } from './switches/tsc.ts';

export const SWITCHES = Object.freeze({
  ...CLOCK_SWITCHES,
  ...MASTERCLOCK_SWITCHES,
  ...TSC_SWITCHES,
  ...PAGE_SWITCHES,
});

/** Name of a switch. */
export type SwitchName = keyof typeof SWITCHES;

/** One value for every switch. */
export type Switches = {
  readonly [K in SwitchName]: (typeof SWITCHES)[K]['values'][number];
};

/** All names, in the order of declaration. */
export const SWITCH_NAMES = Object.freeze(Object.keys(SWITCHES) as SwitchName[]);

/** Whether text names a switch. */
export const isSwitchName = (name: string): name is SwitchName => Object.hasOwn(SWITCHES, name);

/** Whether a switch has a value. */
export function isSwitchValue<K extends SwitchName>(name: K, value: unknown): value is Switches[K] {
  const values: readonly unknown[] = SWITCHES[name].values;
  return values.includes(value);
}

/** Where a value of a switch came in; undefined when it is older than every profile. */
export function sourceOf<K extends SwitchName>(name: K, value: Switches[K]): Source | undefined {
  const since: Readonly<Record<string, Source | undefined>> = SWITCHES[name].since;
  return since[String(value satisfies SwitchValue)];
}
