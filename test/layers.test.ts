import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

/**
 * The layers of the house, lowest first: a file imports only from its own layer and those above it
 * in this list. ARCHITECTURE.md draws the same picture.
 */
const LAYERS = [
  ['src/num', 'events'],
  ['src/profiles'],
  ['src/clock'],
  ['machines'],
  ['src/engine'],
  ['replay', 'src/check', 'src/embed'],
  ['src/scenarios'],
  ['src/cli', 'src/index.ts'],
];

const ROOT = fileURLToPath(new URL('..', import.meta.url));

function sources(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => `${folder}/${file.replaceAll('\\', '/')}`);
}

const all = ['events', 'src', 'replay', 'machines'].flatMap((folder) =>
  readdirSync(ROOT).includes(folder) ? sources(folder) : [],
);

const layerOf = (file: string): number =>
  LAYERS.findIndex((folders) => folders.some((f) => file === f || file.startsWith(`${f}/`)));

function importsOf(file: string): string[] {
  const text = readFileSync(join(ROOT, file), 'utf8');
  return [...text.matchAll(/from '(\.[^']*)'/g)].map((m) =>
    relative(ROOT, normalize(join(ROOT, dirname(file), m[1]!))).replaceAll('\\', '/'),
  );
}

test('every source file belongs to a layer', () => {
  expect(all.length).toBeGreaterThan(30);
  expect(all.filter((file) => layerOf(file) < 0)).toEqual([]);
});

test('no file imports from a layer above its own', () => {
  const wrong = all.flatMap((file) =>
    importsOf(file)
      .filter((target) => layerOf(target) > layerOf(file))
      .map((target) => `${file} imports ${target}`),
  );
  expect(wrong).toEqual([]);
});

test('no source file is much longer than 300 lines', () => {
  const long = all
    .filter((file) => !file.startsWith('src/engine/tables/')) // written by scripts/derive.mjs
    .map((file) => ({ file, lines: readFileSync(join(ROOT, file), 'utf8').split('\n').length }))
    .filter(({ lines }) => lines > 330);
  expect(long).toEqual([]);
});

/** All that is loaded with a file: what it imports other than types, and so on; packages by name. */
function loadedWith(file: string, loaded = new Set<string>()): ReadonlySet<string> {
  if (loaded.has(file)) return loaded;
  loaded.add(file);
  const text = readFileSync(join(ROOT, file), 'utf8');
  for (const [, what] of text.matchAll(/^(?:import|export) (?!type )[^;]*? from '([^']+)';/gm)) {
    const isOwn = what!.startsWith('.');
    if (isOwn) loadedWith(relative(ROOT, join(ROOT, dirname(file), what!)), loaded);
    else loaded.add(what!);
  }
  return loaded;
}

test('a log is replayed without loading XState and RxJS, which takes longer than a small log does', () => {
  const packages = ['xstate', 'rxjs'];
  const all = loadedWith('src/engine/index.ts');
  expect(packages.filter((name) => all.has(name))).toEqual(packages);
  const loaded = loadedWith('src/cli/replay-log.ts');
  expect(loaded).toContain('src/engine/world.ts');
  expect(packages.filter((name) => loaded.has(name))).toEqual([]);
});
