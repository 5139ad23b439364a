/** `npm run conformance`: exit codes, both outputs, and one line for whatever can't be read. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { readRecording } from '../../replay/conformance/index.ts';
import { emptyFolder, type Files, FOLDER, filesOf, writeFiles } from './bundled.ts';
import { conformance } from './cli.ts';

const BOOT = join(FOLDER, 'boot-deep-5.10');
const HYPERV = join(FOLDER, 'hyperv-deep-6.12');
const USAGE = /^conformance: [^\n]*usage: npm run conformance -- [^\n]+\n$|\nusage: npm run/;

interface Line {
  readonly type: string;
  readonly judged: number;
  readonly exact: number;
  readonly within_1_ns: number;
  readonly wrong: readonly unknown[] | number;
  readonly adopted: Readonly<Record<string, number>>;
}

const linesOf = (stdout: string): Line[] =>
  stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Line);

test('two recordings, one below the other’s folder: the verdict comes first', () => {
  const { code, stdout, stderr } = conformance(BOOT, HYPERV);
  expect(stderr).toBe('');
  expect(code).toBe(0);
  expect(stdout).toMatch(/^Nothing wrong: \d+ outputs of 2 recordings predicted/);
  expect(stdout).toContain('cpuTscKhz: KVM’s copy of the TSC frequency (until v6.1), once a boot');
});

test('--json: the lines add up to the summary', () => {
  const { code, stdout } = conformance('--json', BOOT, HYPERV);
  const lines = linesOf(stdout);
  const summary = lines.at(-1)!;
  const recordings = lines.slice(0, -1);
  expect(code).toBe(0);
  expect(lines.map(({ type }) => type)).toEqual(['recording', 'recording', 'summary']);
  const sum = (of: (line: Line) => number): number => recordings.reduce((n, its) => n + of(its), 0);
  expect(summary).toMatchObject({
    recordings: 2,
    judged: sum(({ judged }) => judged),
    exact: sum(({ exact }) => exact),
    within_1_ns: sum((its) => its.within_1_ns),
    wrong: 0,
  });
  expect(summary.judged).toBe(summary.exact + summary.within_1_ns);
  expect(summary.adopted['snapshot-tsc']).toBe(sum((its) => its.adopted['snapshot-tsc'] ?? 0));
});

test('another kernel’s profile predicts wrongly: exit 1, and --show says how many are told', () => {
  const { code, stdout, stderr } = conformance('--profile', 'v7.3', '--show', '1', BOOT);
  expect(stderr).toBe('');
  expect(code).toBe(1);
  expect(stdout).toMatch(/^\d+ of \d+ outputs of 1 recordings are wrong/);
  expect(stdout.match(/^ {6}predicted /gm)).toHaveLength(1);
  expect(stdout).toMatch(/^ {4}and \d+ more$/m);
});

test('--set changes one switch of the recording’s own profile', () => {
  const { code, stdout } = conformance('--json', '--set', 'pvTraceVersionParity=even', BOOT);
  const lines = linesOf(stdout);
  expect(code).toBe(1);
  expect(lines[0]).toMatchObject({ overridden: { pvTraceVersionParity: 'even' }, shown: [] });
  expect(lines[0]!.wrong).toHaveLength(Number(lines.at(-1)!.wrong));
});

test.each([[[]], [['--no-such-option', BOOT]], [['--show', 'many', BOOT]]])('usage: %j', (args) => {
  const { code, stdout, stderr } = conformance(...args);
  expect(code).toBe(2);
  expect(stdout).toBe('');
  expect(stderr).toMatch(USAGE);
});

test.each([
  ['--profile', 'v99', BOOT],
  ['--set', 'getClock=never', BOOT],
  ['--set', 'getClock', BOOT],
])('a profile that is none: %s %s', (...args) => {
  const { code, stderr } = conformance(...args);
  expect(code).toBe(2);
  expect(stderr).toMatch(/^conformance: [^\n]+\n$/);
});

describe('what can’t be read is one line', () => {
  const expectUnreadable = (path: string, message: RegExp): void => {
    const { code, stdout, stderr } = conformance(path);
    expect(stderr).toMatch(/^conformance: [^\n]+\n$/);
    expect(stderr).toMatch(message);
    expect(stdout).toBe('');
    expect(code).toBe(3);
  };

  const damaged = (changes: { [K in keyof Files]?: string | undefined }): string => {
    const folder = emptyFolder();
    writeFiles(folder, { ...filesOf('boot-deep-5.10'), ...changes });
    return folder;
  };

  test('no such folder, a folder without recordings', () => {
    const folder = emptyFolder();
    expectUnreadable(join(folder, 'none'), /none: expected a readable folder/);
    expectUnreadable(folder, /expected a recording or a folder above some, found none/);
  });

  test('a damaged log, notes, trace, gzip file', () => {
    const log = damaged({ 'actions.jsonl': '\u009b31m' });
    expectUnreadable(log, /actions\.jsonl:1: expected JSON, found "\\u\{9b\}/);
    expectUnreadable(damaged({ 'meta.json': '{' }), /meta\.json: expected JSON/);
    expectUnreadable(damaged({ 'trace.txt': 'hello\n' }), /trace\.txt: line 1: expected ftrace/);
    const zipped = damaged({ 'trace.txt': undefined });
    const trace = gzipSync(filesOf('boot-deep-5.10')['trace.txt']);
    writeFileSync(join(zipped, 'trace.txt.gz'), trace.subarray(0, 5000));
    expectUnreadable(
      zipped,
      /trace\.txt\.gz: expected gzip data, found data that ends in the midst/,
    );
    writeFileSync(join(zipped, 'trace.txt.gz'), trace.subarray(5000));
    expectUnreadable(zipped, /trace\.txt\.gz: expected gzip data, found damaged data/);
  });

  const [first] = filesOf('boot-deep-5.10')['actions.jsonl'].split('\n');
  const trace = filesOf('boot-deep-5.10')['trace.txt'];

  test.each<[{ [K in keyof Files]?: string | undefined }, RegExp]>([
    [{ 'actions.jsonl': 'null\n' }, /actions\.jsonl:1: expected an object, found null/],
    [{ 'actions.jsonl': `${first}\n{"i":` }, /actions\.jsonl:2: expected JSON, found/],
    [
      { 'actions.jsonl': first!.replace('"tsc":', '"other":') },
      /actions\.jsonl:1: expected tsc as a number, found nothing/,
    ],
    [{ 'meta.json': 'null' }, /meta\.json: expected an object/],
    [{ 'meta.json': '{"kernel":"6.1"}' }, /meta\.json: expected kvm_tsc_khz as a number/],
    [{ 'meta.json': '{"kernel":"6.1","kvm_tsc_khz":0}' }, /expected kvm_tsc_khz of 1 to/],
    [{ 'trace.txt': undefined }, /trace\.txt: expected a readable file/],
    [
      { 'trace.txt': trace.replace('mono_shift=', 'mono_shift=9') },
      /trace\.txt: line \d+: expected a gtod probe with mono_shift up to 32, found 9/,
    ],
    [
      { 'trace.txt': trace.replace('raw_base=', 'base=') },
      /trace\.txt: line \d+: expected a gtod probe with raw_base up to \d+, found none/,
    ],
    [
      { 'trace.txt': trace.replace('mono_mult=', 'mono_mult=x') },
      /trace\.txt: line \d+: expected a gtod probe with name=number/,
    ],
  ])('%#: it says where, and what was expected', async (changes, message) => {
    await expect(readRecording(damaged(changes))).rejects.toThrow(message);
  });
});

test('text of a recording can’t move the terminal’s cursor', () => {
  const hostile = '\u001b[2J\u009b31m\u202e';
  const parent = emptyFolder();
  const folder = join(parent, `name ${hostile}`);
  mkdirSync(folder);
  const files = filesOf('boot-deep-5.10');
  const actions = files['actions.jsonl'].replaceAll(/"op":"(\w+)"/g, (_, op: string) =>
    JSON.stringify({ op: `${op}${hostile}` }).slice(1, -1),
  );
  writeFiles(folder, { ...files, 'actions.jsonl': actions });
  const wrongly = ['--set', 'pvTraceVersionParity=even', '--show', '100000'];
  for (const form of [[], ['--json']]) {
    const { code, stdout, stderr } = conformance(...form, ...wrongly, parent);
    expect(code).toBe(1);
    expect(stdout).toContain(form.length === 0 ? '\\u{9b}31m' : '\\u009b31m');
    expect(`${stdout.replaceAll('\n', '')}${stderr}`).not.toMatch(/[\p{Cc}\p{Cf}]/u);
  }
  const { stderr } = conformance(`--${hostile}`);
  expect(stderr.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}]/u);
});
