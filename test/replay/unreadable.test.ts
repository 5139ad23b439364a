/** Texts that a terminal, a mailer or a shell has spoilt: what can't be read is not passed over. */
import { describe, expect, test } from 'vitest';
import { FormatError } from '../../replay/formats/error.ts';
import { unjudgeable } from '../../replay/report/text.ts';
import { replayText, unzipped } from './fixtures.ts';

const LINES = unzipped('ntp-hotplug', 'trace.txt').split('\n');
const TEXT = LINES.join('\n');
const PAGE = ': kvm_pvclock_update:';
const isHead = (line: string): boolean => line.startsWith('#');

const edited = (edit: (line: string) => string): string =>
  LINES.map((line) => (isHead(line) ? line : edit(line))).join('\n');

const wrapped = (width: number) => (line: string) =>
  line.match(new RegExp(`.{1,${width}}`, 'g'))?.join('\n') ?? line;

describe('a text of which no page can be read', () => {
  test.each([
    ['wrapped by a mailer', edited(wrapped(78))],
    ['wrapped a little later', edited(wrapped(100))],
    ['cut at the width of a terminal', edited((line) => line.slice(0, 120))],
    ['with tabs for blanks', edited((line) => line.replace(/ {2,}/g, '\t'))],
    [
      'coloured by grep',
      edited((line) => line.replace(/kvm/g, '\u001b[01;31m\u001b[Kkvm\u001b[m\u001b[K')),
    ],
    [
      'with the time since the line before (trace-cmd report --ts-diff)',
      edited((line) => line.replace(/(\d+: )(?=[a-z])/, '$1(+846274) ')),
    ],
  ])('%s: cannot tell, and says how much was not understood', async (_, text) => {
    const { summary } = await replayText(text);
    expect(summary.pages).toBe(0);
    expect(unjudgeable(summary)).toMatch(
      /^no page update is left of what could be read; [\d,]+ records not understood, the first at line \d+ /,
    );
  });
});

describe('a clock event that can’t be read', () => {
  const pages = LINES.map((line, i) => (line.includes(PAGE) ? i : -1)).filter((i) => i >= 0);
  const steps = async (text: string) => {
    const { findings } = await replayText(text);
    const known = findings.filter(({ rule }) => rule === 'jump' || rule === 'tsc-jump');
    return known.map(({ vcpu, timestamp, deltaNs }) => `${vcpu} ${timestamp} ${deltaNs}`);
  };

  test('is a gap, as if it had been lost: no step is invented, nothing is stale', async () => {
    const whole = await steps(TEXT);
    for (const spoilt of pages) {
      const text = LINES.map((line, i) => (i === spoilt ? line.slice(0, -20) : line)).join('\n');
      const { findings, summary } = await replayText(text);
      const gap = findings.filter(({ rule }) => rule === 'gap');
      expect(gap).toHaveLength(1);
      expect(gap[0]!.reason).toContain(`line ${spoilt + 1}: a kvm_pvclock_update that can’t be`);
      expect(summary).toMatchObject({ malformed: 1, gaps: 1, lostEvents: 1n });
      expect(findings.filter(({ rule }) => rule === 'stale')).toEqual([]);
      for (const step of await steps(text)) expect(whole).toContain(step);
    }
  });

  test('that is none of the clock’s is counted and no more', async () => {
    const spoilt = LINES.findIndex((line) => line.includes(': kvm_entry:'));
    const text = LINES.map((line, i) => (i === spoilt ? line.replace(/vcpu .*/, '?') : line));
    const { summary } = await replayText(text.join('\n'));
    expect(summary).toMatchObject({ malformed: 1, gaps: 0 });
  });
});

describe('events that are not in order of time', () => {
  const burst = unzipped('loadburst-7.3', 'trace.txt').split('\n');
  const ofCpu = (cpu: string): string => burst.filter((l) => l.includes(`[${cpu}]`)).join('\n');

  test.each([
    ['the texts of two CPUs', `${ofCpu('000')}\n${ofCpu('001')}\n`],
    ['two recordings', `${TEXT}\n${TEXT}`],
  ])('%s, one after the other, are refused', async (_, text) => {
    await expect(replayText(text)).rejects.toThrow(FormatError);
    await expect(replayText(text)).rejects.toThrow(
      /expected events in order of time, found one at \d+ ticks below one at \d+/,
    );
  });

  test('are read where the host slept, whose TSC may begin anew', async () => {
    const events = LINES.filter((line) => line !== '' && !isHead(line));
    const half = events.length >> 1;
    const sleep = events[half]!.replace(/: \S.*$/, ': suspend_resume: machine_suspend[3] begin');
    const back = (line: string): string =>
      line.replace(
        /(\] \S+ +)(\d+): /,
        (_, before, ticks) => `${before}${BigInt(ticks) - 20_000_000_000n}: `,
      );
    const text = [...events.slice(0, half), sleep, ...events.slice(half).map(back)].join('\n');
    const { summary } = await replayText(`${text}\n`);
    expect(summary.events).toBe(events.length + 1);
  });

  test('by as little as trace_pipe may have them, are read', async () => {
    const events = LINES.filter((line) => line !== '' && !isHead(line));
    const at = events.findIndex((line) => line.includes(': kvm_fpu:'));
    [events[at], events[at + 1]] = [events[at + 1]!, events[at]!];
    const { findings } = await replayText(`${events.join('\n')}\n`);
    expect(findings.filter(({ rule }) => rule === 'jump')).toHaveLength(10);
  });
});
