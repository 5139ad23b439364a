/**
 * What must hold of a clock whatever happens: the form of an invariant, and what one may look at.
 *
 * An invariant watches a history step by step. It says under which switches it holds (a kernel with
 * a known defect breaks some) and with which bound, so that a breach is a number out of a range and
 * not a matter of opinion.
 */
import type { Input } from '../../events/index.ts';
import type { Dispatched } from '../engine/index.ts';
import type { Switches } from '../profiles/index.ts';
import type { WorldCopy } from './copy.ts';
import type { PageWrite } from './pages.ts';

/** One input and everything that came of it. */
export interface Step {
  readonly input: Input;
  readonly dispatched: Dispatched;
  readonly switches: Switches;
  /** The world before the input and after it. */
  readonly before: WorldCopy;
  readonly after: WorldCopy;
  /** pvclock pages written in this step. */
  readonly written: readonly PageWrite[];
  /** What guests' pages say now, as far as they were written while watched. */
  readonly pages: readonly PageWrite[];
}

/** What breaks an invariant in one step. */
export interface Breach {
  readonly vm: number;
  readonly vcpu?: number;
  readonly expected: string;
  readonly found: string;
}

/** A breach, and where in the history it is. */
export interface Violation extends Breach {
  /** Id of the invariant. */
  readonly invariant: string;
  /** Number of the input. */
  readonly index: number;
  readonly bound: string;
}

/** Looks at each step of one history, in order. */
export type Watch = (step: Step) => Iterable<Breach>;

/** Something that must hold. */
export interface Invariant {
  /** `V1` … as in the project's notes on the kernel. */
  readonly id: string;
  readonly name: string;
  readonly statement: string;
  /** Kernel code, test or document that promises it. */
  readonly source: string;
  /** By how much a number may be off; `exact` for not at all. */
  readonly bound: string;
  /** Whether a kernel with these switches keeps it. */
  holdsUnder(switches: Switches): boolean;
  /** A watch over one history from its beginning. */
  watch(): Watch;
}

/** An invariant that needs no memory. */
export const memoryless = (
  invariant: Omit<Invariant, 'watch'> & { readonly check: Watch },
): Invariant => {
  const { check, ...rest } = invariant;
  return { ...rest, watch: () => check };
};

/** Holds under any switches. */
export const always = (): boolean => true;
