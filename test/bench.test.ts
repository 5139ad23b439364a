/** The benches run: their figures are nobody's test, but that they print them is. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const MINUTES = 60_000;
const script = fileURLToPath(new URL('../bench/run.mjs', import.meta.url));
const has = (command: string): boolean => spawnSync(command, ['--version']).error === undefined;

const ROWS = [
  /^text: threads-6\.12 +[\d.]+ M\/s +[\d.]+ M\/s +[\d.]+×$/m,
  /^text: ntp-hotplug +[\d.]+ M\/s/m,
  /^text: set-clock-7\.3 +[\d.]+ M\/s/m,
  ...(has('trace-cmd')
    ? ['none', ...(has('zstd') ? ['zstd'] : [])].map(
        (packed) => new RegExp(`^trace\\.dat ${packed}: threads-6\\.12 +[\\d.]+ M/s`, 'm'),
      )
    : [/^trace\.dat: not measured/m]),
  /^\.mclog: threads-6\.12, 0\.05\d M +[\d.]+ M\/s +[\d.]+ M\/s +[\d.]+×$/m,
  /^\.mclog: threads-6\.12, 0\.20 M +[\d.]+ M\/s/m,
  /^\.jsonl: threads-6\.12, 0\.00\d+ M +[\d.]+ M\/s/m,
  /^scaleDelta, shift 0 +[\d.]+ ns .* ratio [\d.]+$/m,
  /^dispatch in rows, .*: tables \d+ ns\/event, actors \d+, ratio \d+×$/m,
  /^dispatch one by one, .*: tables \d+ ns\/event, actors \d+, ratio \d+×$/m,
  /guards and recipes alone: \d+ ns\/event$/m,
  /^288 vCPUs +\d+ ns\/event [\d.]+×$/m,
  /^1000 VMs +\d+ ns\/event [\d.]+×$/m,
  /^peak memory: \d+ MiB after 1 M events, \d+ MiB after 2 M$/m,
  /^50000 lines, \d+ MiB +\d+$/m,
];

test('all benches run to their end', { timeout: 11 * MINUTES }, () => {
  // What colours are asked for is no matter of theirs; Node warns of it.
  const { NO_COLOR: _, FORCE_COLOR: __, ...env } = process.env;
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, '--quick'], {
    encoding: 'utf8',
    env,
    timeout: 10 * MINUTES,
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  for (const row of ROWS) expect(stdout).toMatch(row);
});
