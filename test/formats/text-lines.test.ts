import { describe, expect, test } from 'vitest';
import { FormatError } from '../../replay/formats/error.ts';
import { openText } from '../../replay/formats/text/index.ts';
import { kernelLine, lines, readText, streamOf } from './text-reading.ts';

/** The only event of a text that consists of this line. */
async function only(line: string) {
  const { events, clock, stats } = await readText(lines(line));
  expect({ malformed: stats.malformed, events: stats.events }).toEqual({ malformed: 0, events: 1 });
  return { ...events[0], clock };
}

describe('the head of a line', () => {
  const entry = { type: 'kvm_entry', vcpuId: 1 };
  test.each([
    [
      'kernel, five flag columns',
      '          driver-53      [002] d..1.  11709575320: kvm_entry: vcpu 1, rip 0x100c',
      { ...entry, comm: 'driver', tid: 53, tgid: 0, cpu: 2, timestamp: 11709575320n },
    ],
    [
      'kernel, four flag columns and a short thread id column',
      '          driver-53    [002] d..1  11709575320: kvm_entry: vcpu 1',
      { ...entry, comm: 'driver', tid: 53, cpu: 2, timestamp: 11709575320n },
    ],
    [
      'a real-time kernel with more flag columns',
      '          driver-53      [002] d..1.13.  11709575320: kvm_entry: vcpu 1',
      { ...entry, timestamp: 11709575320n },
    ],
    [
      'without flags',
      '          driver-53      [002]  11709575320: kvm_entry: vcpu 1',
      { ...entry, timestamp: 11709575320n },
    ],
    [
      'process id shown',
      '          driver-53      (    123) [002] d..1.  1709575320: kvm_entry: vcpu 1',
      { ...entry, tid: 53, tgid: 123 },
    ],
    [
      'process id not known',
      '          driver-53      (-------) [002] d..1.  1709575320: kvm_entry: vcpu 1',
      { ...entry, tid: 53, tgid: 0 },
    ],
    [
      'microseconds',
      '          driver-53      [002] d..1. 105013.361484: kvm_entry: vcpu 1',
      { ...entry, timestamp: 105013361484000n },
    ],
    [
      'nanoseconds',
      '          driver-53      [002]     6.425949921: kvm_entry:            vcpu 1',
      { ...entry, timestamp: 6425949921n },
    ],
    [
      'the largest instants',
      '          driver-53      [002] d..1. 18446744073.709551615: kvm_entry: vcpu 1',
      { ...entry, timestamp: 0xffff_ffff_ffff_ffffn },
    ],
    [
      'trace-cmd report, timestamp touching the bracket',
      '          driver-53    [002]105013361484: kvm_entry:             vcpu 1 rip 0x100c',
      { ...entry, comm: 'driver', cpu: 2, timestamp: 105013361484n },
    ],
    [
      'trace-cmd report -l',
      '  driver-53      2d..1. 12581725263: kvm_entry:             vcpu 1',
      { ...entry, comm: 'driver', tid: 53, cpu: 2, timestamp: 12581725263n },
    ],
    [
      'trace-cmd report -l, short and wide',
      '   a-b-1-4194304  63.N... 12581725263: kvm_entry:             vcpu 1',
      { ...entry, comm: 'a-b-1', tid: 4194304, cpu: 63 },
    ],
    [
      'trace-cmd report -l, timestamp touching the flags',
      '  driver-53      2d..1.105013361484: kvm_entry:             vcpu 1',
      { ...entry, cpu: 2, timestamp: 105013361484n },
    ],
    [
      'trace-cmd report -l, seconds touching the flags',
      '  driver-53      2d..1.105013.361484123: kvm_entry:             vcpu 1',
      { ...entry, cpu: 2, timestamp: 105013361484123n },
    ],
    [
      'perf script',
      '          driver      53 [002]     6.425949:            kvm:kvm_entry: vcpu 1, rip 0x100c',
      { ...entry, comm: 'driver', tid: 53, tgid: 0, cpu: 2, timestamp: 6425949000n },
    ],
    [
      'perf script with process id',
      'CPU 0/KVM   51/53      [002]     6.425949921: kvm:kvm_entry: vcpu 1',
      { ...entry, comm: 'CPU 0/KVM', tid: 53, tgid: 51, timestamp: 6425949921n },
    ],
    [
      'leading blanks lost',
      'driver-53      [002] d..1.  11709575320: kvm_entry: vcpu 1',
      { ...entry, comm: 'driver', tid: 53, cpu: 2 },
    ],
    [
      'leading blanks lost from a thread of QEMU',
      'CPU 0/KVM-4711 [002] d..1.  11709575320: kvm_entry: vcpu 1',
      { ...entry, comm: 'CPU 0/KVM', tid: 4711, cpu: 2 },
    ],
    [
      'a long thread id and a four-digit CPU',
      '          driver-4194303 [1023] d..1.  11709575320: kvm_entry: vcpu 1',
      { ...entry, tid: 4194303, cpu: 1023 },
    ],
  ])('%s', async (_, line, expected) => {
    expect(await only(line)).toMatchObject(expected);
  });

  test.each([
    ['a-1 [000] 1: e'],
    ['x [000] y'],
    ['CPU 0/KVM'],
    ['<...>'],
    ['a b'],
    ['-5'],
    ['a-1 [000] d..1.'],
    ['[000] 5: kvm_x:'],
    ['ends with dash-'],
    [' # '],
    ['é'],
  ])('a thread called %j', async (name) => {
    const padding = ' '.repeat(16 - Buffer.byteLength(name));
    const rest = 'd..1.  11709575320: kvm_entry: vcpu 1';
    const event = await only(`${padding}${name}-4711    [003] ${rest}`);
    expect(event).toMatchObject({ comm: name.trimStart(), tid: 4711, cpu: 3 });
  });

  test('flags of the latency format that end in a digit, before a timestamp that touches', async () => {
    const touching = '  driver-53      0d..12105013361484: kvm_entry:  vcpu 1';
    const { events, stats } = await readText(
      lines('cpus=2', touching, '  driver-53      0d..1.105013361484: kvm_fpu:  load', touching),
    );
    expect(events).toMatchObject([{ timestamp: 105013361484n }]);
    expect(stats).toMatchObject({ events: 2, malformed: 1, firstMalformed: 'line 2' });
    const older = await readText(
      lines(
        '  driver-53      0d..1 99013361484: kvm_entry:  vcpu 1',
        '  driver-53      0d..1105013361484: kvm_entry:  vcpu 1',
      ),
    );
    expect(older.events.map((event) => event.timestamp)).toEqual([99013361484n, 105013361484n]);
  });

  test('a hostile name is told apart even where the leading blanks are lost', async () => {
    const event = await only('a-1 [000] 1: e-4711    [003] d..1.  11709575320: kvm_entry: vcpu 1');
    expect(event).toMatchObject({ comm: 'a-1 [000] 1: e', tid: 4711 });
  });

  test('bytes of a name that are no text', async () => {
    const line = Buffer.from(`${kernelLine('kvm_entry: vcpu 1')}\n`);
    line[12] = 0xff;
    line[13] = 0;
    const { events } = await readText(line);
    expect(events[0]!.comm).toBe('dr\ufffd\0er');
  });

  test('names are read anew where threads differ in one byte only', async () => {
    const name = (comm: string, tid: string, cpu: string): string =>
      `${comm.padStart(16)}-${tid.padEnd(7)} [${cpu}] d..1.  11709575320: kvm_entry: vcpu 1`;
    const { events } = await readText(
      lines(
        name('vcpu0', '1', '000'),
        name('vcpu1', '1', '000'),
        name('vcpu1', '2', '000'),
        name('vcpu1', '2', '001'),
        name('vcpu0', '1', '000'),
      ),
    );
    expect(events.map((e) => `${e.comm} ${e.tid} ${e.cpu}`)).toEqual([
      'vcpu0 1 0',
      'vcpu1 1 0',
      'vcpu1 2 0',
      'vcpu1 2 1',
      'vcpu0 1 0',
    ]);
  });

  test('timestamps of every length, also past 2^53', async () => {
    const ticks = Array.from({ length: 20 }, (_, k) => 10n ** BigInt(k));
    const all = ticks.flatMap((t) => [t - 1n, t, t + 1n, (t * 18n) / 10n]);
    all.push(0xffff_ffff_ffff_ffffn, 0x1_0000_0000n, 0xffff_ffffn, 9007199254740993n);
    const both = [...all, ...all.reverse()];
    const text = lines(...both.map((t) => kernelLine('kvm_entry: vcpu 1', t.toString())));
    const { events, stats } = await readText(text);
    expect(events.map((e) => e.timestamp)).toEqual(both);
    expect(stats.firstTimestamp).toBe(both[0]);
    expect(stats.lastTimestamp).toBe(both.at(-1));
  });

  test.each([
    ['a timestamp over 64 bits', kernelLine('kvm_entry: vcpu 1', '18446744073709551616')],
    ['a timestamp far over 64 bits', kernelLine('kvm_entry: vcpu 1', '9'.repeat(30))],
    ['another kind of timestamp', kernelLine('kvm_entry: vcpu 1', '1.000001')],
    ['three digits after the point', kernelLine('kvm_entry: vcpu 1', '1.001')],
    ['no CPU', '          driver-53      d..1.  11709575320: kvm_entry: vcpu 1'],
    ['an unclosed bracket', '          driver-53      [000 d..1.  1170957: kvm_entry: vcpu 1'],
    ['no thread id', '          driver-        [000] d..1.  1170957: kvm_entry: vcpu 1'],
    ['other text', 'what the mail said about it'],
  ])('malformed: %s', async (_, line) => {
    const { events, stats } = await readText(lines(kernelLine('kvm_entry: vcpu 1'), line));
    expect(events).toHaveLength(1);
    expect(stats).toMatchObject({ events: 1, malformed: 1, firstMalformed: 'line 2' });
  });
});

describe('what is passed over', () => {
  test('headers, comments, blank lines and stack traces', async () => {
    const { events, stats } = await readText(
      lines(
        '# tracer: nop',
        '#',
        '# entries-in-buffer/entries-written: 1163/2000000   #P:2',
        'version = 6',
        'CPU 1 is empty',
        'cpus=2',
        '',
        '   ',
        kernelLine('kvm_entry: vcpu 1'),
        kernelLine('<stack trace>'),
        ' => kvm_vcpu_ioctl',
        '=> do_syscall_64 (ffffffff81000000)',
        '\tffffffff810f5b5a kvm_vcpu_ioctl+0x1 ([kernel.kallsyms])',
        'CPU:1 [SUBBUFFER START]',
        kernelLine('kvm_fpu: load'),
      ),
    );
    expect(events).toHaveLength(1);
    expect(stats).toMatchObject({ events: 3, malformed: 0, gaps: 0 });
  });

  test('line ends of other systems', async () => {
    const { events, stats } = await readText(
      '# tracer: nop\r\n\r\n' +
        `${kernelLine('tracing_mark_write: begin')}\r\n` +
        `${kernelLine('sys_ioctl -> 0x0')}\r\n`,
    );
    expect(events).toMatchObject([{ text: 'begin' }, { ret: 0n }]);
    expect(stats.malformed).toBe(0);
  });

  test('events that are not asked for are counted', async () => {
    const { events, stats } = await readText(
      lines(
        kernelLine('kvm_entry: vcpu 1', 10),
        kernelLine('kvm_exit: nonsense', 11),
        kernelLine('kvm_msr: msr_read 10 = 0x5', 12),
      ),
      { only: ['kvm_entry'] },
    );
    expect(events).toHaveLength(1);
    expect(stats).toEqual({
      events: 3,
      lostEvents: 0n,
      gaps: 0,
      malformed: 0,
      firstMalformed: undefined,
      firstTimestamp: 10n,
      lastTimestamp: 12n,
    });
  });
});

describe('opening', () => {
  test.each([
    ['integers are ticks', kernelLine('x: y', 5), { unit: 'tsc', resolutionNs: 1 }],
    ['microseconds', kernelLine('x: y', '0.000005'), { unit: 'ns', resolutionNs: 1000 }],
    ['nanoseconds', kernelLine('x: y', '0.000000005'), { unit: 'ns', resolutionNs: 1 }],
    ['nothing recorded', '# tracer: nop', { unit: 'order', resolutionNs: 1 }],
  ])('clock: %s', async (_, line, expected) => {
    const { clock, events } = await readText(lines(line));
    expect(clock).toEqual({ ...expected, name: undefined });
    expect(events).toEqual([]);
  });

  test('the clock shows later than the head does', async () => {
    const head = lines('# tracer: nop', ...Array<string>(2000).fill(`#${' '.repeat(60)}`));
    const { clock, events } = await readText(
      head + lines(kernelLine('kvm_entry: vcpu 1', '0.000005')),
    );
    expect(clock).toMatchObject({ unit: 'ns', resolutionNs: 1000 });
    expect(events).toHaveLength(1);
  });

  test.each([
    ['an empty file', '', /^test\.txt: expected ftrace text.*, found an empty file$/],
    ['other text', '\n\nDear list,\nhello', /^test\.txt: line 3: expected .*, found "Dear list,"$/],
    ['blank lines', '\n\n \n', /: line 1: expected .*, found blank lines$/],
    ['binary data', '\x17\x08Dtracing7\0', /: byte 0: .*binary data that begins with 17 08 44 74/],
    ['an escape sequence', 'a\x1b[31mred', /found "a\\u\{1b\}\[31mred"$/],
    ['one endless line', 'a'.repeat(200_000), /: line 1: expected .*, found "a{60}…"$/],
    ['a header too late', '\n'.repeat(70_000) + kernelLine('x: y'), /found blank lines$/],
  ])('%s is refused', async (_, text, message) => {
    for (const chunkSize of [7, 1000, 1 << 18]) {
      const error = await openText(streamOf(text), { chunkSize }).catch((e: unknown) => e);
      expect(error).toBeInstanceOf(FormatError);
      expect((error as FormatError).message).toMatch(message);
    }
  });

  test('closing twice closes once', async () => {
    let closed = 0;
    const stream = streamOf(lines(kernelLine('kvm_entry: vcpu 1')));
    stream.close = async () => {
      closed++;
    };
    const recording = await openText(stream);
    await recording.close();
    await recording.close();
    expect(closed).toBe(1);
    expect(recording).toMatchObject({ name: 'test.txt', format: 'ftrace text', guests: [] });
  });
});
