import { describe, expect, test } from 'vitest';
import { replayText } from './fixtures.ts';
import { TraceText } from './trace-text.ts';

/**
 * A KVM selftest's report of 2024-01-06: a vCPU hotplug 5.000 s after the page before it, on a host
 * of 1,995,311 kHz. The old page read at the new tsc_timestamp is 412 ns behind the new one.
 */
const SCALE = { mul: 2152530255, shift: 0, flags: 1 };
const BEFORE = { tsc: 3277968n, ns: 11849519n, ...SCALE };
const AFTER = { tsc: 9980576184n, ns: 5012222411n, ...SCALE };

const JUMP = {
  rule: 'jump',
  vcpu: 0,
  deltaNs: 412n,
  mechanism: 'raw-residue',
  predictedNs: 412n,
  remainderNs: 0n,
  severity: 'info',
};

describe('a reported hotplug jump, to the nanosecond', () => {
  test('with entries, offsets and host TSCs', async () => {
    const host = 1_000_000_000n;
    const trace = new TraceText()
      .offset(host, 0n, -host)
      .page(host + BEFORE.tsc + 900n, BEFORE)
      .entry(host + BEFORE.tsc + 1000n)
      .exit(host + BEFORE.tsc + 2000n)
      .masterclock(host + AFTER.tsc + 500n, 1)
      .page(host + AFTER.tsc + 900n, { ...AFTER, version: 4 })
      .entry(host + AFTER.tsc + 1000n);
    const { findings } = await replayText(String(trace));
    expect(findings.filter((f) => f.rule === 'jump')).toMatchObject([
      { ...JUMP, visibility: 'entry', timestamp: host + AFTER.tsc + 1000n },
    ]);
  });

  test.each(['tsc', 'ns'] as const)('with nothing but the two pages (%s clock)', async (clock) => {
    const trace = new TraceText(clock)
      .page(4_000_000n, BEFORE)
      .page(9_990_000_000n, { ...AFTER, version: 4 });
    const { findings } = await replayText(String(trace));
    expect(findings.filter((f) => f.rule === 'jump')).toMatchObject([
      { ...JUMP, visibility: 'unknown' },
    ]);
  });
});
