import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InputBatch, inputCode } from '../../events/index.ts';
import type { LogEntry } from '../../events/log/index.ts';
import { replayLog } from '../../replay/log/index.ts';
import { histories, runs } from '../engine/arbitraries.ts';
import { bytesOf, FORMS, type Log, logOf, open, readAll } from './logs.ts';

/** Ids of vCPUs that no VM has. */
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
        expect([...batch]).toEqual(inputs);
        batch.clear();
        expect([...batch]).toEqual([]);
        batch.reserve(2);
        const row = batch.length;
        batch.codes[row] = inputCode('kvm_exit');
        batch.halves[2 * row] = -1;
        batch.halves[2 * row + 1] = 1;
        batch.vms[row] = 3;
        batch.vcpus[row] = 0xffff_ffff;
        batch.addBare(1);
        const bare = { type: 'kvm_exit', tsc: 0x1_ffff_ffffn, vm: 3, vcpu: 0xffff_ffff };
        expect([...batch]).toEqual([bare]);
        expect(batch.whole(row)).toBeUndefined();
      }),
      runs(20),
    );
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
