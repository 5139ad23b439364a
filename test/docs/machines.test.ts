import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import * as events from '../../events/index.ts';
import * as machines from '../../machines/index.ts';
import { renderParts, renew } from '../../scripts/machines-doc-render.mjs';
import * as check from '../../src/check/index.ts';
import * as engine from '../../src/engine/index.ts';

const page = readFileSync(new URL('../../docs/machines.md', import.meta.url), 'utf8');
const parts = renderParts({ machines, events, engine, check });

test('docs/machines.md is current: node scripts/machines-doc.mjs', () => {
  expect(renew(page, parts)).toBe(page);
});

test('every machine is drawn and every signal told', () => {
  const names = Object.keys(machines).filter((name) => name.endsWith('Machine'));
  expect(names.length).toBeGreaterThan(2);
  for (const name of names) {
    const id = name.slice(0, -'Machine'.length);
    expect(parts.get(`machine ${id}`)).toContain('stateDiagram-v2');
    expect(parts.get(`signals ${id}`)).toContain('| signal | meaning |');
  }
});

test('every condition of a route has a name to print', () => {
  const routes = `${parts.get('routes')}${parts.get('msr routes')}`;
  expect(routes).toMatch(/^if \w/m);
  expect(routes.match(/^ *if (?:when|not)? *$/gm)).toBeNull();
});

test('a page that lacks a part, or has one that nothing makes, is an error', () => {
  expect(() => renew(page.replaceAll('generated: routes', 'generated: roots'), parts)).toThrow(
    'nothing makes "roots"',
  );
  expect(() => renew('', parts)).toThrow('no place for');
});
