/** docs/fidelity.md tells what the code does: all that may be adopted, and all that nothing shows. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { ADOPTIONS } from '../../replay/conformance/index.ts';
import { BUNDLED } from './bundled.ts';
import { SILENT } from './silent.ts';

const page = readFileSync(new URL('../../docs/fidelity.md', import.meta.url), 'utf8');

const sectionOf = (title: string): string =>
  page.split(/^## /m).find((section) => section.startsWith(`${title}\n`)) ?? '';

test('every kind of adopted value is told in its own words, and no other', () => {
  const rows = sectionOf('What is taken from the recording').matchAll(
    /^\| `(\S+)` +\| ([^|]+) \|/gm,
  );
  const told = Object.fromEntries([...rows].map(([, kind, what]) => [kind, what!.trim()]));
  expect(told).toEqual(ADOPTIONS);
});

test('the switches on which no recording says anything are named', () => {
  const [, silent = ''] = sectionOf('Results').split('**What they don’t show.**'.replace('’', "'"));
  const named = [...silent.matchAll(/`(\w+)`/g)].map(([, name]) => name);
  expect(named).toEqual(SILENT);
});

test('recordings named as evidence are bundled', () => {
  const section = sectionOf('What the recordings taught about the kernel');
  const named = [...section.matchAll(/`([a-z][a-z-]*-\d+\.\d+|ntp-hotplug)`/g)].map(([, n]) => n!);
  expect(named.length).toBeGreaterThan(8);
  expect(named.filter((name) => !BUNDLED.includes(name))).toEqual([]);
});

test('the results add up', () => {
  const results = sectionOf('Results');
  const number = (text: string): number => Number(text.replaceAll(',', ''));
  const rows = [...results.matchAll(/^\|[^|]+\|((?: +[\d,]+ +\|){6})$/gm)].map(([, cells]) =>
    cells!.split('|').slice(0, -1).map(number),
  );
  const sums = [0, 2, 3, 4, 5].map((column) => rows.reduce((sum, row) => sum + row[column]!, 0));
  const [, ...told] =
    /^([\d,]+) recordings, ([\d,]+) outputs: ([\d,]+) exactly, ([\d,]+) within 1 ns, none wrong\.$/m.exec(
      results,
    )!;
  expect(sums).toEqual([...told.map(number), 0]);
  expect(rows.every(([, , outputs, exact, within]) => outputs === exact! + within!)).toBe(true);
});
