import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { main } from '../../src/cli/main.ts';
import { fixture, unzipped } from '../replay/fixtures.ts';
import { TraceText } from '../replay/trace-text.ts';
import { cli, json } from './run.ts';

const NTP = fixture('ntp-hotplug');
let folder: string;
const file = (name: string, content: string | Uint8Array): string => {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
};

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'masterclock-test-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('text output', () => {
  test('the verdict is the first line', async () => {
    const { code, stdout, stderr } = await cli('replay', NTP);
    expect(code).toBe(1);
    expect(stderr).toBe('');
    expect(stdout.split('\n')[0]).toBe(
      "the guest's clock jumped −1.106 s on vCPU 0 of VM 53-6 (driver), 42.293076 s into the recording, after vCPU 3 was created; 9 more findings",
    );
    for (const step of ['+10.018 ms', '+1.006 s', '−1.106 s']) expect(stdout).toContain(step);
    expect(stdout).toMatch(/^VMs {8}53-6 {2}driver, pid 53, vCPU 0-3 \(told by ioctls\)$/m);
    expect(stdout).toMatch(/^digest {5}sha256:[0-9a-f]{64}$/m);
  });

  test('columns are aligned and reasons indented', async () => {
    const { stdout } = await cli('replay', NTP);
    const lines = stdout.split('\n\n')[1]!.split('\n');
    const heads = lines.filter((_, i) => i % 2 === 0);
    expect(new Set(heads.map((l) => l.indexOf(' jump '))).size).toBe(1);
    expect(new Set(heads.map((l) => l.indexOf(' after '))).size).toBe(1);
    expect(lines.filter((_, i) => i % 2 === 1).every((l) => l.startsWith('   '))).toBe(true);
  });

  test('a quiet recording says so', async () => {
    const quiet = file('quiet.txt', unzipped('hotplug-record-6.1', 'trace.txt'));
    const { code, stdout } = await cli('replay', quiet);
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /^no jump of 1 µs or more on 4 vCPUs of 1 VM \(largest step −47\d ns\)\n/,
    );
  });

  test('colours only on a terminal, and not with NO_COLOR', async () => {
    const run = async (isTTY: boolean, noColor: boolean) => {
      let out = '';
      const stdout = { isTTY, write: (text: string) => (out += text) };
      await main(['replay', NTP], '', { stdout, stderr: { write: () => {} }, noColor });
      return out;
    };
    expect(await run(true, false)).toContain('\u001b[1;31merror');
    expect(await run(true, true)).not.toContain('\u001b');
    expect(await run(false, false)).not.toContain('\u001b');
  });

  test('several recordings are reported one after the other', async () => {
    const { code, stdout } = await cli('replay', NTP, fixture('set-clock-7.3'));
    expect(code).toBe(1);
    expect(stdout.match(/^digest/gm)).toHaveLength(2);
  });
});

describe('--json', () => {
  test('findings, then one summary; 64-bit values are strings', async () => {
    const { stdout } = await cli('replay', '--json', NTP);
    const objects = json(stdout);
    const summary = objects.pop()!;
    expect(objects.every((o) => o['kind'] === 'finding')).toBe(true);
    expect(objects[0]).toMatchObject({
      rule: 'jump',
      severity: 'warning',
      vm: '53-6',
      vcpu: 0,
      delta_ns: '10018073',
      visibility: 'entry',
    });
    expect(objects[0]!['tsc']).toMatch(/^\d+$/);
    expect(objects[0]!['time_ns']).toMatch(/^\d+$/);
    expect(summary).toMatchObject({
      kind: 'summary',
      format: 'trace.dat v7',
      kernel: '6.1.192-monobase',
      events: 1163,
      lost_events: '0',
      vms: [{ id: '53-6', pid: 53, process: 'driver', vcpus: [0, 1, 2, 3] }],
    });
    expect(summary['digest']).toMatch(/^sha256:[0-9a-f]{64}$/);
  });

  test('the same input gives the same bytes', async () => {
    const once = await cli('replay', '--json', NTP);
    expect((await cli('replay', '--json', NTP)).stdout).toBe(once.stdout);
  });
});

describe('options', () => {
  test('--fail-on sets what makes the exit code 1', async () => {
    expect((await cli('replay', '--fail-on', 'error', NTP)).code).toBe(1);
    expect((await cli('replay', '--fail-on', 'never', NTP)).code).toBe(0);
    const quiet = fixture('hotplug-record-6.1');
    expect((await cli('replay', quiet)).code).toBe(0);
    expect((await cli('replay', '--fail-on', 'info', quiet)).code).toBe(1);
  });

  test('--min-ns hides smaller steps, --vm other VMs', async () => {
    const least = await cli('replay', '--json', '--min-ns', '1000000000', NTP);
    expect(json(least.stdout).filter((o) => o['rule'] === 'jump')).toHaveLength(5);
    const several = fixture('several-vms-6.1');
    const all = json((await cli('replay', '--json', several)).stdout);
    const ids = (all.at(-1)!['vms'] as { id: string }[]).map((vm) => vm.id);
    const one = json((await cli('replay', '--json', '--vm', ids[2]!, several)).stdout);
    const vms = new Set(one.slice(0, -1).map((o) => o['vm']));
    expect([...vms]).toEqual([ids[2]]);
  });

  test.each([
    [['--fail-on', 'bad'], /Allowed choices are info, notice, warning, error, never/],
    [['--min-ns', '1.5'], /whole number of nanoseconds/],
    [['--min-ns', '-1'], /whole number of nanoseconds/],
    [['--jsn'], /Did you mean --json\?/],
    [['--vm', '9-9'], /has no VM 9-9: it has 53-6/],
  ])('%j is wrong usage', async (args, message) => {
    const { code, stderr } = await cli('replay', ...args, NTP);
    expect(code).toBe(2);
    expect(stderr).toMatch(message);
    expect(stderr).toMatch(/^masterclock: /);
  });

  test('no recording, no command, an unknown command', async () => {
    expect(await cli('replay')).toMatchObject({ code: 2 });
    expect(await cli()).toMatchObject({ code: 2 });
    expect(await cli('relay', NTP)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('Did you mean replay?'),
    });
  });

  test('help of any command and scenario, or what is known', async () => {
    for (const names of [[], ['replay'], ['convert'], ['simulate'], ['simulate', 'ntp-hotplug']]) {
      const help = await cli('help', ...names);
      expect(help).toEqual(await cli(...names, '--help'));
      expect(help).toMatchObject({ code: 0, stderr: '' });
      expect(help.stdout).not.toContain('Usage: masterclock simulate [args...]');
    }
    expect(await cli('help', 'nope')).toEqual({
      code: 2,
      stdout: '',
      stderr: 'masterclock: help: expected one of replay, convert, simulate, help, found nope\n',
    });
    const unknown = await cli('help', 'simulate', 'ntp-hotplog');
    expect(unknown).toMatchObject({ code: 2, stdout: '' });
    expect(unknown.stderr).toContain('ntp-hotplug');
    expect((await cli('help', 'replay', 'x')).stderr).toBe(
      'masterclock: help: expected one command, found x too\n',
    );
  });

  test('help has examples, version is the package’s', async () => {
    const help = await cli('replay', '--help');
    expect(help).toMatchObject({ code: 0, stderr: '' });
    expect(help.stdout).toContain('Examples:');
    expect((await cli('--help')).stdout).toContain('Example:');
    expect(await cli('--version')).toMatchObject({ code: 0, stdout: '1.2.3\n' });
  });
});

describe('recordings that can’t be read or judged', () => {
  const page = { tsc: 1000n, ns: 1000n };

  test.each([
    ['a missing file', () => join(folder, 'nowhere.dat'), /nowhere\.dat: .*no such file/],
    ['a directory', () => folder, /: .*a directory/],
    ['an empty file', () => file('empty', ''), /empty: .*an empty file/],
    [
      'text that is no trace',
      () => file('prose.txt', 'once upon\na time\n'),
      /prose\.txt.*once upon/,
    ],
    ['gzipped text', () => file('t.gz', gzipSync('x')), /gzip data \(pipe it: zcat FILE/],
    ['random bytes', () => file('random', Buffer.from('0badc0de00ff1122', 'hex')), /random/],
  ])('%s: one line, exit code 3', async (_, path, message) => {
    const { code, stdout, stderr } = await cli('replay', path());
    expect(code).toBe(3);
    expect(stdout).toBe('');
    expect(stderr).toMatch(message);
    expect(stderr).toMatch(/^masterclock: [^\n]*\n$/);
  });

  test('an unreadable recording does not keep others from being replayed', async () => {
    const { code, stdout } = await cli('replay', join(folder, 'nowhere.dat'), NTP);
    expect(code).toBe(3);
    expect(stdout).toContain('−1.106 s');
  });

  test('a recording without KVM events can’t be judged: exit code 4', async () => {
    const other = new TraceText().event(5n, 'sched_waking: comm=x pid=1');
    const { code, stdout } = await cli('replay', file('sched.txt', String(other)));
    expect(code).toBe(4);
    expect(stdout).toMatch(/^cannot tell: no KVM event in this recording \(record with -e kvm\)\n/);
  });

  test('too much lost to judge: exit code 4', async () => {
    const lost = new TraceText()
      .entry(1n)
      .line('CPU:0 [LOST 9999 EVENTS]')
      .page(5n, page)
      .entry(6n);
    const { code, stdout } = await cli('replay', file('lost.txt', String(lost)));
    expect(code).toBe(4);
    expect(stdout).toMatch(/^cannot tell: events were lost before every page update/);
  });

  test('names from a recording can’t write to the terminal', async () => {
    const thread = { comm: 'a\u001b[31mb', tgid: 7 };
    const trace = new TraceText().entry(1n, 0, thread).page(5n, page, thread).entry(6n, 0, thread);
    const { stdout } = await cli('replay', file('escape.txt', String(trace)));
    expect(stdout).toContain('a\\u{1b}[31mb');
    expect(stdout).not.toContain('\u001b');
  });
});
