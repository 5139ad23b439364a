import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { SCENARIOS } from '../../src/scenarios/all.ts';
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
