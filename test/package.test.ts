import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { fixture } from './replay/fixtures.ts';

/** What users install: the packed tarball, unpacked as a dependency of an empty project. */
const ROOT = fileURLToPath(new URL('..', import.meta.url));
const PACKAGE = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
const TYPES = join(ROOT, 'node_modules/@types');
let project: string;

beforeAll(() => {
  project = mkdtempSync(join(tmpdir(), 'masterclock-package-'));
  const installed = join(project, 'node_modules', 'masterclock');
  mkdirSync(installed, { recursive: true });
  const packed = execFileSync('npm', ['pack', '--silent', '--pack-destination', project], {
    cwd: ROOT,
    encoding: 'utf8',
  });
  execFileSync('tar', ['-xzf', packed.trim(), '-C', installed, '--strip-components=1'], {
    cwd: project,
  });
  for (const name of Object.keys(PACKAGE.dependencies)) {
    symlinkSync(join(ROOT, 'node_modules', name), join(project, 'node_modules', name));
  }
});
afterAll(() => rmSync(project, { recursive: true }));

const run = (args: string[]) =>
  spawnSync(process.execPath, args, { cwd: project, encoding: 'utf8' });

test('every entry point can be imported, and has types', () => {
  const entries = Object.keys(PACKAGE.exports).filter((e) => !e.endsWith('.json'));
  const imports = entries.map((e) => `await import('masterclock${e.slice(1)}');`).join('\n');
  writeFileSync(join(project, 'all.mjs'), imports);
  expect(run(['all.mjs'])).toMatchObject({ status: 0, stderr: '' });
  for (const entry of entries) {
    const types = join(project, 'node_modules/masterclock', PACKAGE.exports[entry].types);
    expect(readFileSync(types, 'utf8')).toContain('export');
  }
});

test('the types of every entry point hold, also for who checks those of libraries', () => {
  const entries = Object.keys(PACKAGE.exports).filter((e) => !e.endsWith('.json'));
  const imports = entries.map((e) => `import 'masterclock${e.slice(1)}';`).join('\n');
  writeFileSync(join(project, 'all.mts'), imports);
  const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
  const options = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2023'];
  const { stdout } = run([tsc, ...options, '--types', 'node', '--typeRoots', TYPES, 'all.mts']);
  // Others' types may be as they like.
  expect(stdout.split('\n').filter((line) => /masterclock\/|^all/.test(line))).toStrictEqual([]);
}, 120_000);

test('the command runs', () => {
  const command = 'node_modules/masterclock/bin/masterclock.js';
  expect(run([command, '--version'])).toMatchObject({ status: 0, stdout: `${PACKAGE.version}\n` });
  expect(run([command, 'replay', fixture('ntp-hotplug')])).toMatchObject({ status: 1, stderr: '' });
});

test('nothing that users don’t need is packed', () => {
  const files = execFileSync('find', ['.', '-type', 'f'], {
    cwd: join(project, 'node_modules/masterclock'),
    encoding: 'utf8',
  });
  for (const file of files.trim().split('\n')) {
    expect(file).toMatch(
      /^\.\/(bin\/masterclock\.js|dist\/(events|machines|src|replay)\/.*\.(js|d\.ts)|package\.json|README\.md|LICENSE|CHANGELOG\.md)$/,
    );
  }
});
