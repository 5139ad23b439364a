/** Where a switch's value comes from: a merged commit, a release known without one, or a posted patch. */
import { COMMITS, type CommitId } from './commits.ts';
import type { Release } from './release.ts';

/** A value that came with a commit of Linus's tree. */
export interface FromCommit {
  readonly kind: 'commit';
  readonly commit: CommitId;
  readonly subject: string;
  /** The first release that has the value. */
  readonly release: Release;
  readonly verified: boolean;
}

/** A value whose commit nobody has named: between two trees that bracket it, the release is a guess. */
export interface FromRelease {
  readonly kind: 'release';
  /** The first release thought to have the value. */
  readonly release: Release;
  readonly verified: false;
}

/** A value that patches on a mailing list would bring. */
export interface FromPatch {
  readonly kind: 'patch';
  readonly series: 'rfc-v3' | 'series-v6' | 'precise-tsc' | 'precise-tsc-v2' | 'eventinj-2020';
  /** Numbers of the patches in the posting, where known. */
  readonly patches: readonly number[];
  /** The patch mail was read. */
  readonly verified: boolean;
}

/** A value that a mail speaks of, and nobody has posted. */
export interface FromIdea {
  readonly kind: 'idea';
  /** The mail, by series or author and date. */
  readonly mail: string;
  /** The mail was read. */
  readonly verified: true;
}

/** A value in a public tree, which is neither merged nor a posting that was read. */
export interface FromTree {
  readonly kind: 'tree';
  readonly tree: string;
  /** The commit of the tree, and the file that shows the value. */
  readonly commit: string;
  readonly file: string;
  /** The file was read. */
  readonly verified: true;
}

export type Source = FromCommit | FromRelease | FromPatch | FromIdea | FromTree;

/** With a commit of the table. */
export function by(commit: CommitId): FromCommit {
  const { subject, release, verified } = COMMITS[commit];
  return { kind: 'commit', commit, subject, release, verified };
}

/** With about this release: what brackets it are trees further apart. */
export const around = (release: Release): FromRelease => ({
  kind: 'release',
  release,
  verified: false,
});

/** With a posted patch whose mail was read. */
export const posted = (series: FromPatch['series'], ...patches: number[]): FromPatch => ({
  kind: 'patch',
  series,
  patches,
  verified: true,
});

/** Spoken of in a mail that was read. */
export const spokenOf = (mail: string): FromIdea => ({ kind: 'idea', mail, verified: true });

/** Shown by a file of a public tree that was read. */
export const shownBy = (tree: string, commit: string, file: string): FromTree => ({
  kind: 'tree',
  tree,
  commit,
  file,
  verified: true,
});
