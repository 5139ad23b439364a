// Kills writers of logs with SIGKILL, 10,000 times or as often as told, and says what was lost.
//
//   npm run torture -- [KILLS [SEED]]
//
// Exit codes: 0 nothing lost, 1 something lost, 2 usage.
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { torture } from './torture-run.mjs';

const [kills = '10000', seed = '20261121'] = process.argv.slice(2);
if (!/^[1-9]\d{0,6}$/.test(kills) || !/^\d{1,9}$/.test(seed)) {
  process.stderr.write('usage: npm run torture -- [KILLS [SEED]]\n');
  process.exit(2);
}
const folder = mkdtempSync(join(tmpdir(), 'masterclock-torture-'));
const lanes = Math.max(2, availableParallelism());
const done = await torture({ kills: Number(kills), seed: Number(seed), folder, lanes });
rmSync(folder, { recursive: true });
const { torn, acknowledged, failures } = done;
process.stdout.write(
  `${failures.length === 0 ? 'nothing acknowledged was lost' : `LOST in ${failures.length} cases`}: ` +
    `${done.kills} kills, ${acknowledged} entries acknowledged, ${torn} torn tails cut (seed ${seed})\n`,
);
for (const failure of failures.slice(0, 20)) process.stdout.write(`  ${failure}\n`);
process.exit(failures.length === 0 ? 0 : 1);
