import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeFrame, encodePreamble, FRAME } from '../../events/log/frame.ts';
import {
  LOG_VERSION,
  type LogBytes,
  type LogEntry,
  LogError,
  openLog,
} from '../../events/log/index.ts';
import { RECORDS } from '../../events/log/records.ts';
import { runs } from '../engine/arbitraries.ts';
import {
  bytesOf,
  comparable,
  FORMS,
  type Form,
  inMemory,
  type Log,
  logOf,
  readAll,
} from './logs.ts';

const LOG: Log = logOf(
  {
    profile: 'v6.1',
    host: { tscKhz: 2e6, vendor: 'vmx', hasTscControl: true, constantTsc: true, staleKhz: 0 },
    steps: Array.from({ length: 24 }, (_, i) => i * 7919),
  },
  20,
);
const LINE = /^a\.log(: (line|byte) \d+)?(: [^\n]+)?: expected [^\n]+, found [^\n]+$/;

/** What comes of reading: entries, or an error of one line. */
async function outcome(bytes: Uint8Array) {
  try {
    return await readAll(bytes, 997);
  } catch (error) {
    expect(error).toBeInstanceOf(LogError);
    expect((error as Error).message).toMatch(LINE);
    return error as LogError;
  }
}

/** The entries read are the first ones of the log, and the rest is told as torn. */
function expectPrefix(read: Awaited<ReturnType<typeof outcome>>, size: number): void {
  if (read instanceof LogError) throw read;
  const { entries, end } = read;
  expect(comparable(entries)).toEqual(comparable(LOG.entries.slice(0, entries.length)));
  if (end.torn !== undefined) expect(end.torn.offset + end.torn.bytes).toBe(size);
}

const whole: Record<Form, Uint8Array> = {
  jsonl: bytesOf('jsonl', LOG),
  mclog: bytesOf('mclog', LOG),
};
const headerSize: Record<Form, number> = {
  jsonl: bytesOf('jsonl', { ...LOG, entries: [] }).length,
  mclog: 16 + 12 + new DataView(whole.mclog.buffer).getUint32(16 + 8, true),
};

/** Where each acknowledged piece ends. */
const ends = (form: Form): number[] =>
  LOG.entries.map((_, i) => bytesOf(form, { ...LOG, entries: LOG.entries.slice(0, i + 1) }).length);

describe.each(FORMS)('%s', (form) => {
  it('cut anywhere: a torn tail and nothing more, or no header', async () => {
    const bytes = whole[form];
    const indexed =
      form === 'mclog' ? bytesOf(form, { ...LOG, entries: [] }).length - headerSize.mclog : 0;
    const boundaries = ends(form).map((end) => end - indexed);
    const near = boundaries.flatMap((end) => [end - 1, end, end + 1]);
    const step = Math.ceil(bytes.length / 600);
    const cuts = new Set([
      ...near,
      ...Array.from({ length: bytes.length / step }, (_, i) => i * step),
    ]);
    for (const cut of cuts) {
      if (cut > bytes.length) continue;
      const read = await outcome(bytes.subarray(0, cut));
      if (cut < headerSize[form] - 1) {
        expect(read).toBeInstanceOf(LogError);
        continue;
      }
      if (cut < headerSize[form]) continue;
      expectPrefix(read, cut);
      if (read instanceof LogError || form === 'jsonl') continue;
      const acknowledged = LOG.entries.filter((_, i) => sizeUpTo(i + 1) <= cut).length;
      expect(read.entries.length).toBe(acknowledged);
    }
  });

  it('bytes flipped anywhere: an error of one line or a torn tail', async () => {
    const bytes = whole[form];
    await fc.assert(
      fc.asyncProperty(
        fc.nat(bytes.length - 1),
        fc.integer({ min: 1, max: 255 }),
        async (at, flip) => {
          const damaged = bytes.slice();
          damaged[at]! ^= flip;
          const read = await outcome(damaged);
          // A digit that became another one is another log: lines carry no CRC.
          if (read instanceof LogError || form === 'jsonl') return;
          expectPrefix(read, bytes.length);
          expect(read.end.torn).toBeDefined();
        },
      ),
      runs(600),
    );
  });

  it('pieces taken out, doubled or replaced: the same', async () => {
    const bytes = whole[form];
    const place = fc.nat(bytes.length);
    await fc.assert(
      fc.asyncProperty(place, place, fc.uint8Array({ maxLength: 300 }), async (a, b, other) => {
        const [from, to] = a < b ? [a, b] : [b, a];
        const parts = [bytes.subarray(0, from), other, bytes.subarray(to)];
        await outcome(new Uint8Array(Buffer.concat(parts)));
        await outcome(new Uint8Array(Buffer.concat([bytes.subarray(0, to), bytes.subarray(from)])));
      }),
      runs(200),
    );
  });
});

const frameSizes = LOG.entries.map((_, i) => {
  const size = (n: number) => bytesOf('mclog', { ...LOG, entries: LOG.entries.slice(0, n) }).length;
  return LOG.entries[i]!.kind === 'checkpoint' ? size(i + 1) - size(i) - 16 : size(i + 1) - size(i);
});
const sizeUpTo = (count: number): number =>
  frameSizes.slice(0, count).reduce((sum, size) => sum + size, headerSize.mclog);

describe('hostile logs', () => {
  const rest = (text: string) =>
    Buffer.concat([bytesOf('jsonl', { ...LOG, entries: [] }), Buffer.from(text)]);

  it.each([
    ['{"input":"kvm_entry","tsc":"5","vm":0}\n', /line 2: vcpu: expected a u32, found nothing/],
    [
      '{"input":"kvm_entry","tsc":5,"vm":0,"vcpu":0}\n',
      /line 2: tsc: expected a u64 as a decimal string, found 5/,
    ],
    [
      '{"input":"kvm_entry","tsc":"0x5","vm":0,"vcpu":0}\n',
      /tsc: expected a u64 as a decimal string, found "0x5"/,
    ],
    [
      '{"input":"kvm_entri","tsc":"5"}\n',
      /line 2: input: expected a known input, found "kvm_entri"/,
    ],
    ['{"input":"kvm_entry","tsc":"5","vm":0,"vcpu":-1}\n', /vcpu: expected a u32, found -1/],
    [
      '{"input":"suspend","tsc":"5","vm":0}\n',
      /suspend: expected only tsc, input, readings, found "vm"/,
    ],
    [
      '{"input":"suspend","tsc":"5","readings":{"x":"1"}}\n',
      /readings: expected names of clock reads, found "x"/,
    ],
    [
      '{"input":"suspend","tsc":"5","readings":{"sync.tsc":["1",2]}}\n',
      /readings\.sync\.tsc\[1\]: expected a u64 .*found 2/,
    ],
    ['{"input":"__proto__","tsc":"5"}\n', /a known input, found "__proto__"/],
    ['{"composite":"dance","vm":0}\n', /composite: expected a known composite, found "dance"/],
    ['{"gap":"inputs","tsc":"5"}\n', /reason: expected text/],
    [
      '{"checkpoint":{"inputs":7,"lastTsc":"1","structs":[]}}\n',
      /checkpoint\.inputs: expected 0, found 7/,
    ],
    [
      '{"checkpoint":{"inputs":0,"lastTsc":"1","structs":[{"state":{"$struct":"Host"}}]}}\n',
      /structs\[0\]\.state Host\.clocksource: expected one of tsc/,
    ],
    ['\n', /line 2: expected a JSON object/],
    ['[]\n', /line 2: expected a JSON object/],
    ['{"a\\u001b[2J":1}\n', /found "a\\u001b\[2J"|found "a\\\\u001b/],
    [`${'['.repeat(1e6)}\n`, /line 2: expected a JSON object/],
  ])('%.60s', async (text, message) => {
    const error = await outcome(rest(text));
    expect(error).toBeInstanceOf(LogError);
    expect((error as LogError).message).toMatch(message);
    expect((error as LogError).message.length).toBeLessThan(400);
  });

  it('a newer version is refused with both versions named', async () => {
    const newer = Buffer.from(
      Buffer.from(whole.jsonl).toString().replace(`"version":${LOG_VERSION}`, '"version":7'),
    );
    const error = await outcome(newer);
    expect((error as LogError).message).toMatch(
      /line 1: version: expected version 1 or older .*, found version 7/,
    );
    const header = new TextEncoder().encode(
      JSON.stringify({ form: 'masterclock/log', version: 7 }),
    );
    const binary = Buffer.concat([encodePreamble(7), encodeFrame(FRAME.header, header)]);
    const other = await outcome(new Uint8Array(binary));
    expect((other as LogError).message).toMatch(
      /byte 28: version: expected version 1 or older .*, found version 7/,
    );
  });

  it('frames that are whole and hold nonsense', async () => {
    const head = whole.mclog.subarray(0, headerSize.mclog);
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 9 }),
        fc.uint8Array({ maxLength: 80 }),
        async (type, payload) => {
          const read = await outcome(
            new Uint8Array(Buffer.concat([head, encodeFrame(type, payload)])),
          );
          if (!(read instanceof LogError)) expect(read.entries).toEqual([]);
        },
      ),
      runs(500),
    );
  });

  it('a text longer than any that is written', async () => {
    const head = whole.mclog.subarray(0, headerSize.mclog);
    const code = RECORDS.findIndex(({ tag }) => tag === 'gap');
    const payload = Buffer.alloc(8 + 1 + 1 + 8 + 2 + 60_000, 0x78);
    payload.fill(0, 0, 20).writeUInt32LE(1);
    payload.writeUInt8(code, 8);
    payload.writeUInt16LE(60_000, 18);
    const error = await outcome(
      new Uint8Array(Buffer.concat([head, encodeFrame(FRAME.records, payload)])),
    );
    expect((error as LogError).message).toMatch(
      /reason: expected text of at most 4096 bytes, found 60000 bytes$/,
    );
  });

  it('an end frame that says its index is as large as the whole of a large log', async () => {
    const end = encodeFrame(FRAME.end, new Uint8Array(8));
    const asked: number[] = [];
    const size = 9 * 2 ** 30;
    const bytes: LogBytes = {
      name: 'a.log',
      size,
      readInto: async (target, offset, length, position) => {
        asked.push(length);
        const isEnd = position === size - end.length;
        target.set(isEnd ? end : whole.mclog.subarray(position, position + length), offset);
        return length;
      },
    };
    expect((await openLog(bytes, { chunkBytes: headerSize.mclog })).index).toBeUndefined();
    expect(Math.max(...asked)).toBeLessThanOrEqual(headerSize.mclog);
  });

  it('what looks like ever more large frames ends soon', async () => {
    const head = Buffer.alloc(12);
    head.write('MCF');
    head.writeUInt32LE(1 << 16, 8);
    const many = Buffer.concat(Array.from({ length: 50_000 }, () => head));
    const error = await outcome(new Uint8Array(Buffer.concat([whole.mclog, many])));
    expect(error).toBeInstanceOf(LogError);
  });
});

it.each(FORMS)('%s: what lies before a damage is read, also by large chunks', async (form) => {
  const input = { type: 'kvm_exit', vm: 0, vcpu: 0 } as const;
  const entries = Array.from({ length: 20_000 }, (_, i) => ({
    kind: 'input' as const,
    input: { ...input, tsc: BigInt(i) },
  }));
  const bytes = bytesOf(form, { ...LOG, entries }, [100]);
  bytes.fill(0x2a, 200_000, 200_100);
  const log = await openLog(inMemory(bytes));
  const { value } = await log.entries().next();
  expect((value as readonly LogEntry[])[0]).toEqual(entries[0]);
  let read = 0;
  const all = async (): Promise<void> => {
    for await (const some of log.entries()) {
      expect(some).toEqual(entries.slice(read, read + some.length));
      read += some.length;
    }
  };
  await expect(all()).rejects.toThrow(LogError);
  const lengthOf = (count: number) =>
    bytesOf(form, { ...LOG, entries: entries.slice(0, count) }, [100]).length;
  const counts = Array.from({ length: 40 }, (_, i) => 500 * i);
  expect(read).toBeGreaterThanOrEqual(counts.findLast((count) => lengthOf(count) <= 200_000)!);
});
