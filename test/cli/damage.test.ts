import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { fixture, unzipped } from '../replay/fixtures.ts';
import { cli, json } from './run.ts';

/** Whatever is done to a recording: findings, or one line that says what is wrong and where. */
const SOURCES = {
  'trace.dat v7': readFileSync(fixture('ntp-hotplug')),
  'trace.dat v6': readFileSync(fixture('boot-6.12', 'trace.v6.dat')),
  text: Buffer.from(unzipped('ntp-hotplug', 'trace.txt')),
};

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'masterclock-damage-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

async function expectAnswer(bytes: Uint8Array): Promise<void> {
  const path = join(folder, 'damaged');
  writeFileSync(path, bytes);
  const { code, stdout, stderr } = await cli('replay', '--json', path);
  if (code === 3) {
    expect(stderr).toMatch(/^masterclock: [^\n]*damaged[^\n]*: expected [^\n]+, found [^\n]+\n$/);
  } else {
    expect([0, 1, 4]).toContain(code);
    expect(stderr).toBe('');
    expect(json(stdout).at(-1)).toMatchObject({ kind: 'summary' });
  }
}

for (const [name, source] of Object.entries(SOURCES)) {
  test(`${name}: cut at any byte`, async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(source.length), (length) => expectAnswer(source.subarray(0, length))),
      { numRuns: 100, examples: [[0], [1], [9], [source.length - 1]] },
    );
  });

  test(`${name}: bytes changed`, async () => {
    const change = fc.tuple(fc.nat(source.length - 1), fc.nat(255));
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 8 }), (changes) => {
        const bytes = Uint8Array.from(source);
        for (const [at, value] of changes) bytes[at] = value;
        return expectAnswer(bytes);
      }),
      { numRuns: 150 },
    );
  });
}

test('random bytes', async () => {
  await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 4096 }), expectAnswer), {
    numRuns: 60,
  });
});
