import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { torture } from '../../scripts/torture-run.mjs';

/** `npm run torture` does it 10,000 times. */
const KILLS = 500;

test('kill -9 at any moment loses nothing that was acknowledged', {
  timeout: 3_600_000,
}, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'masterclock-kill-'));
  const done = await torture({ kills: KILLS, seed: 20_261_121, folder });
  rmSync(folder, { recursive: true });
  expect(done.failures).toEqual([]);
  expect(done.kills).toBe(KILLS);
  expect(done.acknowledged).toBeGreaterThan(KILLS);
});
