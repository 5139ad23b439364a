/**
 * Findings and summaries as JSON: one object a line, 64-bit values as decimal strings, names in
 * snake_case, keys in a fixed order.
 */
import type { Finding } from '../findings/finding.ts';
import { MECHANISMS, type MechanismId } from '../findings/mechanism.ts';
import type { ReplaySummary } from '../replay.ts';

const text = (n: bigint | undefined): string | null => (n === undefined ? null : n.toString());

/** Left out of the JSON where a rule has none. */
const optional = (n: bigint | undefined): string | undefined => n?.toString();

/** One line of `--json`: a finding. What is not known is null. */
export function findingToJson(finding: Finding): Record<string, unknown> {
  const { vm } = finding;
  return {
    kind: 'finding',
    rule: finding.rule,
    severity: finding.severity,
    vm: vm?.id ?? null,
    process: vm?.process ?? null,
    pid: vm?.pid ?? null,
    vcpu: finding.vcpu ?? null,
    tsc: text(finding.tsc),
    time_ns: text(finding.timeNs),
    timestamp: text(finding.timestamp),
    delta_ns: optional(finding.deltaNs),
    wrapped_delta_ns: optional(finding.wrappedDeltaNs),
    predicted_ns: optional(finding.predictedNs),
    remainder_ns: optional(finding.remainderNs),
    mechanism: finding.mechanism,
    cause: finding.cause,
    reason: finding.reason,
    visibility: finding.visibility,
  };
}

/** The mechanisms that explain findings, and how many each. */
export const seenMechanisms = (summary: ReplaySummary): [MechanismId, number][] =>
  Object.entries(summary.byMechanism) as [MechanismId, number][];

/** The last line of `--json` for a recording. */
export function summaryToJson(summary: ReplaySummary): Record<string, unknown> {
  const { clock } = summary;
  return {
    kind: 'summary',
    recording: summary.recording,
    format: summary.format,
    kernel: summary.kernelRelease ?? null,
    clock: { unit: clock.unit, name: clock.name ?? null, tsc_derived: clock.tscDerived },
    events: summary.events,
    lost_events: text(summary.lostEvents),
    gaps: summary.gaps,
    malformed: summary.malformed,
    first_malformed: summary.firstMalformed ?? null,
    from: text(summary.from),
    to: text(summary.to),
    span_ns: text(summary.spanNs),
    vms: summary.vms,
    vm_count: summary.vmCount,
    pages: summary.pages,
    compared: summary.compared,
    findings: { by_rule: summary.byRule, by_severity: summary.bySeverity },
    mechanisms: Object.fromEntries(
      seenMechanisms(summary).map(([id, count]) => [id, { count, ...MECHANISMS[id] }]),
    ),
    digest: summary.digest,
  };
}
