import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { applyPatches, enablePatches } from 'immer';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Input } from '../../events/index.ts';
import { type LogEntry, LogError } from '../../events/log/index.ts';
import {
  headerOf,
  modelOf,
  NoSuchInputError,
  replayLog,
  stateAt,
  stepOf,
} from '../../replay/log/index.ts';
import { logLines } from '../../replay/report/log-text.ts';
import { makeHost, World } from '../../src/engine/index.ts';
import { profile } from '../../src/profiles/index.ts';
import { cli, json } from '../cli/run.ts';
import { histories, runs } from '../engine/arbitraries.ts';
import { newWorld, play } from '../engine/history.ts';
import { bytesOf, FORMS, FORTY_INPUTS, logOf, open } from './logs.ts';

enablePatches();

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'masterclock-log-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('the state at an input', () => {
  it.each(FORMS)('%s: is that of a world to which as much has happened', async (form) => {
    await fc.assert(
      fc.asyncProperty(histories(40), fc.nat(40), async (spec, some) => {
        const log = logOf(spec, 7);
        const opened = await open(bytesOf(form, log));
        const at = Math.min(some, spec.steps.length);
        const world = newWorld(spec);
        const inputs = log.entries.flatMap((e) => (e.kind === 'input' ? [e.input] : []));
        for (const input of inputs.slice(0, at)) world.dispatch(input);
        const state = await stateAt(opened, at);
        expect(state.model).toEqual(modelOf(world));
        expect(state.from).toBe(at === 0 ? 0 : Math.floor((at - 1) / 7) * 7);
      }),
      runs(40),
    );
  });

  it('one step back and its patches lead to the state again, and back', () => {
    fc.assert(
      fc.property(histories(40), (spec) => {
        const world = newWorld(spec);
        let model = modelOf(world);
        const after = (): void => {
          const { model: next, patches, inverse } = stepOf(model, world);
          expect(applyPatches(model, [...patches])).toEqual(next);
          expect(applyPatches(next, [...inverse])).toEqual(model);
          expect(next).toEqual(modelOf(world));
          model = next;
        };
        play(spec, { after }, world);
      }),
      runs(10),
    );
  });
});

describe('VMs that do not touch each other', () => {
  /** What happens to one VM, instant by instant. */
  const life = (vm: number, seed: number): Input[][] => {
    const inputs: Input[] = [
      { type: 'KVM_CREATE_VM', vm, tsc: 0n },
      { type: 'KVM_CREATE_VCPU', vm, vcpu: 0, cpu: vm, tsc: 0n },
      { type: 'vcpu_postcreate', vm, vcpu: 0, tsc: 0n },
      { type: 'vcpu_load', vm, vcpu: 0, cpu: vm, tsc: 0n },
      { type: 'wrmsr', vm, vcpu: 0, index: 0x4b56_4d01, data: 0x1001n, tsc: 0n },
      { type: 'kvm_entry', vm, vcpu: 0, tsc: 0n },
      { type: 'kvm_exit', vm, vcpu: 0, tsc: 0n },
      { type: 'KVM_SET_CLOCK', vm, clock: BigInt(seed) * 1000n, flags: 0, tsc: 0n },
      { type: 'kvm_entry', vm, vcpu: 0, tsc: 0n },
      { type: 'kvm_exit', vm, vcpu: 0, tsc: 0n },
      { type: 'vcpu_put', vm, vcpu: 0, tsc: 0n },
      { type: 'destroy_vm', vm, cpu: vm, tsc: 0n },
    ];
    return inputs.map((input) => [input]);
  };

  /** Of two VMs, one after the other, with the same id. */
  const story = (vm: number, ...seeds: readonly [number, number]): Input[][] =>
    seeds.flatMap((seed) => life(vm, seed));

  /** Rounds of one instant each; in which order the VMs take their turns in a round is free. */
  const interleaved = (stories: Input[][][], orders: readonly number[]): Input[] => {
    const inputs: Input[] = [];
    for (let round = 0; round < stories[0]!.length; round++) {
      const first = orders[round % orders.length]! % stories.length;
      for (let i = 0; i < stories.length; i++) {
        const turn = stories[(first + i) % stories.length]![round]!;
        inputs.push(...turn.map((input) => ({ ...input, tsc: BigInt(round + 1) * 1_000_000n })));
      }
    }
    return inputs;
  };

  const replayOf = async (inputs: readonly Input[]) => {
    const { switches, id } = profile('v6.8');
    const world = new World({ switches, host: makeHost({ tscKhz: 2e6, cpus: 4 }) });
    const entries = inputs.map((input): LogEntry => ({ kind: 'input', input }));
    const log = await open(bytesOf('mclog', { header: headerOf(world, { id }), entries }));
    return replayLog(log);
  };
  const digestsOf = async (inputs: readonly Input[]) => (await replayOf(inputs)).digests;

  it('have the same digests in whatever order they take their turns', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(2), { minLength: 24, maxLength: 24 }), async (orders) => {
        const stories = [story(0, 5, 8), story(1, 6, 9), story(2, 7, 10)];
        const one = await digestsOf(interleaved(stories, [0]));
        const other = await digestsOf(interleaved(stories, orders));
        expect(other.all).toBe(one.all);
        expect([...other.vms]).toEqual([...one.vms]);
        expect(new Set(one.vms.values()).size).toBe(3);
      }),
      runs(20),
    );
  });

  it('have other digests where only their ends, or how many inputs there are, differ', async () => {
    const whole = await digestsOf(life(0, 5).flat());
    const endless = await digestsOf(life(0, 5).flat().slice(0, -1));
    expect(endless.vms.get(0)).not.toBe(whole.vms.get(0));
    // It enters and leaves once more, of which nothing is seen.
    const inputs = life(0, 5).flat();
    const longer = await digestsOf([...inputs.slice(0, -2), ...inputs.slice(-4)]);
    expect(longer.vms.get(0)).toBe(whole.vms.get(0));
    expect(longer.all).not.toBe(whole.all);
  });

  it('of one id are digested together, each of them', async () => {
    const digests = await Promise.all(
      [story(0, 5, 8), story(0, 5, 9), story(0, 4, 8), life(0, 5), life(0, 8)].map(async (one) =>
        (await digestsOf(interleaved([one], [0]))).vms.get(0),
      ),
    );
    expect(new Set(digests).size).toBe(5);
  });

  it('have their digests listed, the first twenty of many', async () => {
    const creations = Array.from({ length: 25 }, (_, vm): Input => {
      return { type: 'KVM_CREATE_VM', vm, tsc: 1n };
    });
    const lines = [...logLines(await replayOf(creations))];
    expect(lines.filter((line) => /^ {2}VM \d+ +sha256:[\da-f]{64}$/.test(line))).toHaveLength(20);
    expect(lines.at(-1)).toBe('  … and 5 more VMs (--json lists all)');
    expect([...logLines(await replayOf(creations.slice(0, 20)))].at(-1)).toMatch(/VM 19 /);
  });
});

it('an input that the log does not have is an error of its own', async () => {
  const log = await open(bytesOf('mclog', logOf(FORTY_INPUTS)));
  const asked = stateAt(log, 99);
  await expect(asked).rejects.toThrow(NoSuchInputError);
  await expect(asked).rejects.toThrow('the log has 40 inputs');
});

describe('gaps', () => {
  it('make the state unknown until a checkpoint tells', async () => {
    const { header, entries } = logOf(FORTY_INPUTS, 10);
    const gap: LogEntry = { kind: 'gap', tsc: 1n, reason: 'lost' };
    const before = await replayLog(
      await open(bytesOf('mclog', { header, entries: [gap, ...entries] })),
    );
    expect(before).toMatchObject({ gaps: 1, isUnknown: false });
    const after = await replayLog(
      await open(bytesOf('mclog', { header, entries: [...entries, gap] })),
    );
    expect(after).toMatchObject({ gaps: 1, isUnknown: true });
  });

  it('without one, an input that cannot be is damage', async () => {
    const { header, entries } = logOf(FORTY_INPUTS);
    const isLeft = (entry: LogEntry): boolean =>
      entry.kind === 'input' && entry.input.type !== 'KVM_CREATE_VM';
    const log = await open(bytesOf('jsonl', { header, entries: entries.filter(isLeft) }));
    await expect(replayLog(log)).rejects.toThrow(LogError);
  });
});

describe('the command line', () => {
  const written = (name: string): string => {
    const path = join(folder, name);
    writeFileSync(
      path,
      bytesOf(name.endsWith('mclog') ? 'mclog' : 'jsonl', logOf(FORTY_INPUTS, 10)),
    );
    return path;
  };

  it('replays a log: verdict first, the same digest in both forms', async () => {
    const binary = await cli('replay', written('a.mclog'));
    expect(binary).toMatchObject({ code: 0, stderr: '' });
    expect(binary.stdout).toMatch(
      /^no page was written, so no clock can be judged; 40 inputs replayed under v6\.1: \d+ VMs?, \d+ vCPUs?, masterclock recomputed/,
    );
    const readable = await cli('replay', '--json', written('a.jsonl'));
    const [summary] = json(readable.stdout);
    expect(binary.stdout).toContain(String(summary!['digest']));
    expect(summary).toMatchObject({ type: 'summary', form: 'jsonl', inputs: 40, profile: 'v6.1' });
  });

  it('goes to an input and says what changed there', async () => {
    const path = written('b.mclog');
    const { code, stdout } = await cli('replay', path, '--at', '12', '--diff', '--json');
    expect(code).toBe(0);
    const [state, ...changes] = json(stdout);
    expect(state).toMatchObject({ type: 'state', at: 12, inputs: 12 });
    expect(changes).toContainEqual({ type: 'change', path: ['inputs'], before: 11, after: 12 });
    const text = await cli('replay', path, '--at', '12', '--diff');
    expect(text.stdout).toMatch(/^after input 12: .*\n\n(.+: .+ → .+\n)+$/);
    expect((await cli('replay', path, '--at', '99')).code).toBe(2);
    expect((await cli('replay', path, '--set', 'x=1')).code).toBe(2);
    expect((await cli('replay', path, '--profile', 'v9.9')).code).toBe(2);
    expect((await cli('replay', path, '--profile', 'v6.8')).stdout).toContain('under v6.8');
  });

  it.each([
    [['--no-model'], /--no-model: .*o\.mclog is no recording\n$/],
    [['--no-model', '--profile', 'v6.8'], /--no-model: .*o\.mclog is no recording\n$/],
    [['--at', '3', '--vm', '77'], /: --vm: --at shows a state and no findings\n$/],
    [['--diff', '--min-ns', '1', '--fail-on', 'error'], /: --min-ns, --fail-on: --diff shows/],
  ])('refuses %j, which would have no effect', async (options, message) => {
    const { code, stdout, stderr } = await cli('replay', written('o.mclog'), ...options);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(message);
  });

  it('converts there and back', async () => {
    const from = written('c.jsonl');
    const to = join(folder, 'd.mclog');
    const back = join(folder, 'd.jsonl');
    expect(await cli('convert', from, to)).toMatchObject({ code: 0, stderr: '' });
    expect(await cli('convert', to, back)).toMatchObject({ code: 0, stderr: '' });
    expect(readFileSync(back, 'utf8')).toBe(readFileSync(from, 'utf8'));
    expect((await cli('convert', from, to)).code).toBe(2);
    expect((await cli('convert', from, join(folder, 'd.txt'))).code).toBe(2);
    expect((await cli('convert', join(folder, 'none'), join(folder, 'e.mclog'))).code).toBe(3);
  });

  it('output that cannot be written is a failure of its own', async () => {
    const from = written('h.jsonl');
    for (const args of [
      ['convert', from],
      ['simulate', 'raw-residue', '--log'],
    ]) {
      const { code, stdout, stderr } = await cli(...args, join(folder, 'missing', 'a.mclog'));
      expect(stderr).toMatch(/a\.mclog: expected a file to write to, found no such folder\n$/);
      expect({ code, stdout }).toEqual({ code: 70, stdout: '' });
    }
    const link = join(folder, 'dangling.mclog');
    symlinkSync(join(folder, 'nowhere'), link);
    const { code, stderr } = await cli('convert', from, link);
    expect(stderr).toMatch(/dangling\.mclog exists already\n$/);
    expect(code).toBe(2);
  });

  it('says where a log is damaged, and what was cut', async () => {
    const path = written('f.jsonl');
    const text = readFileSync(path, 'utf8');
    writeFileSync(path, text.replace(/("input":"\w+","tsc":")/, '$1x'));
    const { code, stdout, stderr } = await cli('replay', path);
    expect({ code, stdout }).toEqual({ code: 3, stdout: '' });
    expect(stderr).toMatch(
      /^masterclock: .*f\.jsonl: line 2: tsc: expected a u64 as a decimal string, found "x.*"\n$/,
    );
    writeFileSync(path, text.slice(0, -9));
    expect((await cli('replay', path)).stdout).toMatch(
      /^cut +[\d,]+ bytes at byte \d+: the last entry was not written whole$/m,
    );
  });

  it('cannot tell where the end was torn off before a page was written', async () => {
    const path = join(folder, 'g.mclog');
    const whole = bytesOf('mclog', logOf(FORTY_INPUTS, 1000), [1000]);
    writeFileSync(path, whole.subarray(0, -100));
    const { code, stdout } = await cli('replay', path);
    expect(stdout).toMatch(
      /^cannot tell: the log’s end was torn off before a page was written; 0 inputs replayed/,
    );
    expect(code).toBe(4);
    expect((await cli('replay', '--json', path)).code).toBe(4);
  });
});
