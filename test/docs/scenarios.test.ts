import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { readSeeds, seedsPage } from '../../scripts/seeds-doc.mjs';
import { parseSet } from '../../src/profiles/index.ts';
import { SCENARIOS, scenarioOf } from '../../src/scenarios/all.ts';
import { pageOf } from '../../src/scenarios/page.ts';
import { cli } from '../cli/run.ts';

const ROOT = new URL('../../', import.meta.url);
const textOf = (path: string): string => readFileSync(new URL(path, ROOT), 'utf8');

describe('docs/scenarios is current: node scripts/scenarios-doc.mjs', () => {
  test.each(SCENARIOS)('$name', async (scenario) => {
    const page = textOf(`docs/scenarios/${scenario.name}.md`);
    expect(page).toBe(await pageOf(scenario));
    const [, shown] = /```text\n([\s\S]*?)```/.exec(page)!;
    expect(shown).toBe((await cli('simulate', scenario.name)).stdout);
  });

  test('there is a page for each scenario, and no other', () => {
    const pages = readdirSync(new URL('docs/scenarios/', ROOT)).sort();
    expect(pages).toEqual(SCENARIOS.map(({ name }) => `${name}.md`).sort());
  });
});

describe('docs/seeds.md', () => {
  const seeds = readSeeds();
  const rows = seeds.flatMap(({ mail, rows }) => rows.map((row) => ({ mail, ...row })));

  test('is current: node scripts/scenarios-doc.mjs', () => {
    expect(seeds.length).toBeGreaterThan(0);
    expect(textOf('docs/seeds.md')).toBe(seedsPage(seeds));
  });

  test.each(rows)('$what', ({ scenario, switches = [], code = [], test: shown }) => {
    if (scenario !== undefined) scenarioOf(scenario);
    for (const setting of switches) parseSet(setting);
    for (const place of [...code, shown]) {
      const [path = '', ...name] = place.split('#');
      expect(existsSync(new URL(path, ROOT)), path).toBe(true);
      expect(textOf(path)).toContain(name.join('#'));
    }
    expect(shown).toMatch(/^test\/.*\.test\.ts#./);
    expect(code.length).toBeGreaterThan(0);
  });

  test('every scenario is some row’s', () => {
    const named = new Set(rows.map(({ scenario }) => scenario));
    expect(SCENARIOS.filter(({ name }) => !named.has(name))).toEqual([]);
  });
});
