/**
 * A replay's report for people: the verdict first, then the findings, then what was read.
 */
import type { Finding } from '../findings/finding.ts';
import { RULES } from '../findings/finding.ts';
import { MECHANISMS } from '../findings/mechanism.ts';
import {
  DEFAULT_THRESHOLDS,
  SEVERITIES,
  type Severity,
  severityRank,
} from '../findings/severity.ts';
import { printable } from '../formats/error.ts';
import type { VmSummary } from '../identity/vm.ts';
import { count, decimal, formatNs, formatSignedNs, groups } from '../quantity.ts';
import type { ModelSummary, ReplaySummary } from '../replay.ts';
import type { FindingCounts } from '../settled.ts';
import { seenMechanisms } from './json.ts';

/** Colours text, or leaves it alone where the output is no terminal. */
export type Style = (kind: Severity | 'strong' | 'faint', text: string) => string;

export const plain: Style = (_, text) => text;

/** More lines than this help nobody: the most severe findings are kept. `--json` lists all. */
const MOST_SHOWN = 200;

/** The others are counted. */
export const MOST_VMS_SHOWN = 20;

/** Keeps the findings to print: the most severe, the earliest among equals. */
export class Shown {
  readonly #bySeverity = new Map<Severity, Finding[]>(SEVERITIES.map((s) => [s, []]));
  /** The finding that the verdict is about. */
  worst: Finding | undefined;
  total = 0;

  add(finding: Finding): void {
    this.total++;
    const list = this.#bySeverity.get(finding.severity)!;
    if (list.length < MOST_SHOWN) list.push(finding);
    if (this.worst === undefined || isWorse(finding, this.worst)) this.worst = finding;
  }

  /** At most `MOST_SHOWN` findings, in order of time. */
  list(): Finding[] {
    const chosen = [...SEVERITIES]
      .reverse()
      .flatMap((s) => this.#bySeverity.get(s)!)
      .slice(0, MOST_SHOWN);
    return chosen.sort((a, b) =>
      a.timestamp < b.timestamp ? -1 : a.timestamp > b.timestamp ? 1 : 0,
    );
  }
}

const size = (n: bigint | undefined): bigint => (n === undefined ? 0n : n < 0n ? -n : n);

/** Steps that a guest saw come before what merely could matter. */
const isStep = (f: Finding): boolean => f.rule === 'jump' || f.rule === 'tsc-jump';

/** What a recording can't tell is the last thing to say of it. */
const isBlind = (f: Finding): boolean => f.rule === 'gap' || f.rule === 'unmeasured';

function isWorse(a: Finding, b: Finding): boolean {
  if (isBlind(a) !== isBlind(b)) return isBlind(b);
  const rank = severityRank(a.severity) - severityRank(b.severity);
  if (rank !== 0) return rank > 0;
  if (isStep(a) !== isStep(b)) return isStep(a);
  return size(a.deltaNs) > size(b.deltaNs);
}

/** What the verdict and the lines of findings need of a summary: a recording's, or a log's. */
export interface Found extends FindingCounts {
  /** What was read. */
  readonly what: 'recording' | 'log';
  readonly fromNs: bigint | undefined;
  readonly vms: readonly VmSummary[];
  readonly vmCount: number;
  readonly pages: number;
  readonly gaps: number;
  readonly minNs: bigint;
  readonly onlyVm: string | undefined;
}

/** The VMs that were asked for. */
const asked = ({ vms, onlyVm }: Pick<Found, 'vms' | 'onlyVm'>): readonly VmSummary[] =>
  onlyVm === undefined ? vms : vms.filter(({ id }) => id === onlyVm);

/** How many of their pages were written. */
export const pagesOf = (found: Pick<Found, 'vms' | 'onlyVm' | 'pages'>): number =>
  found.onlyVm === undefined ? found.pages : asked(found).reduce((sum, vm) => sum + vm.pages, 0);

/** Their clocks were moved, of which nothing shows whereto. */
const unwritten = (found: Pick<Found, 'vms' | 'onlyVm'>): readonly VmSummary[] =>
  asked(found).filter(({ pages, moves }) => pages === 0 && moves > 0);

/** Why a recording can't be judged, or `undefined` if it can. */
export function unjudgeable(summary: ReplaySummary): string | undefined {
  if (pagesOf(summary) === 0 && summary.malformed > 0) {
    const hint = summary.format === 'ftrace text' ? ' (is the text wrapped, cut or coloured?)' : '';
    return `no page update is left of what could be read; ${unreadText(summary)}${hint}`;
  }
  if (summary.vms.length === 0 && summary.pages === 0) {
    return summary.gaps > 0
      ? 'events were lost and no KVM clock event is left'
      : 'no KVM event in this recording (record with -e kvm)';
  }
  const moved = summary.onlyVm === undefined ? summary.moves > 0 : unwritten(summary).length > 0;
  if (pagesOf(summary) === 0 && moved) {
    return 'clocks were moved, but no pvclock page was recorded (record with -e kvm, before the guest boots; a guest without kvmclock has none)';
  }
  if (summary.gaps > 0 && summary.compared === 0 && (summary.byRule.unmeasured ?? 0) > 0) {
    return 'events were lost before every page update, so no clock could be compared';
  }
  return undefined;
}

/** The verdict on a recording. */
export function verdict(summary: ReplaySummary, worst: Finding | undefined): string {
  const cannot = unjudgeable(summary);
  if (cannot !== undefined) return `cannot tell: ${cannot}`;
  if (worst === undefined && pagesOf(summary) === 0) {
    return `no clock was written on ${watched(summary)}: the recording has no pvclock page, TSC offset or masterclock update (events of -e kvm)`;
  }
  return verdictOn(summary, worst);
}

/** The verdict on what was found. */
export function verdictOn(summary: Found, worst: Finding | undefined): string {
  if (worst === undefined || worst.severity === 'info' || isBlind(worst)) {
    return quietVerdict(summary, worst);
  }
  const where = `${place(worst)}, ${time(worst, summary)} into the ${summary.what}`;
  const others = SEVERITIES.slice(severityRank('notice'))
    .map((s) => summary.bySeverity[s] ?? 0)
    .reduce((a, b) => a + b, -1);
  const more = others > 0 ? `; ${count(others, 'more finding')}` : '';
  if (isStep(worst)) {
    return `the guest's clock jumped ${formatSignedNs(worst.deltaNs ?? 0n)} on ${where}, after ${printable(worst.cause)}${more}`;
  }
  return `${RULES[worst.rule].split(':')[0]} on ${where}: ${printable(worst.cause)}${more}`;
}

function quietVerdict(summary: Found, worst: Finding | undefined): string {
  const { minNs } = summary;
  const unmeasured = summary.byRule.unmeasured ?? 0;
  const most =
    worst !== undefined && isStep(worst)
      ? ` (largest step ${formatSignedNs(worst.deltaNs ?? 0n)})`
      : minNs <= 1n && unmeasured === 0
        ? ' (no step at all)'
        : '';
  const lost = summary.gaps > 0 ? ', as far as events were not lost' : '';
  const blind = unmeasured > 0 ? `; ${count(unmeasured, 'change')} could not be measured` : '';
  let least = DEFAULT_THRESHOLDS.noticeNs;
  if (minNs > least) least = minNs;
  return `no jump of ${shortNs(least)} or more on ${watched(summary)}${most}${lost}${blind}${silent(summary)}`;
}

/** VMs beside those that were judged: nothing can be said of them. */
function silent(summary: Found): string {
  const [first, ...others] = unwritten(summary);
  if (first === undefined) return '';
  const more = others.length === 0 ? '' : ` and ${count(others.length, 'more VM')}`;
  return `; no page of VM ${printable(first.id)}${more} was recorded`;
}

/** The vCPUs that were looked at. */
function watched(found: Found): string {
  const { vmCount, onlyVm } = found;
  const vcpus = count(
    asked(found).reduce((n, vm) => n + vm.vcpus.length, 0),
    'vCPU',
  );
  return onlyVm === undefined
    ? `${vcpus} of ${count(vmCount, 'VM')}`
    : `${vcpus} of VM ${printable(onlyVm)}`;
}

/** A bound in words: `1 µs` rather than `1.000 µs`. */
const shortNs = (ns: bigint): string => formatNs(ns).replace(/\.0+ /, ' ');

function place({ vm, vcpu }: Finding): string {
  const of =
    vm === undefined
      ? ''
      : `VM ${printable(vm.id)}${vm.process === '' ? '' : ` (${printable(vm.process)})`}`;
  return vcpu === undefined ? of || 'the host' : `vCPU ${vcpu} of ${of || 'an unknown VM'}`;
}

/** Seconds since the recording began, or the raw timestamp where its clock tells no time. */
function time({ timeNs, timestamp }: Finding, { fromNs }: Found): string {
  if (timeNs === undefined || fromNs === undefined) return `at ${timestamp}`;
  return `${decimal(timeNs - fromNs, 1e3, 6)} s`;
}

/** The findings as aligned lines, each with its reason below it. */
export function* findingLines(
  findings: readonly Finding[],
  summary: Found,
  style: Style,
): Generator<string> {
  const rows = findings.map((f) => ({
    finding: f,
    cells: [
      time(f, summary),
      f.severity,
      f.rule,
      f.vm === undefined ? '-' : `${printable(f.vm.id)}${f.vcpu === undefined ? '' : `/${f.vcpu}`}`,
      f.deltaNs === undefined ? '' : formatSignedNs(f.deltaNs),
    ],
  }));
  const widths = [0, 1, 2, 3, 4].map((i) => Math.max(0, ...rows.map((r) => r.cells[i]!.length)));
  const indent = ' '.repeat(widths[0]! + 2);
  for (const { finding, cells } of rows) {
    const [at, severity, rule, who, delta] = cells.map((cell, i) =>
      i === 0 || i === 4 ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!),
    );
    const after = isStep(finding) ? 'after ' : '';
    yield `${style('faint', at!)}  ${style(finding.severity, severity!)}  ${rule}  ${who}  ${style('strong', delta!)}  ${after}${printable(finding.cause)}`.trimEnd();
    yield `${indent}${style('faint', explained(finding))}`;
  }
}

function explained({ reason, visibility, deltaNs }: Finding): string {
  const unseen =
    visibility === 'unknown' && deltaNs !== undefined
      ? ' When the guest saw it is unknown: the recording has no kvm_entry events.'
      : '';
  return `${printable(reason, 1000)}${unseen}`;
}

/** What the mechanisms behind the findings are, and what to do about them. */
export function* mechanismLines(summary: Pick<FindingCounts, 'byMechanism'>): Generator<string> {
  for (const [id, n] of seenMechanisms(summary)) {
    const { what, remedy } = MECHANISMS[id];
    yield `${id} (${count(n, 'finding')}): ${what}.`;
    yield `  ${remedy}`;
  }
}

/** What was read: the foot of the report. */
export function* summaryLines(summary: ReplaySummary): Generator<string> {
  const { clock } = summary;
  const kernel =
    summary.kernelRelease === undefined ? '' : `, kernel ${printable(summary.kernelRelease)}`;
  yield `recording  ${printable(summary.recording)} (${summary.format}${kernel})`;
  yield `clock      ${clockText(clock)}`;
  const span = summary.spanNs === undefined ? '' : ` over ${formatNs(summary.spanNs)}`;
  yield `events     ${groups(summary.events)}${span}; ${lostText(summary)}`;
  if (summary.malformed > 0) {
    yield `           ${unreadText(summary)}`;
  }
  for (const [i, vm] of summary.vms.slice(0, MOST_VMS_SHOWN).entries()) {
    yield `${i === 0 ? 'VMs        ' : '           '}${vmText(vm)}`;
  }
  const unlisted = summary.vmCount - MOST_VMS_SHOWN;
  if (unlisted > 0) yield `           … and ${count(unlisted, 'more VM')}`;
  if (summary.model !== undefined) yield `model      ${modelText(summary.model)}`;
  yield `findings   ${foundText(summary)}`;
  yield `digest     ${summary.digest}`;
}

const unreadText = ({ malformed, firstMalformed }: ReplaySummary): string =>
  `${count(malformed, 'record')} not understood, the first at ${firstMalformed}`;

/** How many findings there are: `10 jump (5 warning, 5 error)`. */
export function foundText({ byRule, bySeverity }: FindingCounts): string {
  const counts = (of: Readonly<Partial<Record<string, number>>>): string =>
    Object.entries(of)
      .map(([name, n]) => `${groups(n ?? 0)} ${name}`)
      .join(', ');
  const total = counts(byRule);
  return total === '' ? 'none' : `${total} (${counts(bySeverity)})`;
}

function modelText({ profileText, counts }: ModelSummary): string {
  const { predicted, inferred, unknown, diverged } = counts;
  const parts = [
    `${groups(predicted)} predicted`,
    `${groups(inferred)} inferred`,
    `${groups(unknown)} unknown`,
    ...(diverged === 0 ? [] : [count(diverged, 'divergence')]),
  ];
  return `${profileText}: ${parts.join(', ')}`;
}

function clockText(clock: ReplaySummary['clock']): string {
  const name = clock.name === undefined ? '' : ` (${printable(clock.name)})`;
  switch (clock.unit) {
    case 'tsc':
      return `host TSC${name}`;
    case 'ns':
      return `nanoseconds${name}; host TSCs are derived from the pages (record with -C x86-tsc to have them exactly)`;
    case 'order':
      return `only the order of events${name}; host TSCs are taken from the pages (record with -C x86-tsc)`;
  }
}

function lostText({ gaps, lostEvents }: ReplaySummary): string {
  if (gaps === 0) return 'none lost';
  const known = lostEvents > 0n ? `${groups(lostEvents)} or more lost` : 'some lost';
  return `${known} in ${count(gaps, 'place')}`;
}

function vmText(vm: VmSummary): string {
  const ids = vm.vcpus.length === 0 ? 'no vCPU' : `vCPU ${ranges(vm.vcpus)}`;
  const how = vm.ambiguous ? 'ambiguous: perhaps several VMs' : `told by ${vm.source}`;
  return `${printable(vm.id)}  ${printable(vm.process)}, pid ${vm.pid}, ${ids} (${how})`;
}

/** `0-3, 7` for 0, 1, 2, 3, 7. */
function ranges(ids: readonly number[]): string {
  const parts: string[] = [];
  for (let i = 0; i < ids.length; ) {
    let end = i;
    while (ids[end + 1] === ids[end]! + 1) end++;
    parts.push(end === i ? `${ids[i]}` : `${ids[i]}-${ids[end]}`);
    i = end + 1;
  }
  return parts.join(', ');
}
