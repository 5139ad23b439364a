// Makes a fresh clone ready: installs what the lockfile names and builds, each only when needed.
// Says nothing when there is nothing to do. `--build` always builds.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
process.chdir(root);

const SOURCES = ['events', 'src', 'machines', 'replay', 'tsconfig.json', 'tsconfig.build.json'];
const INSTALL_STAMP = 'node_modules/.masterclock-installed';
const BUILD_STAMP = 'dist/.masterclock-built';

function files(path) {
  const entries = readdirSync(path, { withFileTypes: true });
  return entries.flatMap((e) =>
    e.isDirectory() ? files(`${path}/${e.name}`) : `${path}/${e.name}`,
  );
}

function digest(paths) {
  const hash = createHash('sha256');
  for (const path of paths.flatMap((p) => (p.includes('.') ? p : files(p))).sort()) {
    hash.update(`${path}\0`).update(readFileSync(path));
  }
  return hash.digest('hex');
}

const isCurrent = (stamp, wanted) => existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted;

/** Runs a command; what it printed, and how to fail with it. */
function attempt(what, command, args) {
  process.stderr.write(`masterclock: ${what} …\n`);
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    encoding: 'utf8',
    shell: process.platform === 'win32',
  });
  const fail = () => {
    process.stderr.write(`${stdout ?? ''}${stderr ?? ''}`);
    process.stderr.write(
      `masterclock: ${what} failed: ${error?.message ?? `${command} ended with ${status}`}\n`,
    );
    process.exit(1);
  };
  return { succeeded: status === 0, stdout, fail };
}

/** Runs a command that has to succeed, and returns what it printed. */
function run(what, command, args) {
  const { succeeded, stdout, fail } = attempt(what, command, args);
  return succeeded ? stdout : fail();
}

const locked = digest(['package-lock.json']);
if (!isCurrent(INSTALL_STAMP, locked)) {
  run('installing dependencies', 'npm', ['ci', '--no-audit', '--no-fund']);
  writeFileSync(INSTALL_STAMP, locked);
}

/**
 * Builds. Code that is derived from the machines may be behind them at first, and then does not fit
 * their types: it is derived anew from what was built all the same.
 */
function build() {
  const tsc = ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json'];
  rmSync('dist', { recursive: true, force: true });
  const first = attempt('building', process.execPath, tsc);
  if (!first.succeeded && !existsSync('dist/src/engine/derive/index.js')) first.fail();
  const derived = attempt('deriving tables', process.execPath, ['scripts/derive.mjs']);
  // What the compiler found tells more than what came of it.
  if (!derived.succeeded) (first.succeeded ? derived : first).fail();
  const changed = derived.stdout;
  if (changed === '') {
    if (!first.succeeded) first.fail();
    return;
  }
  process.stderr.write(`masterclock: changed in src/engine/tables: ${changed}`);
  run('building', process.execPath, tsc);
}

if (process.argv.includes('--build') || !isCurrent(BUILD_STAMP, digest(SOURCES))) {
  build();
  mkdirSync('dist', { recursive: true });
  writeFileSync(BUILD_STAMP, digest(SOURCES));
}
