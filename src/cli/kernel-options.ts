/** The kernel that a recording is compared with, as asked for on the command line. */
import type { ModelOptions } from '../../replay/index.ts';
import { ProfileError, parseSet, profile, type Switches } from '../profiles/index.ts';
import { UsageError } from './exit-codes.ts';
import type { LogOptions } from './log-options.ts';

/** The options of a replay that say with which kernel's model. */
export interface KernelOptions extends LogOptions {
  /** `--no-model`: with none. */
  readonly model: boolean;
}

/**
 * With which kernel's model a recording is replayed.
 *
 * @throws UsageError for a profile or switch that is none, and for a kernel where no model is to run.
 */
export function modelAsked({ model, profile: id, set }: KernelOptions): ModelOptions | false {
  if (!model) {
    const given = [
      ...(id === undefined ? [] : ['--profile']),
      ...(set.length > 0 ? ['--set'] : []),
    ];
    if (given.length > 0) throw new UsageError(`${given.join(', ')}: --no-model runs no kernel`);
    return false;
  }
  try {
    const switches: Partial<Switches> = Object.assign({}, ...set.map(parseSet));
    return { profile: id === undefined ? undefined : profile(id), set: switches };
  } catch (error) {
    if (error instanceof ProfileError) throw new UsageError(error.message);
    throw error;
  }
}
