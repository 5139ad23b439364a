/**
 * What a patch of the series is shown by: a history that is lived through twice, by a kernel without
 * the patch and by one with it, and what is seen of either.
 */
import type { HostOptions } from '../../engine/index.ts';
import type { Params, ParamValues } from '../params.ts';
import type { Cell } from '../scenario.ts';
import type { Simulation } from '../simulation.ts';
import type { HISTORY_PARAMS } from './params.ts';

/** Something seen, with its unit, and what it was. */
export type Seen = readonly [what: string, value: Cell];

/** Where a history takes place. */
export interface Here {
  readonly params: ParamValues<typeof HISTORY_PARAMS & Params>;
  /** The patch is applied. */
  readonly patched: boolean;
  /** A host with this kernel; the first has no name. */
  host(more?: Partial<HostOptions>, name?: string): Simulation;
  /** Says what happens now. */
  tell(simulation: Simulation, text: string): void;
}

export type History = (here: Here) => readonly Seen[];
