// Replays logs and recordings on several versions of Node and says whether their digests agree. npm
// brings the versions.
//
//   npm run versions [-- FILE…]     (without one: bundled recordings, and logs made of them)
//
// Exit codes: 0 all agree, 1 some do not.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const VERSIONS = ['20', '22', '24'];
const BUNDLED = ['ntp-hotplug', 'threads-6.12', 'set-clock-7.3', 'suspend-6.1'];
const RECORDINGS = fileURLToPath(new URL('../test/fixtures/recordings/', import.meta.url));
const CLI = fileURLToPath(new URL('../bin/masterclock.js', import.meta.url));

function digestOf(version, file) {
  const args = [
    '--yes',
    '--package',
    `node@${version}`,
    '--',
    'node',
    CLI,
    'replay',
    '--json',
    file,
  ];
  const { stdout, stderr } = spawnSync('npx', args, { encoding: 'utf8', maxBuffer: 1 << 28 });
  try {
    // The summary is the last line; findings come before it.
    return JSON.parse(stdout.trim().split('\n').at(-1)).digest;
  } catch {
    return `failed: ${stderr.trim().split('\n').at(-1)}`;
  }
}

/** Bundled recordings, and a log of each in `folder`. */
function bundled(folder) {
  return BUNDLED.flatMap((name) => {
    const recording = join(RECORDINGS, name, 'trace.dat');
    const log = join(folder, `${name}.mclog`);
    spawnSync(process.execPath, [CLI, 'convert', recording, log], { stdio: 'inherit' });
    return [recording, log];
  });
}

const folder = mkdtempSync(join(tmpdir(), 'masterclock-versions-'));
const given = process.argv.slice(2);
let differ = false;
for (const file of given.length > 0 ? given : bundled(folder)) {
  const digests = VERSIONS.map((version) => digestOf(version, file));
  const agree = digests.every((one) => one === digests[0] && one.startsWith('sha256:'));
  differ ||= !agree;
  process.stdout.write(`${agree ? 'agree' : 'DIFFER'} ${file}\n`);
  VERSIONS.forEach((version, i) => {
    process.stdout.write(`  Node ${version}: ${digests[i]}\n`);
  });
}
rmSync(folder, { recursive: true });
process.exit(differ ? 1 : 0);
