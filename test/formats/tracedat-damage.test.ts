/** Files that were cut, never finished, or damaged. */
import { describe, expect, it } from 'vitest';
import { MemoryBytes } from '../../replay/formats/bytes.ts';
import { PackedCpuData } from '../../replay/formats/tracedat/cpu-data.ts';
import { PageMemory } from '../../replay/formats/tracedat/file-window.ts';
import { buildV6, type FileSpec } from './tracedat-builder.ts';
import { Bytes, expire, Page, PC } from './tracedat-pages.ts';
import { fixture, readAll, refusal } from './tracedat-reading.ts';

const page = new Page(PC).event(1, expire(PC, 1, -5)).at(1000n);
const one: FileSpec = { buffers: [{ clock: 'local', cpus: [[page]] }], clock: '[local]' };

describe('unfinished, cut and corrupt files', () => {
  const v7 = fixture('boot-6.12/trace.dat');
  const v6 = fixture('boot-6.12/trace.v6.dat');
  const optionsAt = v7.indexOf('zstd\x001.5.4\0') + 11;

  const patched = (bytes: Buffer, at: number, value: bigint): Buffer => {
    const copy = Buffer.from(bytes);
    copy.writeBigUInt64LE(value, at);
    return copy;
  };

  it.each([
    ['no options', patched(v7, optionsAt, 0n)],
    ['options behind the end', patched(v7, optionsAt, 1n << 40n)],
    ['the last sections missing', v7.subarray(0, 74000)],
  ])('with %s look unfinished', async (_, bytes) => {
    const error = await refusal(bytes);
    expect(error.expected).toBe('the options of a finished recording');
    expect(error.found).toContain('trace-cmd record still running, or killed before it wrote');
  });

  it('whose options go round in a circle are refused', async () => {
    const first = v7.readBigUInt64LE(optionsAt);
    const done = Number(v7.readBigUInt64LE(Number(first) + 8) + first) + 16 - 8;
    expect((await refusal(patched(v7, done, first))).expected).toBe('a chain of options that ends');
  });

  it('cut in the data of a CPU are read up to there', async () => {
    const whole = await readAll(v6);
    const cut = v6.length - 4096 - 1000;
    const { events, recording } = await readAll(v6.subarray(0, cut));
    const kept = events.filter((e) => e.type !== 'gap');
    expect(kept.length).toBeGreaterThan(300);
    expect(kept.every((e) => whole.events.some((w) => w.timestamp === e.timestamp))).toBe(true);
    const texts = events.flatMap((e) => (e.type === 'gap' ? [e.text] : []));
    expect(texts).toEqual([
      `file ends in the middle of CPU 1's data at byte ${cut}`,
      `file ends in the middle of CPU 0's data at byte ${cut}`,
    ]);
    expect(recording.stats.gaps).toBe(2);
  });

  it('with a corrupt chunk are read on behind it', async () => {
    const source = fixture('threads-6.12/trace.dat');
    const whole = await readAll(source);
    const bytes = Buffer.from(source);
    const frame = bytes.indexOf(Buffer.from([0x28, 0xb5, 0x2f, 0xfd]), 69632 + 4096);
    bytes.fill(0xff, frame + 40, frame + 60);
    const { events } = await readAll(bytes);
    const gap = events.find((e) => e.type === 'gap');
    expect(gap).toMatchObject({ lost: 0n, text: `corrupt chunk of CPU 0 at byte ${frame - 8}` });
    expect(events.length).toBeGreaterThan(whole.events.length - 1200);
    expect(events.at(-1)).toEqual(whole.events.at(-1));
  });

  it.each([
    ['another version', Buffer.from(v7).fill('8', 10, 11), 'trace.dat version 6 or 7'],
    ['another byte order', Buffer.from(v7).fill(2, 12, 13), 'byte order 0 or 1'],
    ['another size of long', Buffer.from(v7).fill(3, 13, 14), 'a long of 4 or 8 bytes'],
    ['another compression', Buffer.from(v7).fill('y', 18, 19), 'compression zstd, zlib or none'],
    ['other bytes', Buffer.from('not a trace'), "trace.dat's magic"],
    ['no bytes', Buffer.alloc(0), "trace.dat's magic (10 bytes)"],
  ])('of %s are refused', async (_, bytes, expected) => {
    expect((await refusal(bytes)).expected).toBe(expected);
  });

  it('of a latency trace are refused as text', async () => {
    const bytes = buildV6(one);
    bytes.write('latency  \0', bytes.indexOf('flyrecord\0'), 'latin1');
    expect((await refusal(bytes)).found).toBe('a latency trace, which is text');
  });

  it('do not take the memory that they claim', async () => {
    const bytes = Buffer.from(v6);
    bytes.writeBigUInt64LE((1n << 53n) - 1n, 18 + 12);
    expect((await refusal(bytes)).found).toMatch(/^the end of the file after \d+ more$/);
    const compressed = Buffer.from(v7);
    const section = compressed.indexOf(Buffer.from([0x28, 0xb5, 0x2f, 0xfd]));
    compressed.writeUInt32LE(0xffffffff, section - 4);
    expect((await refusal(compressed)).expected).toBe('a section of at most 67108864 bytes');
  });

  it('do not take memory for all that their chunks claim to hold', async () => {
    const chunk = new Bytes()
      .u32(1)
      .u32(4)
      .u32(64 << 20)
      .u32(0).bytes;
    const memory = new PageMemory(5);
    const options = { decompress: () => new Uint8Array(1), little: true };
    const range = { cpu: 0, offset: 0, size: chunk.length - 4 };
    const load = () =>
      new PackedCpuData(new MemoryBytes('x', chunk), range, memory, options).load();
    expect([await load(), await load(), await load()]).toEqual(['pages', 'pages', 'pages']);
    await expect(load()).rejects.toThrow(
      'x: byte 4: expected pages that fit in 268435456 bytes for all CPUs, found 67108864 bytes more',
    );
  });
});
