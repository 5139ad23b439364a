// Renews the generated parts of docs/machines.md from what was built: `npm run build` first.
// `--check` changes nothing and fails when the page is not current.
import { readFileSync, writeFileSync } from 'node:fs';
import * as events from '../dist/events/index.js';
import * as machines from '../dist/machines/index.js';
import * as check from '../dist/src/check/index.js';
import * as engine from '../dist/src/engine/index.js';
import { renderParts, renew } from './machines-doc-render.mjs';

const page = new URL('../docs/machines.md', import.meta.url);
const before = readFileSync(page, 'utf8');
const after = renew(before, renderParts({ machines, events, engine, check }));

if (process.argv.includes('--check')) {
  if (before !== after) {
    process.stderr.write('docs/machines.md is not current: node scripts/machines-doc.mjs\n');
    process.exit(1);
  }
} else if (before !== after) {
  writeFileSync(page, after);
}
