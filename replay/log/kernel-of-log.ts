/** Under which kernel a log is replayed, and from what its world starts. */
import { LogError, type OpenedLog } from '../../events/log/index.ts';
import { worldOfHeader } from '../../src/engine/checkpoint.ts';
import type { Stepper, World } from '../../src/engine/index.ts';
import { RestoreError } from '../../src/engine/restore-error.ts';
import {
  isProfileId,
  isSwitchName,
  isSwitchValue,
  type Profile,
  profile,
  SWITCH_NAMES,
  SWITCHES,
  type Switches,
  type SwitchValue,
  withSwitches,
} from '../../src/profiles/index.ts';

/** A kernel, and whether it is another one than the log's. */
export interface Kernel {
  readonly profile: Profile;
  readonly isOther: boolean;
}

/** The log's own: its profile, with every switch as the log has it. */
function ownKernel({ name, header }: OpenedLog): Profile {
  if (!isProfileId(header.profile)) {
    const found = JSON.stringify(header.profile.slice(0, 40));
    throw new LogError(name, undefined, 'profile', 'the id of a profile', found);
  }
  for (const [key, value] of Object.entries(header.switches)) {
    if (!isSwitchName(key)) {
      throw new LogError(
        name,
        undefined,
        'switches',
        'known switches',
        JSON.stringify(key.slice(0, 40)),
      );
    }
    if (!isSwitchValue(key, value)) {
      const values: readonly SwitchValue[] = SWITCHES[key].values;
      const found = JSON.stringify(value).slice(0, 40);
      throw new LogError(name, undefined, `switches.${key}`, values.join(', '), found);
    }
  }
  // A switch that did not exist when the log was written is as the profile has it.
  return withSwitches(profile(header.profile), header.switches as Partial<Switches>);
}

/**
 * The kernel to replay a log under.
 *
 * @throws LogError for a profile or switch of the log that is none; ProfileError for one asked for.
 */
export function kernelOf(
  log: OpenedLog,
  asked: { readonly profile?: string; readonly set?: Partial<Switches> },
): Kernel {
  const own = ownKernel(log);
  const base = asked.profile === undefined ? own : profile(asked.profile);
  const used = asked.set === undefined ? base : withSwitches(base, asked.set);
  const isOther = SWITCH_NAMES.some((name) => used.switches[name] !== own.switches[name]);
  return { profile: used, isOther };
}

/**
 * The world in which a log begins.
 *
 * @throws LogError when its host cannot be.
 */
export function startOf(log: OpenedLog, { profile }: Kernel, stepper?: Stepper): World {
  const { switches } = profile;
  return inLog(log, () =>
    worldOfHeader(log.header, {
      switches: { ...switches },
      ...(stepper === undefined ? {} : { stepper }),
    }),
  );
}

/** What a log's structs do not allow is an error of the log. */
export function inLog<T>({ name }: OpenedLog, body: () => T): T {
  try {
    return body();
  } catch (error) {
    if (!(error instanceof RestoreError)) throw error;
    throw new LogError(name, undefined, error.path, error.expected, error.found);
  }
}
