import { describe, expect, test } from 'vitest';
import { kernelLine, lines, readText } from './text-reading.ts';

const entry = (ticks: number): string => kernelLine('kvm_entry: vcpu 1', ticks);

describe('gaps', () => {
  test.each([
    ['CPU:1 [LOST 123 EVENTS]', 1, 123n],
    ['CPU:1 [LOST EVENTS]', 1, 0n],
    ['CPU:7 [204600 EVENTS DROPPED]', 7, 204600n],
    ['CPU:0 [EVENTS DROPPED]', 0, 0n],
    ['##### CPU 3 buffer started ####', 3, 0n],
    ['  ##### CPU 3 buffer started ####', 3, 0n],
    ['CPU:1 [LOST 18446744073709551615 EVENTS]', 1, 0xffff_ffff_ffff_ffffn],
  ])('%s', async (line, cpu, lost) => {
    const { events, stats } = await readText(lines(entry(10), line, entry(20)));
    expect(events).toMatchObject([
      { type: 'kvm_entry', timestamp: 10n },
      { type: 'gap', timestamp: 20n, cpu, lost, text: line.trim(), comm: '', tid: 0, tgid: 0 },
      { type: 'kvm_entry', timestamp: 20n },
    ]);
    expect(stats).toMatchObject({ events: 2, gaps: 1, lostEvents: lost, malformed: 0 });
  });

  test.each([
    ['CPU:1 [LOST 18446744073709551616 EVENTS]'],
    ['CPU:1 [LOST many EVENTS]'],
    ['CPU:x [LOST 1 EVENTS]'],
    ['CPU:1 [LOST 1 EVENTS] and more'],
  ])('malformed: %s', async (line) => {
    const { stats } = await readText(lines(entry(10), line));
    expect(stats).toMatchObject({ gaps: 0, malformed: 1, firstMalformed: 'line 2' });
  });

  test('the instant is that of the next event, also of one that is not asked for', async () => {
    const { events } = await readText(
      lines(entry(10), 'CPU:1 [LOST 5 EVENTS]', kernelLine('kvm_fpu: load', 15), entry(20)),
      { only: ['gap'] },
    );
    expect(events).toMatchObject([{ type: 'gap', timestamp: 15n, lost: 5n }]);
  });

  test('the instant is that of the last event where none follows', async () => {
    const { events } = await readText(lines(entry(10), 'CPU:1 [LOST 5 EVENTS]'));
    expect(events.at(-1)).toMatchObject({ type: 'gap', timestamp: 10n });
  });

  test('a text of nothing but a gap', async () => {
    const { events, stats } = await readText(lines('CPU:1 [LOST 5 EVENTS]'));
    expect(events).toMatchObject([{ type: 'gap', timestamp: 0n, lost: 5n }]);
    expect(stats).toMatchObject({ events: 0, firstTimestamp: undefined, lastTimestamp: undefined });
  });

  test('those of several CPUs come in their order, those of one CPU as one', async () => {
    const text = lines(
      'CPU:1 [LOST 5 EVENTS]',
      'CPU:0 [LOST 1 EVENTS]',
      'CPU:1 [LOST 6 EVENTS]',
      entry(10),
      'CPU:1 [LOST 7 EVENTS]',
      entry(20),
    );
    for (const capacity of [1, 2, 3, 64]) {
      const { events, stats } = await readText(text, {}, capacity);
      expect(events).toMatchObject([
        { type: 'gap', cpu: 1, lost: 11n, timestamp: 10n },
        { type: 'gap', cpu: 0, lost: 1n, timestamp: 10n },
        { type: 'kvm_entry', timestamp: 10n },
        { type: 'gap', cpu: 1, lost: 7n, timestamp: 20n },
        { type: 'kvm_entry', timestamp: 20n },
      ]);
      expect(stats).toMatchObject({ events: 2, gaps: 3, lostEvents: 19n });
    }
  });

  test('more CPUs than there can be do not fill the memory', async () => {
    const notices = Array.from({ length: 20_000 }, (_, cpu) => `CPU:${cpu} [LOST 1 EVENTS]`);
    const { stats } = await readText(lines(...notices, entry(10)));
    expect(stats).toMatchObject({ gaps: 8192, lostEvents: 20_000n });
  });

  test('gaps that are not asked for are counted', async () => {
    const { events, stats } = await readText(lines('CPU:1 [LOST 5 EVENTS]', entry(10)), {
      only: ['kvm_entry'],
    });
    expect(events).toHaveLength(1);
    expect(stats).toMatchObject({ gaps: 1, lostEvents: 5n });
  });
});

describe('a last line without a newline', () => {
  test('is not used: it may have been cut in the middle of a number', async () => {
    const whole = lines('# tracer: nop', entry(10), entry(20));
    const cut = kernelLine('kvm_write_tsc_offset: vcpu=0 prev=0 next=123456', 30);
    for (const length of [1, 5, 17, 30, 50, cut.length]) {
      const { events, stats } = await readText(whole + cut.slice(0, length));
      expect(events).toHaveLength(3);
      expect(events[2]).toMatchObject({
        type: 'gap',
        timestamp: 20n,
        lost: 0n,
        text: 'the file ends in the middle of line 4',
      });
      expect(stats).toMatchObject({ events: 2, gaps: 1, malformed: 0 });
    }
  });

  test('stands apart from a gap of CPU 0', async () => {
    const { events } = await readText(`${lines(entry(10), 'CPU:0 [LOST 5 EVENTS]')}  cut`);
    expect(events).toMatchObject([{}, { lost: 5n, cpu: 0 }, { lost: 0n, cpu: 0 }]);
  });

  test('a text that is one cut line', async () => {
    const { events, clock } = await readText(entry(10));
    expect(clock.unit).toBe('tsc');
    expect(events).toMatchObject([{ type: 'gap', timestamp: 0n }]);
  });

  test('a complete last line is no gap', async () => {
    const { stats } = await readText(lines(entry(10)));
    expect(stats.gaps).toBe(0);
  });
});
