// Replays logs on several versions of Node and says whether their digests agree. npm brings the versions.
//
//   node scripts/node-versions.mjs LOG…
//
// Exit codes: 0 all agree, 1 some do not, 2 usage.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const VERSIONS = ['20', '22', '24'];
const CLI = fileURLToPath(new URL('../bin/masterclock.js', import.meta.url));

function digestOf(version, log) {
  const args = [
    '--yes',
    '--package',
    `node@${version}`,
    '--',
    'node',
    CLI,
    'replay',
    '--json',
    log,
  ];
  const { stdout, stderr } = spawnSync('npx', args, { encoding: 'utf8', maxBuffer: 1 << 28 });
  try {
    return JSON.parse(stdout).digest;
  } catch {
    return `failed: ${stderr.trim().split('\n').at(-1)}`;
  }
}

const logs = process.argv.slice(2);
if (logs.length === 0) {
  process.stderr.write('usage: node scripts/node-versions.mjs LOG…\n');
  process.exit(2);
}
let differ = false;
for (const log of logs) {
  const digests = VERSIONS.map((version) => digestOf(version, log));
  const agree = digests.every((one) => one === digests[0] && one.startsWith('sha256:'));
  differ ||= !agree;
  process.stdout.write(`${agree ? 'agree' : 'DIFFER'} ${log}\n`);
  VERSIONS.forEach((version, i) => {
    process.stdout.write(`  Node ${version}: ${digests[i]}\n`);
  });
}
process.exit(differ ? 1 : 0);
