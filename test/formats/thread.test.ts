import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { open as openFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { EventBatch } from '../../events/index.ts';
import type { Recording } from '../../replay/index.ts';
import { cli } from '../cli/run.ts';
import { unzipped } from '../replay/fixtures.ts';

/** A thread runs what is built: `npm test` builds first. */
const BUILT = new URL('../../dist/replay/formats/', import.meta.url).href;
const { open } = (await import(`${BUILT}open.js`)) as typeof import('../../replay/formats/open.ts');
const { openInThread: openThread } = (await import(
  `${BUILT}thread/recording.js`
)) as typeof import('../../replay/formats/thread/recording.ts');

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'masterclock-thread-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, content: string): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

async function openInThread(path: string, is: 'text' | 'trace.dat' = 'text'): Promise<Recording> {
  const handle = await openFile(path, 'r');
  const { size } = await handle.stat();
  return openThread(path, handle, { is, size }, undefined).catch(async (error: unknown) => {
    await handle.close();
    throw error;
  });
}

const SOURCE = unzipped('threads-6.12', 'trace.txt').trimEnd().split('\n');

/** Longer than the recording. */
const ROUND_TICKS = 20_000_000_000n;

/** Longer than all batches together, with ever new thread names, gaps, damage and no end. */
function longText(rounds: number): string {
  const pieces = Array.from({ length: rounds }, (_, round) =>
    SOURCE.map((line) =>
      line
        .replace('driver-61', `run ${round}-61`.padStart(9))
        .replace(/ \d{11}:/, (at) => ` ${BigInt(at.slice(1, -1)) + BigInt(round) * ROUND_TICKS}:`),
    )
      .toSpliced(100, 0, `CPU:1 [LOST ${round + 1} EVENTS]`)
      .toSpliced(200, 0, '  driver-53  [000] d.... 1x: kvm_entry: vcpu 0')
      .join('\n'),
  );
  return pieces.join('\n').slice(0, -30);
}

/** All that a recording delivers, batch by batch. */
async function all(recording: Recording): Promise<unknown> {
  const { stats } = recording;
  const batch = new EventBatch();
  const batches: unknown[] = [];
  while ((await recording.read(batch)) > 0) {
    batches.push(Array.from({ length: batch.length }, (_, row) => batch.event(row)));
  }
  const { events, lostEvents, gaps, malformed, firstMalformed } = stats;
  const { firstTimestamp, lastTimestamp } = stats;
  const { name, format, clock, kernelRelease, guests } = recording;
  await recording.close();
  await recording.close();
  return {
    ...{ batches, name, format, clock, kernelRelease, guests },
    ...{ events, lostEvents, gaps, malformed, firstMalformed, firstTimestamp, lastTimestamp },
  };
}

test('a thread delivers the same batches as reading at once', async () => {
  const path = file('long.txt', longText(8));
  const here = await all(await open(path));
  expect(here).toMatchObject({ gaps: 9, malformed: 8 });
  expect(await all(await openInThread(path))).toEqual(here);
});

test.each(['threads-6.12', 'several-vms-6.1', 'tsc-host-mono-raw-6.12'])(
  'nor does it matter to the trace.dat of %s',
  async (name) => {
    const path = fileURLToPath(
      new URL(`../fixtures/recordings/${name}/trace.dat`, import.meta.url),
    );
    expect(await all(await openInThread(path, 'trace.dat'))).toEqual(await all(await open(path)));
  },
);

test('a trace.dat that is cut says so in the same words', async () => {
  const source = new URL('../fixtures/recordings/threads-6.12/trace.dat', import.meta.url);
  for (const length of [40, 30_000, 90_000]) {
    const path = join(folder, 'cut.dat');
    writeFileSync(path, readFileSync(source).subarray(0, length));
    const outcome = (opened: Promise<Recording>): Promise<unknown> =>
      opened.then(all).catch((error: unknown) => error);
    expect(await outcome(openInThread(path, 'trace.dat'))).toEqual(await outcome(open(path)));
  }
});

test('what can’t be read is said in the same words', async () => {
  for (const text of ['', 'once upon a time\n', '\0\u0001\u0002']) {
    const path = file('other.txt', text);
    const error: unknown = await open(path).catch((e: unknown) => e);
    expect(error).toMatchObject({ name: 'FormatError' });
    await expect(openInThread(path)).rejects.toEqual(error);
  }
});

test('closing early ends the thread, also one that waits', async () => {
  const recording = await openInThread(file('early.txt', longText(20)));
  expect(await recording.read(new EventBatch())).toBeGreaterThan(0);
  await recording.close();
  expect(await recording.read(new EventBatch())).toBe(0);
});

test('the command says the same of a long text, whoever reads it', async () => {
  const path = file('longest.txt', longText(170));
  const command = fileURLToPath(new URL('../../bin/masterclock.js', import.meta.url));
  const inThread = spawnSync(process.execPath, [command, 'replay', '--json', path], {
    encoding: 'utf8',
    maxBuffer: 1 << 30,
  });
  const here = await cli('replay', '--json', path);
  expect(here.stdout.length).toBeGreaterThan(10_000);
  expect(inThread.stdout).toBe(here.stdout);
  expect(inThread).toMatchObject({ status: here.code, stderr: here.stderr });
});
