// Writes docs/scenarios/*.md and docs/seeds.md from what was built: `npm run build` first.
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { SCENARIOS } from '../dist/src/scenarios/all.js';
import { pageOf } from '../dist/src/scenarios/page.js';
import { readSeeds, seedsPage } from './seeds-doc.mjs';

const folder = new URL('../docs/scenarios/', import.meta.url);
mkdirSync(folder, { recursive: true });
const names = new Set(SCENARIOS.map(({ name }) => `${name}.md`));
for (const file of readdirSync(folder)) if (!names.has(file)) rmSync(new URL(file, folder));
for (const scenario of SCENARIOS) {
  writeFileSync(new URL(`${scenario.name}.md`, folder), await pageOf(scenario));
}
writeFileSync(new URL('../docs/seeds.md', import.meta.url), seedsPage(readSeeds()));
