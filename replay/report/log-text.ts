/** What a log's replay came to, as text: the verdict first. */

import type { Finding } from '../findings/finding.ts';
import { printable } from '../formats/index.ts';
import { type Change, type LogState, type LogSummary, lostAll } from '../log/index.ts';
import { count } from '../quantity.ts';
import { foundText, MOST_VMS_SHOWN, pagesOf, verdictOn } from './text.ts';

const kernelText = (summary: Pick<LogSummary, 'profile'>): string => {
  const { id, overridden } = summary.profile;
  return overridden.length === 0 ? id : `${id} with ${overridden.join(', ')} set otherwise`;
};

/** Why the log can't be judged, or not by its findings alone; else `undefined`. */
function complaint(summary: LogSummary): string | undefined {
  if (summary.isUnknown) return 'cannot tell: inputs are missing from the log';
  const differing = summary.checkpoints.differing[0];
  if (differing !== undefined) {
    return `the model does not come to what the log says: first after input ${differing}`;
  }
  return lostAll(summary)
    ? 'cannot tell: the log’s end was torn off before a page was written'
    : undefined;
}

/** The verdict in one line. */
export function logVerdict(summary: LogSummary, worst: Finding | undefined): string {
  const { findings } = summary;
  const why = complaint(summary);
  if (why !== undefined) return `${why}; ${doneText(summary)}`;
  if (pagesOf(findings) === 0)
    return `no page was written, so no clock can be judged; ${doneText(summary)}`;
  return verdictOn(findings, worst);
}

function doneText(summary: LogSummary): string {
  const { inputs, gaps, impossible, world, isOther } = summary;
  const done = `${count(inputs, 'input')} replayed under ${kernelText(summary)}`;
  const recomputed = summary.masterclock.get('recomputed') ?? 0;
  const notes = [
    `masterclock recomputed ${count(recomputed, 'time')}`,
    ...(gaps > 0 ? [count(gaps, 'gap')] : []),
    ...(impossible > 0
      ? [`${count(impossible, 'input')} that cannot have happened ${isOther ? 'there' : 'so'}`]
      : []),
  ];
  const vcpus = [...world.vms.values()].reduce((sum, vm) => sum + vm.vcpus.size, 0);
  return `${done}: ${count(world.vms.size, 'VM')}, ${count(vcpus, 'vCPU')}, ${notes.join(', ')}`;
}

const listOf = (counts: ReadonlyMap<string, number>): string =>
  [...counts].map(([name, times]) => `${name} ${times}`).join(', ') || 'none';

/** What else there is to say, a line each. */
export function* logLines(summary: LogSummary): Generator<string> {
  const { log, form, version, checkpoints, torn, digests } = summary;
  const { agreed, differing, skipped } = checkpoints;
  yield `log         ${printable(log)}, ${form} version ${version}`;
  yield `replayed    ${doneText(summary)}`;
  yield `seen        ${listOf(summary.observations)}`;
  yield `masterclock ${listOf(summary.masterclock)}; ${count(summary.refused, 'input')} refused by the kernel`;
  yield `derived     ${listOf(summary.derived)}`;
  yield `checkpoints ${agreed} agreed, ${differing.length} differed${skipped > 0 ? `, ${skipped} of another layout` : ''}`;
  if (torn !== undefined) yield tornText(torn);
  yield `findings    ${foundText(summary.findings)}`;
  yield `digest      ${digests.all}`;
  for (const [vm, digest] of [...digests.vms].slice(0, MOST_VMS_SHOWN)) {
    yield `  VM ${vm}      ${digest}`;
  }
  const unlisted = digests.vms.size - MOST_VMS_SHOWN;
  if (unlisted > 0) yield `  … and ${count(unlisted, 'more VM')} (--json lists all)`;
}

/** What was cut from a log's end. */
export const tornText = ({ bytes, offset }: { bytes: number; offset: number }): string =>
  `cut         ${count(bytes, 'byte')} at byte ${offset}: the last entry was not written whole`;

const valueText = (value: unknown): string =>
  value === undefined
    ? 'nothing'
    : typeof value === 'object' && value !== null
      ? 'new'
      : String(value);

const pathText = ([level, id, ...rest]: Change['path']): string => {
  if (level === 'vms' && rest[0] === 'vcpus') return `vm ${id} vcpu ${rest.slice(1).join(' ')}`;
  if (level === 'vms') return `vm ${id} ${rest.slice(1).join(' ')}`.trimEnd();
  return [level, id, ...rest].filter((part) => part !== undefined).join(' ');
};

/** A change in one line. */
export const changeText = ({ path, before, after }: Change): string =>
  `${pathText(path)}: ${valueText(before)} → ${valueText(after)}`;

const fieldsText = (fields: Readonly<Record<string, unknown>>): string =>
  Object.entries(fields)
    .filter(([, value]) => !Array.isArray(value))
    .map(([name, value]) => `${name}=${String(value)}`)
    .join(' ');

/** Where a log stands after an input; the first line says it all. */
export function* stateLines(state: LogState): Generator<string> {
  const { at, input, dispatched, model, changes } = state;
  const came =
    input === undefined
      ? 'nothing has happened yet'
      : dispatched === undefined
        ? `${input.type} cannot have happened under ${state.kernel.profile.id}`
        : `${input.type} at TSC ${input.tsc}: masterclock ${dispatched.masterclock.decision} (${dispatched.masterclock.by})`;
  yield `${state.isUnknown ? 'cannot tell, inputs are missing; ' : ''}after input ${at}: ${came}, ${count(changes.length, 'change')}`;
  yield '';
  yield `host ${fieldsText(model.host)}`;
  for (const [id, { state: vm, vcpus }] of Object.entries(model.vms)) {
    yield `vm ${id} ${fieldsText(vm)}`;
    for (const [vcpu, fields] of Object.entries(vcpus)) {
      yield `vm ${id} vcpu ${vcpu} ${fieldsText(fields)}`;
    }
  }
}
