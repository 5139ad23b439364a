import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, test } from 'vitest';
import { PROFILE_IDS } from '../../src/profiles/index.ts';
import { SCENARIOS } from '../../src/scenarios/all.ts';
import {
  duration,
  durationText,
  expectedOf,
  optionOf,
  type Params,
  takes,
} from '../../src/scenarios/params.ts';
import { play } from '../../src/scenarios/play.ts';
import { cli, json } from '../cli/run.ts';
import { emptyFolder } from '../conformance/bundled.ts';

/** What of a host’s name stands in its log’s: `… without the quirk` is `without-the-quirk`. */
const asciiOf = (name: string): string => (name.match(/[\w.-]+/g) ?? []).join('-');

describe('every scenario', () => {
  test.each(SCENARIOS)('$name: its log’s replay has the findings that it prints', async (its) => {
    const path = join(emptyFolder(), 'a.mclog');
    const printed = await cli('simulate', its.name, '--json', '--log', path);
    expect(printed.stderr).toBe('');
    const lines = json(printed.stdout);
    const [host, ...others] = (lines.at(-1) as { hosts: { digest: string; name: string }[] }).hosts;
    const logs = [
      path,
      ...others.map(({ name }) => path.replace('.mclog', `-${asciiOf(name)}.mclog`)),
    ];
    expect(new Set(logs).size).toBe(logs.length);
    for (const log of logs) expect(log).toMatch(/\/a[\w.-]*\.mclog$/);
    const replayed = await Promise.all(logs.map((log) => cli('replay', '--json', log)));
    const found = (stdout: string) => json(stdout).slice(0, -1);
    const of = replayed.flatMap(({ stdout }) => found(stdout));
    expect(lines.slice(0, -1).map(({ host: _, ...finding }) => finding)).toEqual(of);
    expect(json(replayed[0]!.stdout).at(-1)).toMatchObject({ digest: host!.digest });
    expect(Math.max(...replayed.map(({ code }) => code))).toBe(printed.code);
  });

  test.each(SCENARIOS)('$name: plays under every kernel', async (its) => {
    for (const profile of PROFILE_IDS) {
      const { hosts } = await play(its, { profile });
      for (const { summary } of hosts) expect(summary.impossible).toBe(0);
    }
  });

  test.each(SCENARIOS)(
    '$name: text has the verdict first, then story, findings, table',
    async (its) => {
      const { stdout } = await cli('simulate', its.name);
      const { table, story } = await play(its);
      const lines = stdout.split('\n');
      expect(lines[0]).not.toBe('');
      expect(lines[2]).toContain(its.title);
      for (const { text } of story) expect(stdout).toContain(text);
      const head = lines.findIndex(
        (line) => line.trim().replace(/ {2,}/g, '  ') === table.columns.join('  '),
      );
      expect(head).toBeGreaterThan(story.length);
    },
  );

  test.each(SCENARIOS)('$name: parameters are in its help, with default and range', async (its) => {
    const { stdout, code } = await cli('simulate', its.name, '--help');
    expect(code).toBe(0);
    const help = stdout.replace(/\s+/g, ' ');
    for (const [name, param] of Object.entries(its.params as Params)) {
      expect(help).toContain(`--${optionOf(name)}`);
      expect(help).toContain(`${param.doc}: ${takes(param)} (default: ${param.default})`);
    }
  });

  test.each(SCENARIOS)('$name: what a parameter takes is said once', async (its) => {
    for (const [name, param] of Object.entries(its.params as Params)) {
      const option = `--${optionOf(name)}`;
      const { stderr, code } = await cli('simulate', its.name, option, 'none of these');
      const expected = `expected ${expectedOf(param, 'none of these')}, found "none of these"`;
      expect({ code, stderr }).toEqual({
        code: 2,
        stderr: `masterclock: ${option}: ${expected}\n`,
      });
      const [, values] = /^one of (.*)$/.exec(takes(param)) ?? [];
      const words = values?.split(', ') ?? [];
      expect(new Set(words).size, option).toBe(words.length);
    }
  });

  it('is listed', async () => {
    const { stdout, code } = await cli('simulate', '--list');
    expect(code).toBe(0);
    expect(
      stdout
        .trimEnd()
        .split('\n')
        .map((line) => line.split(' ')[0]),
    ).toEqual(SCENARIOS.map(({ name }) => name));
    expect(json((await cli('simulate', '--list', '--json')).stdout)).toEqual(
      SCENARIOS.map(({ name, title, source }) => ({ name, title, source })),
    );
  });
});

describe('what is none names what is near', () => {
  test.each([
    [['ntp-hotplg'], /^masterclock: scenario: expected ntp-hotplug.*, found "ntp-hotplg"\n$/],
    [['ntp-hotplug', '--uptme', '3d'], /expected --uptime or .*, found --uptme\n$/],
    [['ntp-hotplug', 'more'], /simulate ntp-hotplug: expected .*, found more\n$/],
    [
      ['ntp-hotplug', '--uptime', '3 days'],
      /--uptime: expected a duration .* such as 250ms, 1s to 3650d, found "3 days"\n$/,
    ],
    [
      ['ntp-hotplug', '--ntp-ppm', '100501'],
      /--ntp-ppm: expected parts per million .*, -100500 to 100500, found "100501"\n$/,
    ],
    [['ntp-hotplug', '--tsc-khz', '2.5'], /--tsc-khz: expected kHz .*, found "2.5"\n$/],
    [['ntp-hotplug', '--profile', 'v4.18'], /profile: expected v4.19 or /],
    [['ntp-hotplug', '--set', 'masterBse=raw'], /switch: expected masterBase or /],
    [['ntp-hotplug', '--set', 'masterBase=rw'], /masterBase: expected boottime or raw, found "rw"/],
    [['ntp-hotplug', '--log', 'a.txt'], /expected a name that ends in .jsonl or .mclog\n$/],
    [['xen-timerlt'], /^masterclock: scenario: expected xen-timerlat.*, found "xen-timerlt"\n$/],
    [['xen-timerlat', '--guest-khz', '1'], /expected kHz .*, 0, 1000 to 5000000, found "1"\n$/],
    [['xen-timerlat', '--uptimes', '1d,x'], /expected durations .*, 0 to 3650d, found "1d,x"\n$/],
    [['xen-timer-pairs', '--host-khz', '1,x'], /expected kHz such as 2400000,2500000, .*\n$/],
    [['nested-tsc', '--l2-offset', '1.5'], /expected cycles such as -1000, .*, found "1.5"\n$/],
    [
      ['nested-tsc', '--attempt', 'fail'],
      /expected fails or enters or multiplier-0, found "fail"\n$/,
    ],
    [['migration', '--policy', 'Qemu'], /--policy: expected qemu or all or plain, found "Qemu"\n$/],
    [['migration', '--to', 'v9'], /--to: expected v4.9 or v4.4 or v4.19, found "v9"\n$/],
    [['deadline-restore', '--ag', '1d'], /expected --age or .*, found --ag\n$/],
    [['xen-runstate', '--set', 'xenRunstateClamp=clmp'], /expected none or clamp or skip, .*\n$/],
    [[], /expected a scenario, or --list\n$/],
    [['--list', 'ntp-hotplug'], /expected a scenario or --list, found ntp-hotplug too\n$/],
  ])('%j', async (args, message) => {
    const { code, stdout, stderr } = await cli('simulate', ...args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(message);
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
  });
});

describe('values with units', () => {
  test.each([
    [0n, '0'],
    [1n, '1ns'],
    [-999n, '-999ns'],
    [1_001n, '1.001us'],
    [20_000n, '20us'],
    [1_000_000_000n, '1s'],
    [-60_025_000_000n, '-60.025s'],
    [60_025_000_001n, '60.025000001s'],
    [62_000_000_000n, '62s'],
    [120_000_000_000n, '2min'],
    [-3_600_000_000_000n, '-1h'],
    [86_400_000_000_000n, '1d'],
    [90_000_000_000_001n, '90000.000000001s'],
  ])('%s ns are written %s, which reads as much', (ns, text) => {
    expect(durationText(ns)).toBe(text);
    expect(duration('0', '', { least: '-2d', most: '2d' }).parse(text)).toBe(ns);
  });

  const { uptime, ntpPpm } = SCENARIOS.find(({ name }) => name === 'ntp-hotplug')!.params as Params;

  test.each([
    ['1500ms', 1_500_000_000n],
    ['30d', 2_592_000_000_000_000n],
    ['0.5h', 1_800_000_000_000n],
    ['2min', 120_000_000_000n],
    ['1000000us', 1_000_000_000n],
  ])('%s', (text, ns) => {
    expect(uptime!.parse(text)).toBe(ns);
  });

  test.each(['', 's', '1', '-1s', '1e3s', '0.5ns', '1 s', '99999d', '1.0000000000001s'])(
    'no duration: %j',
    (text) => expect(uptime!.parse(text)).toBeUndefined(),
  );

  test.each([
    ['20', 20_000_000n],
    ['-0.5', -500_000n],
    ['0.000001', 1n],
  ])('%s ppm', (text, ppt) => expect(ntpPpm!.parse(text)).toBe(ppt));
});

test('a log that is there already is not overwritten', async () => {
  const path = join(emptyFolder(), 'a.jsonl');
  expect((await cli('simulate', 'ntp-hotplug', '--log', path)).code).toBe(1);
  const before = readFileSync(path, 'utf8');
  expect(await cli('simulate', 'ntp-hotplug', '--log', path)).toMatchObject({ code: 2 });
  expect(readFileSync(path, 'utf8')).toBe(before);
});

test('a log that can’t be written is no bug: one line, exit 70 as exit-codes.ts says', async () => {
  const path = join(emptyFolder(), 'nowhere', 'a.jsonl');
  const { code, stdout, stderr } = await cli('simulate', 'ntp-hotplug', '--log', path);
  expect({ code, stdout }).toEqual({ code: 70, stdout: '' });
  expect(stderr).toBe(`masterclock: ${path}: expected a file to write to, found no such folder\n`);
});

test('a clock that starts again is told by what the guest counts, not as 584 years', async () => {
  const { stdout } = await cli('simulate', 'counts-from-zero', '--json');
  const told = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { rule?: string; host?: string; delta_ns?: string })
    .filter(({ rule, host }) => host === 'replug' && (rule === 'jump' || rule === 'cross-vcpu'));
  expect(told.map(({ rule, delta_ns }) => [rule, delta_ns])).toEqual([
    ['jump', '-3600000000000'],
    ['cross-vcpu', '-3600000000000'],
    ['jump', '-3600000000000'],
  ]);
});
