/**
 * Findings and summaries as JSON: one object a line, 64-bit values as decimal strings, names in
 * snake_case, keys in a fixed order.
 */
import type { Finding } from '../findings/finding.ts';
import { MECHANISMS, type MechanismId } from '../findings/mechanism.ts';
import type { Vm } from '../identity/vm.ts';
import type { ReplaySummary } from '../replay.ts';
import type { FindingCounts } from '../settled.ts';

const text = (n: bigint | undefined): string | null => (n === undefined ? null : n.toString());

/**
 * What JSON may not take as it is: all but printable characters without quotes, backslashes and
 * surrogates.
 */
const UNSAFE = /[^ !#-[\]-~\u00a0-\ud7ff\ue000-\uffff]/;

const quoted = (value: string): string =>
  UNSAFE.test(value) ? JSON.stringify(value) : `"${value}"`;

const decimal = (n: bigint | undefined): string => (n === undefined ? 'null' : `"${n}"`);

/** A key that is left out where a rule has no such number. */
const optional = (key: string, n: bigint | undefined): string =>
  n === undefined ? '' : `,"${key}":"${n}"`;

const vmToJson = (vm: Vm | undefined): string =>
  vm === undefined
    ? '"vm":null,"process":null,"pid":null'
    : vm.source === 'log'
      ? `"vm":${quoted(vm.id)},"process":null,"pid":null`
      : ['"vm":', quoted(vm.id), ',"process":', quoted(vm.process), ',"pid":', vm.pid].join('');

/** The VM written last: findings of one VM come together. */
let last: { readonly vm: Vm | undefined; readonly json: string } | undefined;

function whose(vm: Vm | undefined): string {
  if (last === undefined || last.vm !== vm) last = { vm, json: vmToJson(vm) };
  return last.json;
}

/**
 * One line of `--json`: a finding. What is not known is null. A recording can have a great many
 * of these, so they are put together here, in a quarter of the time of an object and
 * `JSON.stringify`. Names of ours need no quoting.
 */
export function findingToJson(finding: Finding): string {
  const { vm, vcpu, tsc, timeNs, timestamp, mechanism, visibility, trigger } = finding;
  const ticks = decimal(timestamp);
  return (
    `{"kind":"finding","rule":"${finding.rule}","severity":"${finding.severity}",` +
    `${whose(vm)},"vcpu":${vcpu ?? null},"tsc":${tsc === timestamp ? ticks : decimal(tsc)}` +
    `,"time_ns":${decimal(timeNs)},"timestamp":${ticks}` +
    optional('wall_ns', finding.wallNs) +
    optional('delta_ns', finding.deltaNs) +
    optional('wrapped_delta_ns', finding.wrappedDeltaNs) +
    optional('predicted_ns', finding.predictedNs) +
    optional('remainder_ns', finding.remainderNs) +
    (mechanism === undefined ? '' : `,"mechanism":"${mechanism}"`) +
    `,"cause":${quoted(finding.cause)},"reason":${quoted(finding.reason)}` +
    (visibility === undefined ? '' : `,"visibility":"${visibility}"`) +
    (trigger === undefined
      ? '}'
      : `,"trigger":{"input":${trigger.input},"type":"${trigger.type}"}}`)
  );
}

/** The mechanisms that explain findings, and how many each. */
export const seenMechanisms = (
  counts: Pick<FindingCounts, 'byMechanism'>,
): [MechanismId, number][] => Object.entries(counts.byMechanism) as [MechanismId, number][];

/** The mechanisms that explain findings: how many each, what they are and what to do about them. */
export const mechanismsToJson = (counts: FindingCounts): Record<string, unknown> =>
  Object.fromEntries(
    seenMechanisms(counts).map(([id, count]) => [id, { count, ...MECHANISMS[id] }]),
  );

/** The last line of `--json` for a recording. */
export function summaryToJson(summary: ReplaySummary): string {
  const { clock } = summary;
  return JSON.stringify({
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
    mechanisms: mechanismsToJson(summary),
    digest: summary.digest,
    model: modelToJson(summary),
  });
}

/** The kernel whose model ran beside the recording, and what came of comparing the two. */
function modelToJson({ model }: ReplaySummary) {
  if (model === undefined) return null;
  const { choice, counts } = model;
  const { id, overridden, switches } = choice.profile;
  return {
    profile: id,
    set: Object.fromEntries(overridden.map((name) => [name, switches[name]])),
    basis: choice.basis,
    evidence: choice.confirmed,
    ...counts,
  };
}
