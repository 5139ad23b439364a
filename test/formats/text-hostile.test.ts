import { fc, test as propertyTest } from '@fast-check/vitest';
import { describe, expect, test } from 'vitest';
import { EventBatch } from '../../events/index.ts';
import { PipeBytes } from '../../replay/formats/bytes.ts';
import { FormatError } from '../../replay/formats/error.ts';
import { openText } from '../../replay/formats/text/index.ts';
import { fixtureText, kernelLine, lines, readText } from './text-reading.ts';

const MIB = 1 << 20;
const real = fixtureText('ntp-hotplug').subarray(0, 12_000);
const report = fixtureText('hotplug-record-6.1').subarray(0, 8_000);
const seconds = fixtureText('tsc-host-mono-raw-6.12').subarray(0, 8_000);
const notices = Buffer.from('CPU:1 [LOST 5 EVENTS]\n##### CPU 1 buffer started ####\n=> f\n');

/** Reads to the end, or to a FormatError; returns everything there is to see. */
async function outcome(bytes: Uint8Array, chunkSize: number, capacity: number): Promise<unknown> {
  try {
    return await readText(bytes, { chunkSize }, capacity);
  } catch (error) {
    if (error instanceof FormatError) return error.message;
    throw error;
  }
}

/** Real text with bytes changed, parts cut out, repeated or exchanged between texts. */
const mutated: fc.Arbitrary<Buffer> = fc
  .array(
    fc.record({
      source: fc.constantFrom(real, report, seconds, notices),
      start: fc.nat(12_000),
      length: fc.nat(3_000),
      flips: fc.array(fc.tuple(fc.nat(3_000), fc.nat(255)), { maxLength: 8 }),
    }),
    { minLength: 1, maxLength: 5 },
  )
  .map((pieces) =>
    Buffer.concat(
      pieces.map(({ source, start, length, flips }) => {
        const from = start % source.length;
        const piece = Buffer.from(source.subarray(from, from + length));
        for (const [at, byte] of flips) if (at < piece.length) piece[at] = byte;
        return piece;
      }),
    ),
  );

describe('results do not depend on how the bytes arrive', () => {
  test.each([1, 2, 3, 61, 4096])('a real recording in chunks of %i', async (chunkSize) => {
    expect(await outcome(real, chunkSize, 64)).toEqual(await outcome(real, MIB, 4096));
  });

  propertyTest.prop([mutated, fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 9 })], {
    numRuns: 300,
  })('nor do those of damaged text', async (bytes, chunkSize, capacity) => {
    expect(await outcome(bytes, chunkSize, capacity)).toEqual(await outcome(bytes, MIB, 4096));
  });

  test('a pipe delivers what is there before it waits for more', async () => {
    const entry = `${kernelLine('kvm_entry: vcpu 1')}\n`;
    let asked = 0;
    async function* chunks(): AsyncGenerator<Uint8Array> {
      for (; asked < 3; asked++) yield Buffer.from(entry);
    }
    const recording = await openText(new PipeBytes('<stdin>', chunks()));
    const batch = new EventBatch(16);
    for (const seen of [0, 1, 2]) {
      expect(await recording.read(batch)).toBe(1);
      expect(asked).toBe(seen);
    }
    expect(await recording.read(batch)).toBe(0);
    expect(await recording.read(batch)).toBe(0);
  });
});

describe('hostile text', () => {
  propertyTest.prop([mutated], { numRuns: 500 })(
    'damaged text is read or refused',
    async (bytes) => {
      await outcome(bytes, MIB, 64);
    },
  );

  propertyTest.prop([fc.uint8Array({ maxLength: 4_000 })], { numRuns: 300 })(
    'so are random bytes behind a header',
    async (bytes) => {
      const text = Buffer.concat([Buffer.from('# tracer: nop\n'), bytes]);
      expect(await outcome(text, MIB, 64)).toMatchObject({ stats: { gaps: expect.any(Number) } });
    },
  );

  const alphabet = fc.constantFrom(
    ...'-- [](){}0123456789abcdefx:.,=>#\n\r'.split(''),
    '-1 [0] 5: ',
  );
  propertyTest.prop([fc.array(alphabet, { maxLength: 500 }).map((parts) => parts.join(''))], {
    numRuns: 500,
  })('so is what looks like the grammar', async (text) => {
    await outcome(Buffer.from(`# tracer: nop\n${text}`), 97, 3);
  });

  test.each([
    ['dashes', '-'.repeat(MIB - 10)],
    ['digits', `-1 [0] ${'9'.repeat(MIB - 10)}`],
    ['heads that lead nowhere', '-1 [0] . '.repeat(MIB / 9 - 2)],
    ['brackets', ' [000]'.repeat(MIB / 6 - 2)],
    ['blanks', `-1${' '.repeat(MIB - 10)}`],
    ['numbers', '1 '.repeat(MIB / 2 - 2)],
    ['hexadecimal digits', kernelLine(`sys_ioctl -> 0x${'0'.repeat(MIB - 100)}g`)],
    ['almost the mark', kernelLine(`kvm_entry: vcpu 1${'[immediate exi'.repeat(MIB / 15)}]`)],
  ])('time is bounded on a line of %s', async (_, line) => {
    const started = performance.now();
    await readText(lines('# tracer: nop', line, line));
    expect(performance.now() - started).toBeLessThan(2_000);
  });

  test('a line of any length costs a bounded amount of memory', async () => {
    const piece = Buffer.alloc(MIB, 'x');
    async function* endless(): AsyncGenerator<Uint8Array> {
      yield Buffer.from(lines('# tracer: nop', kernelLine('kvm_entry: vcpu 1')));
      for (let k = 0; k < 256; k++) yield piece;
      yield Buffer.from(`\n${kernelLine('kvm_entry: vcpu 2')}\n`);
    }
    const recording = await openText(new PipeBytes('<stdin>', endless()));
    const batch = new EventBatch(16);
    const vcpus: unknown[] = [];
    const before = process.memoryUsage().arrayBuffers;
    while ((await recording.read(batch)) > 0) vcpus.push(batch.narrows[0]);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(32 * MIB);
    expect(vcpus).toEqual([1, 2]);
    expect(recording.stats).toMatchObject({ malformed: 1, firstMalformed: 'line 3', gaps: 0 });
  });

  test('the limit of a line does not depend on the chunks', async () => {
    const marker = kernelLine('tracing_mark_write: ');
    const fits = marker + 'x'.repeat(MIB - marker.length);
    for (const chunkSize of [1000, 1 << 18, 4 * MIB]) {
      const { events, stats } = await readText(lines('# tracer: nop', fits, `${fits}x`), {
        chunkSize,
      });
      expect(events).toHaveLength(1);
      expect(stats).toMatchObject({ malformed: 1, firstMalformed: 'line 3' });
      const cut = await readText(`${lines('# tracer: nop', fits)}${fits}xx`, { chunkSize });
      expect(cut.events.at(-1)).toMatchObject({
        type: 'gap',
        text: expect.stringMatching(/line 3$/),
      });
      expect(cut.stats).toMatchObject({ malformed: 0, gaps: 1 });
    }
  });

  test('more thread names than a host has do not fill the memory, and none is mistaken', async () => {
    const count = 150_000;
    const name = (k: number): string => `thread-${k}`;
    const all = Array.from(
      { length: count },
      (_, k) => `${name(k).padStart(16)}-${k + 1} [000] d....  1000: kvm_entry: vcpu 1\n`,
    );
    const recording = await openText(new PipeBytes('<stdin>', chunked(Buffer.from(all.join('')))));
    const batch = new EventBatch(4096);
    let seen = 0;
    let most = 0;
    while ((await recording.read(batch)) > 0) {
      most = Math.max(most, batch.comms.length);
      for (let row = 0; row < batch.length; row++, seen++) {
        if (batch.comms[batch.commIds[row]!] !== name(seen)) expect.fail(`row ${seen}`);
      }
    }
    expect(seen).toBe(count);
    expect(most).toBeLessThan(80_000);
  });
});

async function* chunked(bytes: Buffer): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 65536) yield bytes.subarray(at, at + 65536);
}
