/** What a log's replay came to, as JSON objects of one line: 64-bit numbers as decimal strings. */
import type { Change, LogState, LogSummary } from '../log/index.ts';
import { mechanismsToJson } from './json.ts';

const text = (json: unknown): string =>
  JSON.stringify(json, (_key, value: unknown) => {
    if (typeof value === 'bigint') return String(value);
    if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
    return value instanceof Map ? Object.fromEntries(value) : value;
  });

/** The summary of a replay. */
export function logSummaryToJson(summary: LogSummary): string {
  const { profile, world, digests, findings, ...rest } = summary;
  const { id, overridden } = profile;
  const vms = [...world.vms.values()].map((vm) => ({ vm: vm.id, vcpus: [...vm.vcpus.keys()] }));
  const switches = Object.fromEntries(overridden.map((name) => [name, profile.switches[name]]));
  return text({
    kind: 'summary',
    type: 'summary',
    profile: id,
    set: switches,
    vms,
    ...rest,
    pages: findings.pages,
    compared: findings.compared,
    findings: { by_rule: findings.byRule, by_severity: findings.bySeverity },
    mechanisms: mechanismsToJson(findings),
    digest: digests.all,
    vmDigests: digests.vms,
  });
}

/** Where a log stands after an input. */
export function stateToJson({ at, kernel, model, input, dispatched, isUnknown }: LogState): string {
  const profile = kernel.profile.id;
  return text({ type: 'state', at, profile, isUnknown, input, dispatched, ...model });
}

/** One change. */
export const changeToJson = (change: Change): string => text({ type: 'change', ...change });
