import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { COMPOSITES, INPUTS, type Input } from '../../events/index.ts';
import { EntryError } from '../../events/log/error.ts';
import { decodeFrame, encodeFrame, encodePreamble, FRAME } from '../../events/log/frame.ts';
import { type LogEntry, structEntry } from '../../events/log/index.ts';
import { RECORDS } from '../../events/log/records.ts';
import { encodeSchema, SCHEMA } from '../../events/log/schema.ts';
import { replayLog } from '../../replay/log/index.ts';
import { CHECKPOINT_STRUCTS } from '../../src/engine/index.ts';
import { histories, runs } from '../engine/arbitraries.ts';
import { bytesOf, comparable, extras, FORMS, logOf, open, readAll } from './logs.ts';

const sizes = fc.array(fc.nat(40), { minLength: 1, maxLength: 5 });

/** Scatters entries among others; checkpoints keep their place among the inputs. */
const mixed = (entries: readonly LogEntry[], others: readonly LogEntry[]): LogEntry[] => {
  const inputs = others.filter(({ kind }) => kind === 'input').length;
  const kept = inputs === 0 ? entries : entries.filter(({ kind }) => kind !== 'checkpoint');
  const step = Math.max(1, Math.floor(kept.length / (others.length + 1)));
  return [
    ...kept.flatMap((entry, i) =>
      i % step === 0 ? [...others.slice(i / step, i / step + 1), entry] : [entry],
    ),
  ];
};

describe('a log', () => {
  it.each(FORMS)('%s: what was written is read, in whatever pieces', async (form) => {
    await fc.assert(
      fc.asyncProperty(
        histories(60),
        fc.array(extras, { maxLength: 6 }),
        sizes,
        fc.integer({ min: 1, max: 4000 }),
        async (spec, others, pieces, chunkBytes) => {
          const { header, entries } = logOf(spec);
          const log = { header, entries: mixed(entries, others) };
          const read = await readAll(bytesOf(form, log, pieces), chunkBytes);
          expect(read.header).toEqual(header);
          expect(comparable(read.entries)).toEqual(comparable(log.entries));
          expect(read.end).toMatchObject({ torn: undefined, skippedCheckpoints: 0 });
        },
      ),
      runs(60),
    );
  });

  it('goes from one form to the other and back, byte by byte', async () => {
    await fc.assert(
      fc.asyncProperty(histories(60), async (spec) => {
        const readable = bytesOf('jsonl', logOf(spec));
        const binary = bytesOf('mclog', await readAll(readable));
        expect(bytesOf('jsonl', await readAll(binary))).toEqual(readable);
      }),
      runs(40),
    );
  });

  it('has the same digest in both forms, in whatever pieces it is read', async () => {
    await fc.assert(
      fc.asyncProperty(histories(60), fc.integer({ min: 1, max: 999 }), async (spec, chunk) => {
        const log = logOf(spec);
        const digests = new Set<string>();
        for (const form of FORMS) {
          for (const size of [chunk, 1 << 20]) {
            const summary = await replayLog(await open(bytesOf(form, log), size));
            expect(summary.checkpoints.differing).toEqual([]);
            digests.add(summary.digests.all);
          }
        }
        expect(digests.size).toBe(1);
      }),
      runs(25),
    );
  });
});

describe('tables', () => {
  it('every input and composite event is a record, and codes fit a byte', () => {
    const names = RECORDS.map(({ name }) => name);
    expect(names).toEqual([...Object.keys(INPUTS), ...Object.keys(COMPOSITES), 'inputs']);
    expect(RECORDS.length).toBeLessThan(256);
  });

  it('an input of every kind and with every field goes through both forms', async () => {
    const sample = {
      u64: 2n ** 64n - 1n,
      s64: -(2n ** 63n),
      u32: 2 ** 32 - 1,
      s32: -1,
      bool: true,
    };
    const entries = RECORDS.filter(({ tag }) => tag === 'input').map(
      ({ name, fields }): LogEntry => {
        const values = fields.map((f) => [f.name, sample[f.type as keyof typeof sample]] as const);
        return { kind: 'input', input: { type: name, ...Object.fromEntries(values) } as Input };
      },
    );
    const { header } = logOf(SPEC);
    for (const form of FORMS) {
      expect((await readAll(bytesOf(form, { header, entries }))).entries).toEqual(entries);
    }
  });

  it.each(FORMS)('%s: what could not be read again is not written', (form) => {
    const { header, entries } = logOf(SPEC);
    const gap = { kind: 'gap', tsc: 1n, reason: '' } as const;
    const entry = { type: 'kvm_entry', tsc: 1n, vm: 0, vcpu: 0 };
    const input = (values: object): unknown => ({ kind: 'input', input: { ...entry, ...values } });
    const checkpoint = logOf(SPEC, 1).entries.find(({ kind }) => kind === 'checkpoint');
    const refused: readonly [unknown, RegExp][] = [
      [{ ...gap, reason: 'x'.repeat(5000) }, /^reason: expected text of at most 4096 bytes, found/],
      [{ ...gap, reason: 'ö'.repeat(2049) }, /^reason: expected text of at most 4096 bytes, found/],
      [{ ...gap, reason: undefined }, /^reason: expected text .*, found nothing/],
      [{ ...gap, tsc: -1n }, /^tsc: expected a u64 as a bigint, found -1/],
      [
        { ...gap, lost: 2n ** 64n },
        /^lost: expected a u64 as a bigint, found 18446744073709551616/,
      ],
      [input({ tsc: -1n }), /^tsc: expected a u64 as a bigint, found -1/],
      [input({ tsc: 5 }), /^tsc: expected a u64 as a bigint, found 5/],
      [input({ vm: 2 ** 33 }), /^vm: expected a u32, found 8589934592/],
      [input({ vcpu: -1 }), /^vcpu: expected a u32, found -1/],
      [input({ vcpu: undefined }), /^vcpu: expected a u32, found nothing/],
      [input({ type: 'nope' }), /: expected a .*record.*, found "input nope"/],
      [input({ type: 'vcpu_put', preempted: 1 }), /^preempted: expected true or false, found 1/],
      [input({ type: 'resume', cpu: 0, offsBoot: 2n ** 63n }), /^offsBoot: expected an s64 as a/],
      [input({ readings: { 'sync.tsc': -1n } }), /^readings\.sync\.tsc: expected a u64/],
      [input({ readings: { 'sync.tsc': [1n, 2] } }), /^readings\.sync\.tsc.*: expected a u64/],
      [input({ readings: { nope: 1n } }), /^readings: expected names of clock reads, found "nope"/],
      [input({ readings: null }), /^readings: expected an object, found null/],
      [{ kind: 'nope' }, /^kind: expected a kind of entry, found "nope"/],
      [checkpoint, /^checkpoint\.inputs: expected 0, found 1/],
    ];
    for (const [found, message] of refused) {
      const log = { header, entries: [found as LogEntry] };
      expect(() => bytesOf(form, log), JSON.stringify(found, String)).toThrow(EntryError);
      expect(() => bytesOf(form, log), JSON.stringify(found, String)).toThrow(message);
    }
    expect(() => bytesOf(form, { header, entries })).not.toThrow();
  });

  // A change here is a change of the form: raise LOG_VERSION and add an upgrade (upgrade.ts). New
  // kinds at the end of a list, and new kinds of readings, need none.
  it('version 1 is laid out so', () => {
    expect(CHECKPOINT_STRUCTS.map(structEntry)).toMatchSnapshot();
    expect(crc32(JSON.stringify(encodeSchema(SCHEMA)))).toMatchSnapshot();
  });

  it('frames carry the CRC-32 of RFC 1952', () => {
    expect(crcBitByBit(new TextEncoder().encode('123456789'))).toBe(0xcbf4_3926);
    const all = Uint8Array.from({ length: 700 }, (_, i) => (i * 7919) >>> 5);
    const sizes = Array.from({ length: 31 }, (_, i) => 23 * i);
    const payloads = sizes.map((size) => all.subarray(0, size));
    for (const payload of [...payloads, new Uint8Array(new ArrayBuffer(0))]) {
      const frame = encodeFrame(FRAME.records, payload);
      const { length } = payload;
      const covered = [FRAME.records, length & 0xff, length >>> 8, 0, 0, ...payload];
      expect(new DataView(frame.buffer).getUint32(3, true)).toBe(crcBitByBit(covered));
      expect(decodeFrame(frame)).toEqual({ is: 'frame', type: FRAME.records, payload });
    }
    const preamble = encodePreamble();
    const crc = crcBitByBit(preamble.subarray(0, 12));
    expect(new DataView(preamble.buffer).getUint32(12, true)).toBe(crc);
  });
});

/** As the RFC's section 8 defines it, without its table. */
function crcBitByBit(bytes: Iterable<number>): number {
  let crc = 0xffff_ffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb8_8320 : 0);
  }
  return ~crc >>> 0;
}

const SPEC = {
  profile: 'v6.1',
  host: { tscKhz: 2e6, vendor: 'vmx', hasTscControl: true, constantTsc: true, staleKhz: 0 },
  steps: [1, 2, 3],
} as const;
