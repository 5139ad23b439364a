import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Input, InputBatch, inputCode } from '../../events/index.ts';
import {
  JsonlDecoder,
  type LogBytes,
  type LogEntry,
  MclogDecoder,
  openLog,
} from '../../events/log/index.ts';
import { replayLog } from '../../replay/log/index.ts';
import { histories, runs } from '../engine/arbitraries.ts';
import { bytesOf, FORMS, inMemory, type Log, logOf, open, readAll } from './logs.ts';

const SPEC = {
  profile: 'v6.1',
  host: { tscKhz: 2e6, vendor: 'vmx', hasTscControl: true, constantTsc: true, staleKhz: 0 },
  steps: Array.from({ length: 40 }, (_, i) => i * 7919),
} as const;

/** Id of a vCPU that no VM has. */
const NOBODY = 0xffff_fff0;

const inputsOf = ({ entries }: Log): Input[] =>
  entries.flatMap((entry) => (entry.kind === 'input' ? [entry.input] : []));

const withInput = (log: Log, at: number, input: LogEntry): Log => ({
  ...log,
  entries: [...log.entries.slice(0, at), input, ...log.entries.slice(at)],
});

describe('a batch', () => {
  it('keeps inputs as they came, and makes bare ones when asked', () => {
    fc.assert(
      fc.property(histories(120), (spec) => {
        const inputs = inputsOf(logOf(spec));
        const batch = new InputBatch();
        for (const input of inputs) batch.add(input);
        expect([...batch.rows()]).toEqual(inputs);
        expect([...batch.rows(2, 5)]).toEqual(inputs.slice(2, 5));
        const row = batch.length;
        batch.addBare(inputCode('kvm_exit'), 0x1_ffff_ffffn, 3, 0xffff_ffff);
        const bare = { type: 'kvm_exit', tsc: 0x1_ffff_ffffn, vm: 3, vcpu: 0xffff_ffff };
        expect([...batch.rows(row)]).toEqual([bare]);
        expect(batch.whole(row)).toBeUndefined();
        batch.clear();
        expect([...batch.rows()]).toEqual([]);
        for (const input of inputs.slice(7)) batch.add(input);
        expect([...batch.rows()]).toEqual(inputs.slice(7));
      }),
      runs(20),
    );
  });
});

describe('a log that is read', () => {
  it.each(FORMS)('%s: has one batch for all of it, whose inputs stay', async (form) => {
    await fc.assert(
      fc.asyncProperty(histories(60), fc.integer({ min: 1, max: 3000 }), async (spec, chunk) => {
        const log = logOf(spec);
        const opened = await open(bytesOf(form, log, [3, 1, 20]), chunk);
        const batches = new Set<unknown>();
        const read: Input[] = [];
        for await (const stretches of opened.stretches()) {
          for (const { inputs, from, to } of stretches) {
            batches.add(inputs);
            read.push(...inputs.rows(from, to));
          }
        }
        expect(batches.size).toBe(1);
        expect(read).toEqual(inputsOf(log));
      }),
      runs(40),
    );
  });

  it('is read ahead, and a part that cannot be read is no matter to who stops before it', async () => {
    const bytes = bytesOf('mclog', logOf(SPEC), [5]);
    const chunkBytes = bytes.length >> 2;
    const { readInto, ...whole } = inMemory(bytes);
    const asked: number[] = [];
    let isFailing = false;
    const failing: LogBytes = {
      ...whole,
      readInto: async (target, offset, length, position) => {
        asked.push(position);
        if (isFailing && position >= 2 * chunkBytes) throw new Error(`no reading at ${position}`);
        return readInto(target, offset, length, position);
      },
    };
    const opened = await openLog(failing, { chunkBytes });
    isFailing = true;

    const stopped = opened.stretches();
    await stopped.next();
    await stopped.return(undefined as never);

    const unread = opened.stretches();
    await unread.next();
    while (asked.at(-1) !== 2 * chunkBytes) await unread.next();
    // A rejection that nobody awaits would end this process.
    await new Promise((resolve) => setImmediate(resolve));

    const reading = replayLog(opened);
    await expect(reading).rejects.toThrow(`no reading at ${2 * chunkBytes}`);
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
    const inputs = inputsOf({ header, entries });
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
