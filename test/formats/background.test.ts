import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { EventBatch } from '../../events/index.ts';
import type { Recording } from '../../replay/index.ts';
import { fixture, unzipped } from '../replay/fixtures.ts';

/** A thread runs what is built: `npm test` builds first. */
const BUILT = new URL('../../dist/replay/formats/', import.meta.url).href;
const { open } = (await import(`${BUILT}open.js`)) as typeof import('../../replay/formats/open.ts');
const { openInBackground } = (await import(
  `${BUILT}background.js`
)) as typeof import('../../replay/formats/background.ts');

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'masterclock-background-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const file = (name: string, content: string | Uint8Array): string => {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
};

/** Everything a recording delivers. */
async function all(recording: Recording) {
  const batch = new EventBatch();
  const events: unknown[] = [];
  while ((await recording.read(batch)) > 0) {
    for (let row = 0; row < batch.length; row++) events.push(batch.event(row));
  }
  const { events: count, lostEvents, gaps, malformed, lastTimestamp } = recording.stats;
  const stats = { count, lostEvents, gaps, malformed, lastTimestamp };
  const { clock, format, kernelRelease } = recording;
  await recording.close();
  return { events, stats, clock, format, kernelRelease };
}

const recordings = (): [string, string][] => [
  ['trace.dat', fixture('threads-6.12')],
  ['text longer than all batches together', file('long.txt', longText())],
];

/** Past the eight batches in flight, with thread names that change and a cut last line. */
function longText(): string {
  const lines = unzipped('threads-6.12', 'trace.txt').split('\n');
  const renamed = (round: number) =>
    lines.map((line) => line.replace('driver-61', `run ${round}-61`.padStart(9)));
  return Array.from({ length: 8 }, (_, round) => renamed(round).join('\n'))
    .join('\n')
    .slice(0, -30);
}

test('a thread delivers the same events as reading at once', async () => {
  for (const [name, path] of recordings()) {
    const here = await all(await open(path));
    expect(here.events.length, name).toBeGreaterThan(6000);
    expect(await all(await openInBackground(path, {})), name).toEqual(here);
  }
});

test('what can’t be read is said in the same words', async () => {
  const cut = file('cut.dat', readFileSync(fixture('threads-6.12')));
  truncateSync(cut, 3000);
  for (const path of [cut, file('prose.txt', 'once upon a time\n'), join(folder, 'nowhere')]) {
    const error = await open(path).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(Error);
    await expect(openInBackground(path, {})).rejects.toThrow((error as Error).message);
  }
});

test('closing early ends the thread', async () => {
  const recording = await openInBackground(fixture('threads-6.12'), {});
  await recording.read(new EventBatch());
  await recording.close();
  expect(await recording.read(new EventBatch())).toBe(0);
});
