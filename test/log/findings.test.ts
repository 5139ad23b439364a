import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Input } from '../../events/index.ts';
import type { LogEntry } from '../../events/log/index.ts';
import { logOfRecording } from '../../replay/conformance/index.ts';
import type { Finding } from '../../replay/index.ts';
import { headerOf, type ReplayLogOptions, replayLogAll } from '../../replay/log/index.ts';
import { checkpointOf, makeHost, World } from '../../src/engine/index.ts';
import { profile } from '../../src/profiles/index.ts';
import { cli, json } from '../cli/run.ts';
import { BUNDLED, emptyFolder, recordingOf } from '../conformance/bundled.ts';
import { fixture, replayFile, replayText, unzipped } from '../replay/fixtures.ts';
import { bytesOf, open } from './logs.ts';

const replayBytes = async (log: Parameters<typeof bytesOf>[1], options: ReplayLogOptions = {}) =>
  replayLogAll(await open(bytesOf('mclog', log)), options);

/** What a recording's own findings are, by the reader of recordings. */
async function seenByReader(name: string): Promise<readonly Finding[]> {
  const { findings } = existsSync(fixture(name))
    ? await replayFile(fixture(name))
    : await replayText(unzipped(name, 'trace.txt'));
  return findings;
}

/**
 * What can be compared, by vCPU in order of time. A recording only guesses a drift, may diverge from
 * the model, and does not know what was before its first page; where a guest clears its flag by itself, only the log tells.
 */
const comparable = (findings: readonly Finding[]) =>
  findings
    .filter(({ rule, cause }) => {
      if (rule === 'flags') return !cause.includes('PVCLOCK_GUEST_STOPPED cleared');
      return rule !== 'drift' && rule !== 'unmeasured' && rule !== 'divergence';
    })
    .map(({ rule, vcpu, deltaNs, severity }) => ({
      what: `${rule} vCPU ${vcpu}`,
      severity,
      deltaNs,
    }))
    .sort((a, b) => (a.what < b.what ? -1 : a.what > b.what ? 1 : 0));

const WRAP_NS = 1n << 60n;
const size = (n: bigint): bigint => (n < 0n ? -n : n);

/** A log's instants are those of the reads, a recording's those of its events, a little later. */
function isAsFar(log: bigint | undefined, recording: bigint | undefined): boolean {
  if (log === undefined || recording === undefined) return log === recording;
  return size(log - recording) <= 1n || (size(log) > WRAP_NS && size(recording) > WRAP_NS);
}

describe('a recording as a log', () => {
  it.each(BUNDLED)('%s: the same is found in it', async (name) => {
    const { findings, summary } = await replayBytes(logOfRecording(await recordingOf(name)));
    const log = comparable(findings);
    const recording = comparable(await seenByReader(name));
    const named = (all: typeof log) => all.map(({ what, severity }) => `${what} ${severity}`);
    expect(named(log)).toEqual(named(recording));
    expect(log.filter(({ deltaNs }, i) => !isAsFar(deltaNs, recording[i]!.deltaNs))).toEqual([]);
    expect(summary.findings.pages).toBe(summary.observations.get('kvm_pvclock_update') ?? 0);
  });
});

const SYSTEM_TIME = 0x4b56_4d01;
const VM = { vm: 0 } as const;

/** A host of 3 GHz, whose guest's two vCPUs are told so many kHz, and what then happens to them. */
async function story(
  { khz = 3_000_000, kernel = 'v6.1' }: { readonly khz?: number; readonly kernel?: string },
  then: readonly Input[],
  options: ReplayLogOptions = {},
) {
  const { switches, id } = profile(kernel);
  const world = new World({ switches, host: makeHost({ tscKhz: 3_000_000, offsReal: 5n }) });
  const boot = (vcpu: number): Input[] => [
    { type: 'KVM_CREATE_VCPU', ...VM, vcpu, cpu: vcpu, tsc: 0n },
    { type: 'vcpu_postcreate', ...VM, vcpu, tsc: 0n },
  ];
  const run = (vcpu: number): Input[] => [
    { type: 'vcpu_load', ...VM, vcpu, cpu: vcpu, tsc: 0n },
    { type: 'KVM_SET_TSC_KHZ', ...VM, vcpu, khz, tsc: 0n },
    { type: 'wrmsr', ...VM, vcpu, index: SYSTEM_TIME, data: BigInt(0x1001 + vcpu * 64), tsc: 0n },
    { type: 'kvm_entry', ...VM, vcpu, tsc: 0n },
  ];
  const first: Input[] = [
    { type: 'KVM_CREATE_VM', ...VM, tsc: 0n },
    ...[0, 1].flatMap(boot),
    ...[0, 1].flatMap(run),
    // vCPU 0's page follows vCPU 1's creation.
    { type: 'kvm_exit', ...VM, vcpu: 0, tsc: 0n },
    { type: 'kvm_entry', ...VM, vcpu: 0, tsc: 0n },
  ];
  const entries = [...first, ...then].map((input) => ({ kind: 'input', input }) as const);
  const log = { header: headerOf(world, { id }), entries };
  return { log, ...(await replayBytes(log, options)) };
}

const DAY = 86_400n * 3_000_000_000n;

/** vCPU 1's reference page of Hyper-V asks for a new reference, which vCPU 1 then takes. */
const update = (tsc: bigint): Input[] => [
  { type: 'kvm_exit', ...VM, vcpu: 1, tsc },
  { type: 'wrmsr', ...VM, vcpu: 1, index: 0x4000_0021, data: 0x9001n, tsc },
  { type: 'kvm_entry', ...VM, vcpu: 1, tsc },
  { type: 'kvm_exit', ...VM, vcpu: 0, tsc: tsc + 9n },
  { type: 'kvm_entry', ...VM, vcpu: 0, tsc: tsc + 9n },
];

describe('what a model knows', () => {
  it('a scaled guest’s jump is predicted to the nanosecond, and its trigger is named', async () => {
    const { findings } = await story({ khz: 2_500_000 }, update(DAY));
    const jumps = findings.filter(({ rule }) => rule === 'jump');
    expect(jumps).toMatchObject([
      { vcpu: 1, trigger: { input: 17, type: 'wrmsr' }, mechanism: 'raw-residue' },
      { vcpu: 0, trigger: { input: 17, type: 'wrmsr' }, mechanism: 'raw-residue' },
    ]);
    for (const { deltaNs, predictedNs, remainderNs, cause, wallNs, timeNs } of jumps) {
      expect(deltaNs).toBe(-39_705_075n);
      expect([predictedNs, remainderNs]).toEqual([deltaNs, 0n]);
      expect(cause).toMatch(/guest wrote HV_X64_MSR_REFERENCE_TSC$/);
      // The host's CLOCK_MONOTONIC counts by a multiplier of few bits.
      expect(size(wallNs! - 5n - timeNs!)).toBeLessThan(6_000_000n);
    }
  });

  it('moving the frequency in mid-life moves the TSC, by the formula', async () => {
    const tsc = 10n ** 15n;
    const { findings } = await story({}, [
      { type: 'kvm_exit', ...VM, vcpu: 0, tsc },
      { type: 'KVM_SET_TSC_KHZ', ...VM, vcpu: 0, khz: 2_500_000, tsc },
      { type: 'kvm_entry', ...VM, vcpu: 0, tsc },
    ]);
    expect(findings.find(({ rule }) => rule === 'tsc-jump')).toMatchObject({
      trigger: { type: 'KVM_SET_TSC_KHZ' },
      reason: expect.stringContaining('moved by −166,666,666,666,668 cycles'),
    });
  });

  it('a set clock is predicted with the reference that it takes', async () => {
    const { findings } = await story({}, [
      { type: 'KVM_SET_CLOCK', ...VM, clock: 10n ** 15n, flags: 0, tsc: DAY },
      ...update(DAY + 3_000_000n).slice(3),
    ]);
    const [jump] = findings.filter(({ rule }) => rule === 'jump');
    expect(jump).toMatchObject({ cause: 'KVM_SET_CLOCK', mechanism: 'set-clock', remainderNs: 0n });
    expect(jump!.deltaNs).toBe(jump!.predictedNs);
  });

  it('the masterclock’s loss names what turned it off', async () => {
    const { findings } = await story({}, [
      { type: 'kvm_exit', ...VM, vcpu: 1, tsc: DAY },
      { type: 'KVM_SET_TSC_OFFSET', ...VM, vcpu: 1, offset: 5n, tsc: DAY },
      { type: 'kvm_entry', ...VM, vcpu: 1, tsc: DAY },
    ]);
    expect(findings.find(({ rule }) => rule === 'masterclock-lost')).toMatchObject({
      severity: 'error',
      cause: 'the vCPUs’ TSCs are of different generations',
      trigger: { type: 'KVM_SET_TSC_OFFSET' },
    });
  });

  it('another kernel has other findings, and they are in the digest', async () => {
    const own = await story({}, update(DAY));
    const other = await story({}, update(DAY), { profile: 'v4.19' });
    const jumpsOf = ({ findings }: typeof own) => findings.filter(({ rule }) => rule === 'jump');
    expect(jumpsOf(own)).toHaveLength(2);
    expect(jumpsOf(other)).toHaveLength(2);
    const quiet = await story({}, update(DAY), { minNs: 10n ** 9n });
    expect(jumpsOf(quiet)).toEqual([]);
    expect(quiet.summary.digests.all).not.toBe(own.summary.digests.all);
    expect(quiet.summary.digests.vms.get(0)).not.toBe(own.summary.digests.vms.get(0));
  });

  it('after lost inputs nothing is judged until a checkpoint tells, and then what versions prove', async () => {
    const { log } = await story({}, update(DAY));
    const world = new World({
      switches: profile('v6.1').switches,
      host: makeHost({ tscKhz: 3e6, offsReal: 5n }),
    });
    const inputs = log.entries.map(({ input }) => input);
    const before = inputs.length - update(DAY).length;
    for (const input of inputs.slice(0, before + 2)) world.dispatch(input);
    const kept = log.entries.slice(0, before);
    const gap: LogEntry = { kind: 'gap', tsc: DAY, reason: 'lost', lost: 2n };
    const lost: LogEntry[] = [...kept, gap, ...log.entries.slice(before + 2)];
    const blind = await replayBytes({ header: log.header, entries: lost });
    expect(blind.findings.map(({ rule }) => rule)).toEqual(['gap']);
    const checkpoint = checkpointOf(world, before);
    const told = await replayBytes({
      header: log.header,
      entries: [...kept, gap, { kind: 'checkpoint', checkpoint }, ...log.entries.slice(before + 2)],
    });
    const jumps = told.findings.filter(({ rule }) => rule === 'jump');
    expect(jumps.map(({ vcpu, deltaNs }) => [vcpu, deltaNs])).toEqual([
      [1, -5_129_725n],
      [0, -5_129_725n],
    ]);
  });
});

describe('the command line', () => {
  it('reports a log as it does a recording', async () => {
    const { log } = await story({}, update(DAY));
    const path = join(emptyFolder(), 'a.mclog');
    writeFileSync(path, bytesOf('mclog', log));
    const text = await cli('replay', path);
    expect(text).toMatchObject({ code: 1, stderr: '' });
    expect(text.stdout).toMatch(
      /^the guest's clock jumped −5\.130 ms on vCPU 1 of VM 0, 86400\.000000 s into the log, after its guest wrote HV_X64_MSR_REFERENCE_TSC; 1 more finding\n/,
    );
    expect(text.stdout).toContain('raw-residue (2 findings)');
    expect((await cli('replay', '--fail-on', 'error', path)).code).toBe(0);
    expect((await cli('replay', '--min-ns', '6000000', path)).code).toBe(0);
    expect(await cli('replay', '--vm', '1', path)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('has no VM 1: it has 0'),
    });
    const [jump, ...rest] = json((await cli('replay', '--json', path)).stdout);
    expect(jump).toMatchObject({
      kind: 'finding',
      rule: 'jump',
      vm: '0',
      process: null,
      predicted_ns: '-5129725',
      remainder_ns: '0',
      trigger: { input: 17, type: 'wrmsr' },
    });
    expect(rest.at(-1)).toMatchObject({
      kind: 'summary',
      findings: { by_rule: { jump: 2, drift: 1 } },
      mechanisms: { 'raw-residue': { count: 2 } },
    });
  });
});
