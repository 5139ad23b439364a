/**
 * Damaged files: whatever bytes come, the reader ends in time, with events and gaps or with a
 * FormatError, and never with another error.
 */
import { fc, test } from '@fast-check/vitest';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { EVENT_NAMES, EventBatch } from '../../events/index.ts';
import { MemoryBytes } from '../../replay/formats/bytes.ts';
import { FormatError } from '../../replay/formats/error.ts';
import { openTraceDat, rawEvents } from '../../replay/formats/tracedat/index.ts';
import { buildV6, buildV7 } from './tracedat-builder.ts';
import { expire, Page, PC } from './tracedat-pages.ts';
import { fixture } from './tracedat-reading.ts';

const BOUND_MS = 5000;
const numRuns = 150;

const page = (time: bigint) =>
  new Page(PC)
    .event(1, expire(PC, 1, 2))
    .extend(99n)
    .event(1, expire(PC, 2, 3))
    .at(time, 4n);
const spec = {
  buffers: [
    { clock: 'local', cpus: [[page(1n), page(2n)], [page(3n)]] },
    { name: 'foo', clock: 'local', cpus: [[page(4n)], [page(5n)]] },
  ],
  clock: 'local [local]',
};
const originals: readonly Buffer[] = [
  fixture('boot-6.12/trace.dat'),
  fixture('hotplug-record-6.1/trace.dat'),
  fixture('boot-6.12/trace.v6.dat'),
  buildV6(spec),
  buildV7(spec),
  buildV7({ ...spec, compression: 'zlib' }),
];
const original = fc.constantFrom(...originals);

/** Places are drawn from all of a file, but also from its head and its end, where its tables are. */
const place = fc.oneof(
  fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
  fc.integer({ min: 0, max: 600 }).map((at) => -1 - at),
  fc.integer({ min: 0, max: 9000 }).map((at) => -1_000_000 - at),
);

function resolve(at: number, size: number): number {
  if (at >= 0) return Math.floor(at * size);
  return at <= -1_000_000 ? Math.max(0, size - 1 + (at + 1_000_000)) : Math.min(size - 1, -1 - at);
}

/** Reads a file in both ways; anything but a FormatError fails the test. */
async function survive(bytes: Uint8Array): Promise<void> {
  const start = performance.now();
  const limit = 50 * bytes.length + 100_000;
  try {
    const recording = await openTraceDat(new MemoryBytes('fuzz', bytes), { only: EVENT_NAMES });
    const batch = new EventBatch(256);
    for (let rows = 0; ; ) {
      const count = await recording.read(batch);
      if (count === 0) break;
      for (let row = 0; row < count; row++) batch.event(row);
      rows += count;
      expect(rows).toBeLessThan(limit);
    }
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    expect(error.message).not.toContain('\n');
  }
  try {
    let events = 0;
    for await (const event of rawEvents(new MemoryBytes('fuzz', bytes))) {
      expect(event.timestamp).toBeGreaterThanOrEqual(0n);
      expect(++events).toBeLessThan(limit);
    }
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
  }
  expect(performance.now() - start).toBeLessThan(BOUND_MS);
}

describe('damaged files', () => {
  const rejections: unknown[] = [];
  const remember = (reason: unknown) => rejections.push(reason);
  beforeAll(() => {
    process.on('unhandledRejection', remember);
  });
  afterAll(() => {
    process.off('unhandledRejection', remember);
    expect(rejections).toEqual([]);
  });

  test.prop([original, fc.array(fc.tuple(place, fc.nat(255)), { minLength: 1, maxLength: 8 })], {
    numRuns: 2 * numRuns,
  })('survives changed bytes', async (file, changes) => {
    const bytes = Buffer.from(file);
    for (const [at, value] of changes) bytes[resolve(at, bytes.length)] = value;
    await survive(bytes);
  });

  test.prop(
    [original, fc.array(fc.tuple(place, fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }))), fc.nat(3)],
    {
      numRuns,
    },
  )('survives changed numbers', async (file, changes, logSize) => {
    const bytes = Buffer.from(file);
    const size = 2 ** logSize;
    for (const [place, value] of changes) {
      const at = Math.min(resolve(place, bytes.length), bytes.length - 8);
      for (let i = 0; i < size; i++) bytes[at + i] = Number((value >> BigInt(8 * i)) & 0xffn);
    }
    await survive(bytes);
  });

  test.prop([original, place], { numRuns })('survives truncation', async (file, end) => {
    await survive(file.subarray(0, resolve(end, file.length)));
  });

  test.prop([original, original, place, place, place], { numRuns })(
    'survives pieces of other files',
    async (file, other, at, from, to) => {
      const bytes = Buffer.from(file);
      const [a, b] = [resolve(from, other.length), resolve(to, other.length)];
      other.copy(bytes, resolve(at, bytes.length), Math.min(a, b), Math.max(a, b));
      await survive(bytes);
    },
  );

  test.prop([original, place, place], { numRuns })(
    'survives missing pieces',
    async (file, from, to) => {
      const [a, b] = [resolve(from, file.length), resolve(to, file.length)];
      await survive(
        Buffer.concat([file.subarray(0, Math.min(a, b)), file.subarray(Math.max(a, b))]),
      );
    },
  );

  test.prop([fc.uint8Array({ maxLength: 4096 }), fc.boolean(), fc.boolean()], { numRuns })(
    'survives random bytes',
    async (bytes, seven, big) => {
      const head = Buffer.from(`\x17\x08\x44tracing${seven ? 7 : 6}\0`, 'latin1');
      const page = big ? [1, 8, 0, 0, 16, 0] : [0, 8, 0, 16, 0, 0];
      await survive(Buffer.concat([head, Buffer.from(page), bytes]));
      await survive(bytes);
    },
  );
});
