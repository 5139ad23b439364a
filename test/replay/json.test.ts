/** Lines of `--json` are put together by hand: they must be what `JSON.stringify` would print. */
import { fc, test } from '@fast-check/vitest';
import { expect } from 'vitest';
import { type Finding, makeFinding } from '../../replay/findings/finding.ts';
import { Vm } from '../../replay/identity/vm.ts';
import { findingToJson } from '../../replay/report/json.ts';

const text = (n: bigint | undefined): string | undefined => n?.toString();

function plainly(finding: Finding): string {
  const { vm } = finding;
  return JSON.stringify({
    kind: 'finding',
    rule: finding.rule,
    severity: finding.severity,
    vm: vm?.id ?? null,
    process: vm?.process ?? null,
    pid: vm?.pid ?? null,
    vcpu: finding.vcpu ?? null,
    tsc: text(finding.tsc) ?? null,
    time_ns: text(finding.timeNs) ?? null,
    timestamp: text(finding.timestamp),
    delta_ns: text(finding.deltaNs),
    wrapped_delta_ns: text(finding.wrappedDeltaNs),
    predicted_ns: text(finding.predictedNs),
    remainder_ns: text(finding.remainderNs),
    mechanism: finding.mechanism,
    cause: finding.cause,
    reason: finding.reason,
    visibility: finding.visibility,
  });
}

const s64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
const maybe = fc.option(s64, { nil: undefined });
/** UTF-16 units of every kind: controls, quotes, pairs of surrogates and halves of them. */
const hostile = fc
  .array(fc.oneof(fc.integer({ min: 0, max: 0xffff }), fc.integer({ min: 0, max: 0xff })))
  .map((units) => String.fromCharCode(...units));
const vms = fc.option(
  fc.tuple(hostile, hostile, fc.nat()).map(([id, name, pid]) => new Vm(id, 'threads', name, pid)),
  { nil: undefined },
);
const findings = fc
  .record({
    vm: vms,
    vcpu: fc.option(fc.nat(), { nil: undefined }),
    timestamp: s64,
    tsc: maybe,
    timeNs: maybe,
    visibility: fc.constantFrom('entry' as const, 'unknown' as const, undefined),
    cause: hostile,
    reason: hostile,
    mechanism: fc.constantFrom('set-clock' as const, undefined),
    predictedNs: maybe,
    remainderNs: maybe,
    deltaNs: fc.option(fc.bigInt({ min: -(2n ** 65n), max: 2n ** 65n }), { nil: undefined }),
  })
  .map(({ deltaNs, ...rest }) => makeFinding('jump', 'info', rest, rest, deltaNs));

test.prop([findings])('a line is what JSON.stringify would print', (finding) => {
  expect(findingToJson(finding)).toBe(plainly(finding));
});
