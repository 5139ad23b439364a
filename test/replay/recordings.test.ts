import { describe, expect, test } from 'vitest';
import type { Finding } from '../../replay/index.ts';
import { fixture, replayFile, replayText, unzipped, withoutMarkers } from './fixtures.ts';
import { enteredOffsets, type ProvenJump, provenJumps } from './guest-pages.ts';

/** Two readings are each rounded down, at instants of one's own choosing. */
const ROUNDING_NS = 2n;
const LEAST_NS = 10n;
const size = (n: bigint): bigint => (n < 0n ? -n : n);

const isStep = (f: Finding): boolean => f.rule === 'jump' || f.rule === 'tsc-jump';

/** Equal within rounding; a wrapped difference (beyond 2^62) within a millionth. */
function agrees(found: bigint, proven: bigint): boolean {
  const apart = size(found - proven);
  return apart <= ROUNDING_NS || (size(proven) > 1n << 62n && apart * 1_000_000n <= size(proven));
}

/**
 * Takes the findings that make up a proven jump out of `open`: one of equal size, or several within
 * one action of the log (its guest entered more than once) that add up to it.
 */
function takeMatch(open: Finding[], jump: ProvenJump, timed: boolean): boolean {
  const near = open.filter(
    (f) =>
      f.vm?.id === jump.vm &&
      f.vcpu === jump.vcpu &&
      (!timed || (f.timestamp > jump.after && f.timestamp <= jump.until)),
  );
  const one = near.find((f) => agrees(f.deltaNs!, jump.deltaNs));
  const all = near.reduce((sum, f) => sum + f.deltaNs!, 0n);
  const matched = one !== undefined ? [one] : agrees(all, jump.deltaNs) ? near : [];
  for (const f of matched) open.splice(open.indexOf(f), 1);
  return matched.length > 0;
}

function expectProven(findings: readonly Finding[], proven: readonly ProvenJump[], timed = true) {
  const open = findings.filter((f) => isStep(f));
  const missing = proven
    .filter((j) => size(j.deltaNs) >= LEAST_NS)
    .filter((j) => !takeMatch(open, j, timed));
  const extra = open.filter((f) => size(f.deltaNs!) > LEAST_NS + ROUNDING_NS);
  expect(missing).toEqual([]);
  expect(extra.map((f) => `${f.vm?.id}/${f.vcpu} ${f.deltaNs}`)).toEqual([]);
}

/** What both files of one run have to say alike. */
const essence = (findings: readonly Finding[]) =>
  findings.map(({ vm, ...rest }) => ({ vm: vm?.id, ...rest }));

/** Recordings stamped with the host TSC whose log proves every jump, and how many of 10 ns or more. */
const PROVEN = [
  ['ntp-hotplug', 10],
  ['several-vms-6.1', 4],
  ['tsc-guest-6.1', 12],
  ['suspend-6.1', 2],
  ['hotplug-record-6.1', 6],
  ['set-clock-5.10', 16],
  ['legacy-5.10', 14],
  ['threads-6.12', 7],
  ['loadburst-7.3', 77],
  ['set-clock-7.3', 24],
] as const;

describe('recordings of real kernels: the jumps that the guests’ own pages prove', () => {
  test.each(PROVEN)('%s: all %i of them from the text, and no other', async (name, count) => {
    const proven = provenJumps(unzipped(name, 'actions.jsonl'));
    expect(proven.filter((j) => size(j.deltaNs) >= LEAST_NS)).toHaveLength(count);
    const { findings, summary } = await replayText(unzipped(name, 'trace.txt'));
    expectProven(findings, proven);
    expect(summary).toMatchObject({ malformed: 0, gaps: 0 });
  });

  test.each(PROVEN)('%s: trace.dat and text give the same findings and digest', async (name) => {
    const text = await replayText(unzipped(name, 'trace.txt'));
    const dat = await replayFile(fixture(name));
    expect(essence(dat.findings)).toEqual(essence(text.findings));
    expect(dat.summary.digest).toBe(text.summary.digest);
    expect(dat.summary.events).toBe(text.summary.events);
  });

  test.each(PROVEN)('%s: markers make no difference', async (name) => {
    const text = unzipped(name, 'trace.txt');
    const stripped = withoutMarkers(text);
    expect(stripped.length).toBeLessThan(text.length);
    const { findings } = await replayText(stripped);
    expect(essence(findings)).toEqual(essence((await replayText(text)).findings));
  });
});

describe('recordings that need a word of their own', () => {
  test('tsc-unstable-6.12: jumps by the offsets with which guests ran', async () => {
    const text = unzipped('tsc-unstable-6.12', 'trace.txt');
    const log = unzipped('tsc-unstable-6.12', 'actions.jsonl');
    const proven = provenJumps(log, enteredOffsets(text));
    expect(proven.filter((j) => size(j.deltaNs) >= LEAST_NS)).toHaveLength(14);
    const { findings } = await replayText(text);
    expectProven(findings, proven);
    expect(essence((await replayFile(fixture('tsc-unstable-6.12'))).findings)).toEqual(
      essence(findings),
    );
  });

  test('tsc-host-mono-raw-6.12: another trace clock, host TSCs derived from the pages', async () => {
    const proven = provenJumps(unzipped('tsc-host-mono-raw-6.12', 'actions.jsonl'));
    expect(proven.filter((j) => size(j.deltaNs) >= LEAST_NS)).toHaveLength(15);
    const { findings, summary } = await replayFile(fixture('tsc-host-mono-raw-6.12'));
    expectProven(findings, proven, false);
    expect(summary.clock).toMatchObject({ unit: 'ns', name: 'mono_raw', tscDerived: true });
    const text = await replayText(unzipped('tsc-host-mono-raw-6.12', 'trace.txt'));
    const steps = (all: readonly Finding[]) => all.filter(isStep).map((f) => [f.vcpu, f.deltaNs]);
    expect(steps(text.findings)).toEqual(steps(findings));
  });

  test('xen-6.12: a vCPU with only a Xen page jumps too', async () => {
    const proven = provenJumps(unzipped('xen-6.12', 'actions.jsonl'));
    const { findings } = await replayFile(fixture('xen-6.12'));
    // The log has no page of vCPU 2: its time is in Xen's vcpu_info, which the trace reports.
    const [xen, ...more] = findings.filter((f) => isStep(f) && f.vcpu === 2);
    expect(xen).toMatchObject({ deltaNs: 998_759_145_360n, mechanism: 'set-clock' });
    expect(more).toEqual([]);
    expectProven(
      findings.filter((f) => f !== xen),
      proven,
    );
  });
});
