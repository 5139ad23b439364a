import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { EVENT_NAMES } from '../../events/index.ts';
import { fixtureText, readText } from './text-reading.ts';

const folder = fileURLToPath(new URL('../fixtures/recordings/', import.meta.url));
const names = readdirSync(folder).filter((name) =>
  readdirSync(join(folder, name)).includes('trace.txt.gz'),
);

const ALIASES: Readonly<Record<string, string>> = { tracing_mark_write: 'marker', print: 'marker' };

/** Event names of a text, counted by an expression that knows the usual columns only. */
function countByName(text: string): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const [, word, end] of text.matchAll(
    /^.{16}-\d+ +\[\d+\] *(?:[^ \d]\S* +)?[\d.]+: +(\w+)(:|\(| ->)/gm,
  )) {
    const call =
      end === ':' ? word! : word!.replace('sys_', end === '(' ? 'sys_enter_' : 'sys_exit_');
    const name = ALIASES[call] ?? call;
    if ((EVENT_NAMES as readonly string[]).includes(name)) counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}

/** Instant of the first event, of whatever name, as an expression that knows the usual columns finds it. */
function firstTimestamp(text: string): bigint {
  const [, digits, micros] = /^.{16}-\d+ +\[\d+\] *(?:[^ \d]\S* +)?(\d+)(?:\.(\d{6}))?: /m.exec(
    text,
  )!;
  return micros === undefined
    ? BigInt(digits!)
    : (BigInt(digits!) * 1_000_000n + BigInt(micros)) * 1000n;
}

describe('texts of real kernels', () => {
  test.each(names)('%s', async (name) => {
    const bytes = fixtureText(name);
    const { events, stats } = await readText(bytes, {}, 4096);
    const counts: Record<string, number> = {};
    for (const { type } of events) counts[type] = (counts[type] ?? 0) + 1;
    const text = bytes.toString('latin1');
    expect(counts).toEqual(countByName(text));
    expect(stats).toMatchObject({
      events: text.match(/^.{16}-\d/gm)!.length,
      malformed: 0,
      gaps: 0,
      firstTimestamp: firstTimestamp(text),
    });
    expect(new Set(events.map((event) => event.comm)).has('')).toBe(false);
  });

  test('both clocks are among them', async () => {
    expect((await readText(fixtureText('ntp-hotplug'))).clock.unit).toBe('tsc');
    expect((await readText(fixtureText('tsc-host-mono-raw-6.12'))).clock).toMatchObject({
      unit: 'ns',
      resolutionNs: 1000,
    });
  });
});

describe('a long text made of a short one', () => {
  const script = fileURLToPath(new URL('../../bench/lib/long-text.mjs', import.meta.url));

  test.each(['ntp-hotplug', 'hotplug-record-6.1', 'tsc-host-mono-raw-6.12'])('%s', async (name) => {
    const work = mkdtempSync(join(tmpdir(), 'masterclock-test-'));
    try {
      const source = join(work, 'source.txt');
      const long = join(work, 'long.txt');
      writeFileSync(source, fixtureText(name));
      execFileSync(process.execPath, [script, source, long, '--lines', '5000']);
      const text = readFileSync(long);
      expect(text.filter((byte) => byte === 10)).toHaveLength(5000);
      const { events, stats } = await readText(text, {}, 4096);
      expect(stats).toMatchObject({ malformed: 0, gaps: 0 });
      expect(events.some(({ timestamp }, k) => k > 0 && timestamp < events[k - 1]!.timestamp)).toBe(
        false,
      );
    } finally {
      rmSync(work, { recursive: true });
    }
  });
});
