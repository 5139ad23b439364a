/** Logs of generated histories, and logs in memory. */
import fc from 'fast-check';
import type { CompositeOf, Input, Readings } from '../../events/index.ts';
import { READINGS } from '../../events/index.ts';
import {
  JsonlEncoder,
  type LogBytes,
  type LogEntry,
  type LogHeader,
  MclogEncoder,
  openLog,
} from '../../events/log/index.ts';
import { Checkpoints, headerOf } from '../../replay/log/index.ts';
import { CHECKPOINT_STRUCTS } from '../../src/engine/index.ts';
import { profile } from '../../src/profiles/index.ts';
import { type HistorySpec, newWorld, play } from '../engine/history.ts';

export type Form = 'jsonl' | 'mclog';
export const FORMS: readonly Form[] = ['jsonl', 'mclog'];

/** A log in memory. */
export interface Log {
  readonly header: LogHeader;
  readonly entries: readonly LogEntry[];
}

/** The log of a history, with checkpoints. */
export function logOf(spec: HistorySpec, every = 16): Log {
  const world = newWorld(spec);
  const header = headerOf(world, profile(spec.profile), { maker: 'test' });
  const checkpoints = new Checkpoints(every);
  const entries: LogEntry[] = [];
  play(
    spec,
    { after: (input, _done, now) => entries.push(...checkpoints.entriesOf(input, now)) },
    world,
  );
  return { header, entries };
}

const encoderOf = (form: Form, header: LogHeader): MclogEncoder | JsonlEncoder =>
  form === 'mclog' ? new MclogEncoder(header, CHECKPOINT_STRUCTS) : new JsonlEncoder(header);

/** A log's bytes; entries are appended in pieces of these sizes, again and again. */
export function bytesOf(form: Form, { header, entries }: Log, pieces: readonly number[] = [1]) {
  const encoder = encoderOf(form, header);
  const parts = [encoder.begin()];
  for (let at = 0, turn = 0; at < entries.length; turn++) {
    const size = Math.max(1, pieces[turn % pieces.length]!);
    parts.push(encoder.encode(entries.slice(at, at + size)));
    at += size;
  }
  parts.push(encoder.end());
  return new Uint8Array(Buffer.concat(parts));
}

export const inMemory = (bytes: Uint8Array, name = 'a.log'): LogBytes => ({
  name,
  size: bytes.length,
  readInto: async (target, offset, length, position) => {
    const part = bytes.subarray(position, position + length);
    target.set(part, offset);
    return part.length;
  },
});

export const open = (bytes: Uint8Array, chunkBytes = 1 << 16) =>
  openLog(inMemory(bytes), { structs: CHECKPOINT_STRUCTS, chunkBytes });

/** All of a log. */
export async function readAll(bytes: Uint8Array, chunkBytes?: number) {
  const log = await open(bytes, chunkBytes);
  const entries: LogEntry[] = [];
  const batches = log.entries();
  for (;;) {
    const next = await batches.next();
    if (next.done === true) return { log, header: log.header, entries, end: next.value };
    entries.push(...next.value);
  }
}

/** Entries as values that compare: structs by their bytes. */
export const comparable = (entries: readonly LogEntry[]): unknown[] =>
  entries.map((entry) =>
    entry.kind === 'checkpoint'
      ? {
          ...entry.checkpoint,
          structs: entry.checkpoint.structs.map(({ state, ...names }) => ({
            ...names,
            bytes: Buffer.from(state.bytes).toString('hex'),
          })),
        }
      : entry,
  );

const u64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const u32 = fc.nat(0xffff_ffff);
const told = fc.oneof(u64, fc.array(fc.option(u64, { nil: undefined }), { maxLength: 20 }));

const readings: fc.Arbitrary<Readings> = fc
  .array(fc.tuple(fc.constantFrom(...Object.keys(READINGS)), told), { minLength: 1, maxLength: 4 })
  .map((all) => Object.fromEntries(all) as Readings);

/** Entries that a generated history does not have. */
export const extras: fc.Arbitrary<LogEntry> = fc.oneof(
  fc
    .record({ tsc: u64, vm: u32, vcpu: u32, readings })
    .map((names): LogEntry => ({ kind: 'input', input: { type: 'kvm_entry', ...names } as Input })),
  fc.record({ vm: u32, inputs: u32, vcpu: u32, cpu: u32 }).map(
    ({ vm, inputs, vcpu, cpu }): LogEntry => ({
      kind: 'composite',
      vm,
      inputs,
      event: { type: 'hotplug', vcpu, cpu } satisfies CompositeOf<'hotplug'>,
    }),
  ),
  fc
    .record(
      { tsc: u64, lost: u64, reason: fc.string({ maxLength: 40, unit: 'binary' }) },
      { requiredKeys: ['tsc', 'reason'] },
    )
    .map((gap): LogEntry => ({ kind: 'gap', ...gap })),
);

/** A history of so many inputs. */
export const FORTY_INPUTS = {
  profile: 'v6.1',
  host: { tscKhz: 2e6, vendor: 'vmx', hasTscControl: true, constantTsc: true, staleKhz: 0 },
  steps: Array.from({ length: 40 }, (_, i) => i * 7919),
} as const;
