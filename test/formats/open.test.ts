import { createReadStream, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { EventOf } from '../../events/index.ts';
import { PipeBytes, SequentialBytes, spool } from '../../replay/formats/bytes.ts';
import {
  events,
  FormatError,
  MemoryBytes,
  open,
  openAny,
  printable,
} from '../../replay/formats/index.ts';
import { fixture, unzipped } from '../replay/fixtures.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'masterclock-open-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

test('the content decides the format, not the name', async () => {
  const text = join(folder, 'looks-like.dat');
  writeFileSync(text, unzipped('ntp-hotplug', 'trace.txt'));
  const formats = [text, fixture('ntp-hotplug'), fixture('boot-6.12', 'trace.v6.dat')].map(
    async (path) => {
      const recording = await open(path);
      await recording.close();
      return recording.format;
    },
  );
  expect(await Promise.all(formats)).toEqual(['ftrace text', 'trace.dat v7', 'trace.dat v6']);
});

test('events come typed, the same from text and trace.dat', async () => {
  const text = join(folder, 'trace.txt');
  writeFileSync(text, unzipped('ntp-hotplug', 'trace.txt'));
  const pages = async (path: string) => {
    const recording = await open(path, { only: ['kvm_pvclock_update'] });
    const found: EventOf<'kvm_pvclock_update'>[] = [];
    for await (const event of events(recording)) {
      if (event.type === 'kvm_pvclock_update') found.push(event);
    }
    expect(recording.stats.events).toBe(1163);
    await recording.close();
    return found;
  };
  const fromText = await pages(text);
  expect(fromText).toHaveLength(24);
  expect(fromText[0]).toMatchObject({ vcpuId: 0, tscTimestamp: 15309242n, tscShift: -1, flags: 1 });
  expect(await pages(fixture('ntp-hotplug'))).toEqual(fromText);
});

test('a file is read in order whatever pieces are asked for', async () => {
  const bytes = Uint8Array.from({ length: 3_000_000 }, (_, i) => (i * 31) & 0xff);
  for (const piece of [1 << 20, 999_999, 70_001]) {
    const stream = new SequentialBytes(new MemoryBytes('m', bytes));
    const read = new Uint8Array(bytes.length + 1);
    let at = 0;
    for (;;) {
      const count = await stream.readInto(read, at, Math.min(piece, read.length - at));
      if (count === 0) break;
      at += count;
    }
    expect(at).toBe(bytes.length);
    expect(Buffer.compare(read.subarray(0, at), bytes)).toBe(0);
    await stream.close();
  }
});

test('a pipe can be looked into, and copied where it must be read out of order', async () => {
  const path = fixture('ntp-hotplug');
  const pipe = new PipeBytes('pipe', createReadStream(path, { highWaterMark: 100 }));
  const head = Uint8Array.from(await pipe.peek(300));
  const copy = await spool(pipe);
  const again = new Uint8Array(300);
  expect(await copy.readInto(again, 0, 300, 0)).toBe(300);
  expect(again).toEqual(head);
  await copy.close();
});

test('a failing pipe is an input that can’t be read', async () => {
  async function* failing(): AsyncGenerator<Uint8Array> {
    yield new Uint8Array(3);
    throw Object.assign(new Error('boom'), { code: 'EIO' });
  }
  const pipe = new PipeBytes('<stdin>', failing());
  await expect(pipe.peek(10)).rejects.toThrow(
    new FormatError('<stdin>', undefined, 'data', 'an input/output error'),
  );
});

test('hostile text is made printable', () => {
  expect(printable('a\u001b[2J\u202e\u0000b')).toBe('a\\u{1b}[2J\\u{202e}\\u{0}b');
  expect(printable('x'.repeat(300))).toHaveLength(201);
});

test('who opens what is none is told so, and nobody else', async () => {
  const path = join(folder, 'cut.dat');
  writeFileSync(path, readFileSync(fixture('ntp-hotplug')).subarray(0, 12));
  const outcome = openAny(path).then(
    () => 'opened',
    (error: unknown) => error,
  );
  // A rejection that nobody waits for ends a test run.
  await new Promise((settled) => setImmediate(settled));
  expect(await outcome).toBeInstanceOf(FormatError);
});
