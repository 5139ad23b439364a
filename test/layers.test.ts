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
  ['replay', 'src/check'],
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

/** What a text names of its own project: imported, also when it runs, or started as a thread. */
const namedIn = (text: string): string[] =>
  [...text.matchAll(/(?:\b(?:from|import)\s*|\b(?:import|URL)\(\s*)'(\.[^']*)'/g)].map(
    (m) => m[1]!,
  );

const importsOf = (file: string): string[] =>
  namedIn(readFileSync(join(ROOT, file), 'utf8')).map((name) =>
    relative(ROOT, normalize(join(ROOT, dirname(file), name))).replaceAll('\\', '/'),
  );

test('every source file belongs to a layer', () => {
  expect(all.length).toBeGreaterThan(30);
  expect(all.filter((file) => layerOf(file) < 0)).toEqual([]);
});

test('every way to import is seen', () => {
  const text = `
    import { a } from './a.ts';
    export * from '../b.ts';
    import './c.ts';
    const d = await import('./d.ts');
    type E = typeof import(
      './e.ts'
    );
    new Worker(new URL('./f.ts', import.meta.url));
    import { readFileSync } from 'node:fs';`;
  const found = namedIn(text).map((name) => name.replace(/.*(.)\.ts$/, '$1'));
  expect(found).toEqual(['a', 'b', 'c', 'd', 'e', 'f']);
  expect(importsOf('src/cli/replay.ts')).toContain('src/cli/replay-log.ts');
  const folders = LAYERS.flat().filter((path) => !path.endsWith('.ts'));
  for (const folder of folders) expect(sources(folder)).not.toEqual([]);
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

test.each(['./engine', './events', './machines', './num', './profiles'])(
  'masterclock%s is free of Node: an emulator may run anywhere',
  (entry) => {
    const { exports } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
      exports: Record<string, { default: string }>;
    };
    const file = exports[entry]!.default.replace('./dist/', '').replace(/\.js$/, '.ts');
    const loaded = [...loadedWith(file)];
    expect(loaded.length).toBeGreaterThan(5);
    const packages = loaded.filter((name) => !name.endsWith('.ts'));
    expect(packages.filter((name) => !['xstate', 'rxjs'].includes(name))).toEqual([]);
    const texts = loaded
      .filter((name) => name.endsWith('.ts'))
      .map((name) => {
        return [name, readFileSync(join(ROOT, name), 'utf8')] as const;
      });
    const globals = /^[^*/]*\b(?:Buffer\.|process\.|require\(|import\()/m;
    expect(texts.flatMap(([name, text]) => (globals.test(text) ? [name] : []))).toEqual([]);
  },
);

test('a log is replayed without loading XState and RxJS, which takes longer than a small log does', () => {
  const packages = ['xstate', 'rxjs'];
  const all = loadedWith('src/engine/index.ts');
  expect(packages.filter((name) => all.has(name))).toEqual(packages);
  const loaded = loadedWith('src/cli/replay-log.ts');
  expect(loaded).toContain('src/engine/world.ts');
  expect(packages.filter((name) => loaded.has(name))).toEqual([]);
});
