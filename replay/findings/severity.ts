/**
 * How bad is it for the guest?
 *
 * A guest that trusts the STABLE bit takes readings as they are, so any step backwards reaches its
 * timekeeping; without it Linux clamps readings to the largest one so far (`pvclock_clocksource_read`),
 * and a step backwards is a clock that stands still. The clamp remembers nothing from while STABLE
 * was set, so at a change of the bit in either direction the guest is counted as trusting it.
 */

export const SEVERITIES = ['info', 'notice', 'warning', 'error'] as const;
export type Severity = (typeof SEVERITIES)[number];

/** Steps from which a finding is more than `info`, ns. Adjustable by library users. */
export interface Thresholds {
  readonly noticeNs: bigint;
  /** Forward. */
  readonly warningForwardNs: bigint;
  /** Backwards while the guest trusts the STABLE bit. */
  readonly warningBackwardNs: bigint;
  /** Either way. */
  readonly errorNs: bigint;
}

export const DEFAULT_THRESHOLDS: Thresholds = {
  noticeNs: 1_000n,
  warningForwardNs: 1_000_000n,
  warningBackwardNs: 1_000n,
  errorNs: 1_000_000_000n,
};

/** Linux waits this long for a CPU it brings up; a clock that jumps further fails it at once. */
export const CPU_BRING_UP_NS = 10_000_000_000n;

/** Severity of a step of the guest's clock; `trusted`: the guest trusts the STABLE bit. */
export function stepSeverity(deltaNs: bigint, trusted: boolean, limits: Thresholds): Severity {
  const size = deltaNs < 0n ? -deltaNs : deltaNs;
  if (size >= limits.errorNs) return 'error';
  if (deltaNs < 0n && trusted && size >= limits.warningBackwardNs) return 'warning';
  if (deltaNs > 0n && size >= limits.warningForwardNs) return 'warning';
  return size >= limits.noticeNs ? 'notice' : 'info';
}

export const severityRank = (severity: Severity): number => SEVERITIES.indexOf(severity);

export const atLeast = (severity: Severity, least: Severity): boolean =>
  severityRank(severity) >= severityRank(least);
