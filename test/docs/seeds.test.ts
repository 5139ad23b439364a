/** docs/seeds.md: every scenario, switch, piece of code and test that it names is there, and is meant. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { readSeeds, type SeedRow, seedsPage } from '../../scripts/seeds-doc.mjs';
import { parseSet, SWITCHES, type Switches, type SwitchName } from '../../src/profiles/index.ts';
import { SCENARIOS, scenarioOf } from '../../src/scenarios/all.ts';
import { play } from '../../src/scenarios/play.ts';
import { declaresName, reachOf, testsCalled } from './syntax.ts';

const ROOT = new URL('../../', import.meta.url);
const textOf = (path: string): string => readFileSync(new URL(path, ROOT), 'utf8');

const seeds = readSeeds();
const rows: readonly SeedRow[] = seeds.flatMap((its) => its.rows);

/** A path, and a name in it. */
function placeOf(place: string): readonly [path: string, name: string] {
  const at = place.indexOf('#');
  return at < 0 ? [place, ''] : [place.slice(0, at), place.slice(at + 1)];
}

/** Where each scenario is written. */
const FILES: ReadonlyMap<string, string> = new Map(
  readdirSync(new URL('src/scenarios/', ROOT), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => `src/scenarios/${file.replaceAll('\\', '/')}`)
    .flatMap((file) =>
      [...textOf(file).matchAll(/^ {2}name: '([^']+)',$/gm)].map(([, name]) => [name!, file]),
    ),
);

/** Whether a test plays a scenario, or is made of what the scenario is made of. */
function exercises(place: string, scenario: string): boolean {
  const { strings, files } = reachOf(...placeOf(place));
  const folder = FILES.get(scenario)!.replace(/[^/]*$/, '');
  return strings.has(scenario) || [...files].some((file) => file.startsWith(folder));
}

/** All that is seen of a scenario: what happens, what is found, what it comes to. */
async function seenOf(
  { scenario, play: how = {} }: SeedRow,
  set: Partial<Switches>,
): Promise<string> {
  const { story, table, hosts } = await play(scenarioOf(scenario), { ...how, set });
  const found = hosts.map(({ findings }) =>
    findings.map(({ rule, vcpu, deltaNs, cause }) => [rule, vcpu, deltaNs, cause]),
  );
  return JSON.stringify([story, table, found], (_, value: unknown) =>
    typeof value === 'bigint' ? `${value}` : value,
  );
}

/** Every other value that a setting's switch can have. */
function others(setting: string): readonly Partial<Switches>[] {
  const [[name, value]] = Object.entries(parseSet(setting)) as [[SwitchName, unknown]];
  const values: readonly unknown[] = SWITCHES[name].values;
  return values.filter((other) => other !== value).map((other) => ({ [name]: other }));
}

test('docs/seeds.md is current: node scripts/scenarios-doc.mjs', () => {
  expect(seeds.length).toBeGreaterThan(0);
  expect(textOf('docs/seeds.md')).toBe(seedsPage(seeds));
});

test('every scenario is some row’s', () => {
  const named = new Set(rows.map(({ scenario }) => scenario));
  expect(SCENARIOS.filter(({ name }) => !named.has(name))).toEqual([]);
  expect([...FILES.keys()].sort()).toEqual(SCENARIOS.map(({ name }) => name).sort());
});

describe('a row’s', () => {
  test.each(rows)('code is declared where it says: $what', ({ code }) => {
    expect(code.length).toBeGreaterThan(0);
    for (const place of code) {
      const [path, name] = placeOf(place);
      expect(existsSync(new URL(path, ROOT)), path).toBe(true);
      expect(name === '' || declaresName(path, name), place).toBe(true);
    }
  });

  test.each(rows)('test has that title, and exercises its scenario: $what', (row) => {
    const [path, title] = placeOf(row.test);
    expect(path).toMatch(/^test\/.*\.test\.ts$/);
    expect(testsCalled(path, title), row.test).toBe(1);
    expect(exercises(row.test, row.scenario), `${row.test} by ${row.scenario}`).toBe(true);
  });

  test.each(rows)('switches decide in its scenario: $what', async (row) => {
    await seenOf(row, {});
    for (const setting of row.switches ?? []) {
      const seen = await seenOf(row, parseSet(setting));
      let decides = false;
      for (const set of others(setting)) decides ||= (await seenOf(row, set)) !== seen;
      expect(decides, setting).toBe(true);
    }
  });
});

test('names that are not there are noticed', () => {
  expect(declaresName('src/clock/clock-guest.ts', 'setClockByGuest')).toBe(true);
  expect(declaresName('src/clock/clock-guest.ts', 'clock')).toBe(true);
  expect(declaresName('src/clock/clock-guest.ts', 'pvclockRead')).toBe(false);
  const [{ test: place }] = rows as [SeedRow];
  const [path, title] = placeOf(place);
  expect(testsCalled(path, title)).toBe(1);
  expect(testsCalled(path, title.slice(1))).toBe(0);
  expect(exercises(place, 'ntp-hotplug')).toBe(true);
  expect(exercises(place, 'xen-timerlat')).toBe(false);
});
