import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { logOfRecording } from '../../replay/conformance/index.ts';
import { replayLog } from '../../replay/log/index.ts';
import { cli } from '../cli/run.ts';
import { BUNDLED, FOLDER, recordingOf } from '../conformance/bundled.ts';
import { bytesOf, FORMS, open } from './logs.ts';

const SOME = BUNDLED.filter((_, i) => i % 4 === 0);

it.each(SOME)('%s as a log comes to the same worlds again', async (name) => {
  const log = logOfRecording(await recordingOf(name));
  const digests = new Set<string>();
  for (const form of FORMS) {
    const summary = await replayLog(await open(bytesOf(form, log, [50])));
    expect(summary.checkpoints).toMatchObject({ differing: [], skipped: 0 });
    expect(summary.checkpoints.agreed).toBe(Math.floor(summary.inputs / 100));
    expect(summary.observations.size).toBeGreaterThan(0);
    digests.add(summary.digests.all);
  }
  expect(digests.size).toBe(1);
});

it('masterclock convert makes a log of a folder', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'masterclock-convert-'));
  const to = join(folder, 'a.mclog');
  const done = await cli('convert', join(FOLDER, SOME[0]!), to);
  expect(done).toMatchObject({ code: 0, stderr: '' });
  expect((await cli('replay', to)).stdout).toMatch(
    /^replayed +\d+,?\d* inputs replayed under v\d/m,
  );
  rmSync(folder, { recursive: true });
});
