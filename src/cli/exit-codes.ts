/** How the command ends. When several recordings are replayed, the gravest of theirs. */
export const EXIT = {
  /** Nothing at or above `--fail-on`. */
  ok: 0,
  /** Findings at or above it. */
  findings: 1,
  /** The command line can't be understood. */
  usage: 2,
  /** An input can't be read. */
  unreadable: 3,
  /** Too much is missing from the recording to judge it. */
  unjudgeable: 4,
  /** The command itself failed: a bug, or output that can't be written (sysexits' EX_SOFTWARE). */
  failed: 70,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

const GRAVEST_LAST: readonly ExitCode[] = [
  EXIT.ok,
  EXIT.findings,
  EXIT.unjudgeable,
  EXIT.unreadable,
  EXIT.usage,
  EXIT.failed,
];

export const graver = (a: ExitCode, b: ExitCode): ExitCode =>
  GRAVEST_LAST.indexOf(a) > GRAVEST_LAST.indexOf(b) ? a : b;

/** The command line asks for something that can't be. The message says what, and what could be. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}
