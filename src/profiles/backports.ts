/** Fixes that stable kernels took over: a stable release can behave as a later mainline release does. */
import { COMMITS, type CommitId } from './commits.ts';
import type { Release } from './release.ts';
import type { Switches } from './switches.ts';

/** A mainline commit in a stable line. */
export interface Backport {
  readonly commit: CommitId;
  /** The stable line. */
  readonly line: Release;
  /** The line's first release with it: 65 for 5.10.65. */
  readonly since: number;
  /** What it changes. */
  readonly set: Partial<Switches>;
  /** The line's own review mail or tree was found to have it. */
  readonly verified: boolean;
}

const tscAdjust = (line: Release, since: number, verified = true): Backport =>
  Object.freeze({
    commit: 'd9130a2dfdd4',
    line,
    since,
    set: Object.freeze({ tscAdjustRaisesClockUpdate: true }),
    verified,
  });

const hvPageFromAny = (line: Release, since: number): Backport =>
  Object.freeze({
    commit: '42dcbe7d8bac',
    line,
    since,
    set: Object.freeze({ hvPageFrom: 'any' }),
    verified: true,
  });

/**
 * The backports known to matter here. Each number is that of the review mail whose list has the
 * patch (September 2021, April 2022); 5.10.262's tree has the first, 4.4.173's does not.
 */
export const BACKPORTS: readonly Backport[] = Object.freeze([
  tscAdjust('v4.4', 284),
  tscAdjust('v4.9', 283),
  tscAdjust('v4.14', 247),
  tscAdjust('v4.19', 207),
  tscAdjust('v5.4', 146),
  tscAdjust('v5.10', 65),
  tscAdjust('v5.13', 17),
  // Reviewed on the same day as 5.13.17; its own list was not found.
  tscAdjust('v5.14', 4, false),
  hvPageFromAny('v5.17', 5),
  // Seen in a recording of 6.1.192; since which release of that line was not looked up.
  Object.freeze({
    commit: '409f2e92a27a',
    line: 'v6.1',
    since: 192,
    set: Object.freeze({ xenTimerPast: 'fires' }),
    verified: false,
  }),
]);

/** A backport in one line of text. */
export const backportEvidence = ({ commit, line, since }: Backport): string =>
  `${commit} (${COMMITS[commit].subject}) is in ${line.slice(1)}.${since} and later of that line`;
