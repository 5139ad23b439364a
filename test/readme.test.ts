import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EVENTS } from '../events/index.ts';
import { RULES } from '../replay/index.ts';
import { fixture, unzipped } from './replay/fixtures.ts';

/** Every command and every claim of the README that can be run is run here. */
const ROOT = fileURLToPath(new URL('..', import.meta.url));
const README = readFileSync(join(ROOT, 'README.md'), 'utf8');

const blocks = (language: string): string[] =>
  [...README.matchAll(new RegExp(`\`\`\`${language}\n([^]*?)\`\`\``, 'g'))].map((m) => m[1]!);

const shell = (command: string, env: Record<string, string> = {}) =>
  spawnSync('sh', ['-c', command], {
    cwd: ROOT,
    encoding: 'utf8',
    env: { ...process.env, NO_COLOR: '1', ...env },
  });

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'masterclock-readme-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('commands', () => {
  test('the README opens with npm start and npm test, and both exist', () => {
    expect(README.indexOf('npm start')).toBeLessThan(README.indexOf('npm test'));
    const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
    expect(scripts).toMatchObject({ start: expect.any(String), test: expect.any(String) });
  });

  test('npm start prints what the README shows', () => {
    const { status, stdout } = shell('npm --silent start');
    expect(status).toBe(0);
    const shown = blocks('text')[0]!.trimEnd().split('\n');
    const printed = stdout.split('\n');
    expect(shown[0]).toBe(printed[0]);
    let at = -1;
    for (const line of shown.filter((l) => l.trim() !== '…')) {
      at = printed.indexOf(line, at + 1);
      expect(at, line).toBeGreaterThanOrEqual(0);
    }
  });

  test('npm run build, then a recording from a path, a pipe and the help', () => {
    expect(README).toContain('npm run build');
    expect(existsSync(join(ROOT, 'dist/src/cli/main.js'))).toBe(true);
    expect(README).toContain('bin/masterclock.js replay path/to/trace.dat');
    const replayed = shell(`bin/masterclock.js replay ${fixture('ntp-hotplug')}`);
    expect(replayed).toMatchObject({ status: 1, stderr: '' });
    expect(README).toContain('cat trace.txt | bin/masterclock.js replay -');
    const text = join(folder, 'trace.txt');
    writeFileSync(text, unzipped('ntp-hotplug', 'trace.txt'));
    const piped = shell(`cat ${text} | bin/masterclock.js replay -`);
    expect(piped.stdout.split('\n')[0]).toBe(replayed.stdout.split('\n')[0]);
    const pipedDat = shell(`cat ${fixture('ntp-hotplug')} | bin/masterclock.js replay -`);
    expect(pipedDat.stdout.split('\n')[0]).toBe(replayed.stdout.split('\n')[0]);
    const help = shell('bin/masterclock.js replay --help');
    expect(help.status).toBe(0);
    for (const option of ['--json', '--min-ns', '--vm', '--fail-on']) {
      expect(help.stdout).toContain(option);
      expect(README).toContain(option);
    }
  });

  test('scenarios play', () => {
    const lines = [...README.matchAll(/^bin\/masterclock\.js simulate.*$/gm)].map((m) => m[0]);
    expect(lines.length).toBeGreaterThan(3);
    for (const line of lines) {
      const { status, stdout, stderr } = shell(
        line.replace(/--log \S+/, `--log ${folder}/s.mclog`),
      );
      expect({ stderr, isRun: status === 0 || status === 1 }).toEqual({ stderr: '', isRun: true });
      expect(stdout).not.toBe('');
    }
    expect(shell(lines[1]!).stdout).toMatch(/jumped \+51\.840 s/);
  });

  test('a closed pipe ends quietly', () => {
    const { stderr } = shell(
      `bin/masterclock.js replay --json ${fixture('loadburst-7.3')} | head -n 1`,
    );
    expect(stderr).toBe('');
  });

  test('the recording line asks for events that are known', () => {
    const line = README.match(/^trace-cmd record .*$/m)![0];
    const systems = new Set<string>(Object.values(EVENTS).map((e) => e.system));
    const asked = [...line.matchAll(/-e (\S+)/g)].map((m) => m[1]!.split(':'));
    expect(asked.length).toBeGreaterThan(2);
    for (const [system, event] of asked) {
      expect(systems).toContain(system);
      if (event !== undefined) expect(Object.keys(EVENTS)).toContain(event);
    }
    expect(line).toContain('-C x86-tsc');
  });
});

describe('library', () => {
  /** Runs the README's example that imports from an entry point. */
  const runExample = (entry: string) => {
    const block = blocks('js').find((text) => text.includes(`from '${entry}'`))!;
    const script = join(ROOT, 'dist', 'readme-example.mjs');
    writeFileSync(script, block.replace("'trace.dat'", JSON.stringify(fixture('ntp-hotplug'))));
    const { status, stdout, stderr } = spawnSync(process.execPath, [script], { encoding: 'utf8' });
    rmSync(script);
    expect(stderr).toBe('');
    expect(status).toBe(0);
    return stdout.split('\n');
  };

  test('findings of a recording', () => {
    const [first] = runExample('masterclock/replay');
    expect(first).toMatch(/^jump 53-6 0 10018073n New reference after/);
  });

  test('a live clock', () => {
    const lines = runExample('masterclock');
    expect(lines).toContain('kvm_write_tsc_offset');
    expect(lines.join(' ')).toMatch(/decision: 'requested', +by: 'mclkRequestOnTrack/);
  });
});

test('every rule is in the README', () => {
  for (const rule of Object.keys(RULES)) {
    expect(README).toMatch(new RegExp(`\`(${rule}|-${rule.split('-').pop()})\``));
  }
});

test('links lead to files', () => {
  for (const [, target] of README.matchAll(/\]\(([^)]+)\)/g)) {
    expect(existsSync(join(ROOT, target!)), target).toBe(true);
  }
});
