/** A log made of a recording alone: replayed, it writes the pages that were recorded. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { logOfCapture } from '../../replay/assimilate/log-of-capture.ts';
import { events, open, REPLAY_EVENTS } from '../../replay/index.ts';
import { replayLog } from '../../replay/log/index.ts';
import { cli } from '../cli/run.ts';
import { bytesOf, open as openLog } from '../log/logs.ts';
import { fixture } from '../replay/fixtures.ts';
import { RECORDINGS } from './recordings.ts';

const BIN = fileURLToPath(new URL('../../bin/masterclock.js', import.meta.url));

interface Page {
  readonly vcpuId: number;
  readonly version: number;
  readonly tscTimestamp: bigint;
  readonly systemTime: bigint;
  readonly tscToSystemMul: number;
  readonly tscShift: number;
  readonly flags: number;
}

const textOf = (page: Page): string =>
  `${page.vcpuId} v${page.version} ${page.tscTimestamp} ${page.systemTime} ${page.tscToSystemMul} ${page.tscShift} ${page.flags}`;

async function pagesOf(path: string): Promise<string[]> {
  const recording = await open(path);
  const pages: string[] = [];
  for await (const event of events(recording)) {
    if (event.type === 'kvm_pvclock_update') pages.push(textOf(event));
  }
  await recording.close();
  return pages;
}

async function replayed(path: string) {
  const log = await logOfCapture(() => open(path, { only: REPLAY_EVENTS }));
  const pages: string[] = [];
  const summary = await replayLog(await openLog(bytesOf('mclog', log)), {
    seen: (_, { observations }) => {
      for (const seen of observations) {
        if (seen.type === 'kvm_pvclock_update') pages.push(textOf(seen));
      }
    },
  });
  return { pages, summary };
}

/** What a trace does not show, and how many pages the log therefore has otherwise before it says so. */
const NOT_SHOWN: Readonly<Record<string, { readonly why: string; readonly otherwise: number }>> = {
  'set-clock-5.10': { why: 'its guest clears GUEST_STOPPED', otherwise: 1 },
  'set-clock-7.3': { why: 'its guest clears GUEST_STOPPED', otherwise: 1 },
  'several-vms-6.1': {
    why: 'clocks of restored VMs are set before their first page',
    otherwise: 4,
  },
  'suspend-6.1': { why: 'GUEST_STOPPED is asked for by the host that sleeps', otherwise: 3 },
  'tsc-unstable-6.12': { why: 'with an unstable TSC each load writes an offset', otherwise: 19 },
  'xen-6.12': { why: "Xen's pages are registered by ioctls", otherwise: 33 },
};

const WITH_FILE = RECORDINGS.filter((name) => existsSync(fixture(name)));

test('there are enough recordings, and none is left out for nothing', () => {
  expect(WITH_FILE.length - Object.keys(NOT_SHOWN).length).toBeGreaterThanOrEqual(8);
  expect(WITH_FILE).toEqual(expect.arrayContaining(Object.keys(NOT_SHOWN)));
});

test.each(WITH_FILE)('the log of %s writes its pages', async (name) => {
  const recorded = await pagesOf(fixture(name));
  const { pages, summary } = await replayed(fixture(name));
  expect(summary).toMatchObject({ impossible: 0, isUnknown: false });
  expect(summary.checkpoints.differing).toEqual([]);
  const left = [...recorded];
  for (const page of pages) {
    const at = left.indexOf(page);
    if (at >= 0) left.splice(at, 1);
  }
  expect(left.length).toBeLessThanOrEqual(NOT_SHOWN[name]?.otherwise ?? 0);
  if (NOT_SHOWN[name] === undefined) expect(pages).toEqual(recorded);
  else expect(summary.gaps).toBeGreaterThan(0);
});

test('masterclock convert makes a log of a recording, and says what is asked of a stream', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'masterclock-capture-'));
  const to = join(folder, 'a.jsonl');
  expect(await cli('convert', fixture('ntp-hotplug'), to)).toMatchObject({ code: 0, stderr: '' });
  const again = await cli('replay', '--fail-on', 'never', to);
  expect(again).toMatchObject({ code: 0, stderr: '' });
  expect(again.stdout).toMatch(/jump +0\/0 +−1\.106 s/);
  const piped = spawnSync(process.execPath, [BIN, 'convert', '-', join(folder, 'b.jsonl')], {
    input: readFileSync(fixture('ntp-hotplug')),
    encoding: 'utf8',
  });
  expect(piped).toMatchObject({
    status: 2,
    stderr: 'masterclock: convert reads a recording twice: name its file\n',
  });
  rmSync(folder, { recursive: true });
});
