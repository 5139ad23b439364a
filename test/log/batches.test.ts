import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InputBatch, inputCode } from '../../events/index.ts';
import { JsonlDecoder, type LogEntry, MclogDecoder } from '../../events/log/index.ts';
import { replayLog } from '../../replay/log/index.ts';
import { histories, runs } from '../engine/arbitraries.ts';
import { bytesOf, FORMS, type Log, logOf, open, readAll } from './logs.ts';

const SPEC = {
  profile: 'v6.1',
  host: { tscKhz: 2e6, vendor: 'vmx', hasTscControl: true, constantTsc: true, staleKhz: 0 },
  steps: Array.from({ length: 40 }, (_, i) => i * 7919),
} as const;

/** Id of a vCPU that no VM has. */
const NOBODY = 0xffff_fff0;

const withInput = (log: Log, at: number, input: LogEntry): Log => ({
  ...log,
  entries: [...log.entries.slice(0, at), input, ...log.entries.slice(at)],
});

describe('a batch', () => {
  it('keeps inputs as they came, and makes bare ones when asked', () => {
    fc.assert(
      fc.property(histories(120), (spec) => {
        const inputs = logOf(spec).entries.flatMap((e) => (e.kind === 'input' ? [e.input] : []));
        const batch = new InputBatch();
        for (const input of inputs) batch.add(input);
        expect([...batch.rows()]).toEqual(inputs);
        expect([...batch.rows(2, 5)]).toEqual(inputs.slice(2, 5));
        batch.reserve(2);
        const row = batch.length;
        batch.codes[row] = inputCode('kvm_exit');
        batch.halves[2 * row] = -1;
        batch.halves[2 * row + 1] = 1;
        batch.vms[row] = 3;
        batch.vcpus[row] = 0xffff_ffff;
        batch.addBare(1);
        const bare = { type: 'kvm_exit', tsc: 0x1_ffff_ffffn, vm: 3, vcpu: 0xffff_ffff };
        expect([...batch.rows(row)]).toEqual([bare]);
        expect(batch.whole(row)).toBeUndefined();
      }),
      runs(20),
    );
  });
});

/** What a VMM does before each input. */
const pause = (vm: number): LogEntry => ({
  kind: 'composite',
  vm,
  inputs: 1,
  event: { type: 'pause' },
});

describe('short stretches', () => {
  it.each(FORMS)('%s: have one batch together, however many they are', (form) => {
    const { header, entries } = logOf(SPEC, 1000);
    const inputs = entries.flatMap((e) => (e.kind === 'input' ? [e.input] : []));
    const many = inputs.flatMap((input): LogEntry[] => [pause(0), { kind: 'input', input }]);
    const bytes = bytesOf(form, { header, entries: many }, [many.length]);
    const decoder = form === 'mclog' ? new MclogDecoder('log') : new JsonlDecoder('log');
    const stretches = [...decoder.push(bytes)];
    expect(stretches.length).toBe(inputs.length + 1);
    expect(new Set(stretches.map((stretch) => stretch.inputs)).size).toBe(1);
    expect(stretches.flatMap((s) => [...s.inputs.rows(s.from, s.to)])).toEqual(inputs);
  });
});

describe('inputs that come to nothing are taken many at once', () => {
  it.each(FORMS)('%s: which gives what one by one gives', async (form) => {
    await fc.assert(
      fc.asyncProperty(histories(80), async (spec) => {
        const bytes = bytesOf(form, logOf(spec), [200]);
        const seen: unknown[] = [];
        const atOnce = await replayLog(await open(bytes));
        const oneByOne = await replayLog(await open(bytes), { seen: (input) => seen.push(input) });
        expect({ ...atOnce, world: undefined }).toEqual({ ...oneByOne, world: undefined });
        const { entries } = await readAll(bytes);
        expect(seen).toEqual(entries.flatMap((e) => (e.kind === 'input' ? [e.input] : [])));
      }),
      runs(40),
    );
  });

  it.each(FORMS)('%s: but none further than asked, nor past one that cannot be', async (form) => {
    await fc.assert(
      fc.asyncProperty(histories(80), fc.nat(80), async (spec, some) => {
        const log = logOf(spec, 1000);
        const { inputs } = await replayLog(await open(bytesOf(form, log, [200])));
        const at = Math.min(some, inputs);
        const until = await replayLog(await open(bytesOf(form, log, [200])), { until: at });
        expect(until.inputs).toBe(at);
        expect(until.world.count).toBe(at);
        const tsc = at === 0 ? 0n : until.world.lastTsc;
        const exit = { type: 'kvm_exit', tsc, vm: 0, vcpu: NOBODY } as const;
        const wrong = withInput(log, at, { kind: 'input', input: exit });
        await expect(replayLog(await open(bytesOf(form, wrong, [200])))).rejects.toThrow(
          `input ${at + 1} (kvm_exit)`,
        );
      }),
      runs(40),
    );
  });
});
