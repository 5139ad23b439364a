/**
 * docs/seeds.md from docs/seeds/*.json: what the source mails ask for, and where it is.
 *
 * @module
 */
import { readdirSync, readFileSync } from 'node:fs';

const FOLDER = new URL('../docs/seeds/', import.meta.url);

/** The source mails, in the order of their files' names. */
export const readSeeds = () =>
  readdirSync(FOLDER)
    .filter((file) => file.endsWith('.json'))
    .sort((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10))
    .map((file) => ({ file, ...JSON.parse(readFileSync(new URL(file, FOLDER), 'utf8')) }));

const cell = (text) => text.replaceAll('|', '\\|');
const code = (text) => `\`${text}\``;

/** `src/x.ts#name` as a link to the file. */
function place(text) {
  const [path, name = path.split('/').pop()] = text.split('#');
  return `[${name}](../${path})`;
}

function row({ what, scenario, switches = [], code: places = [], test }) {
  const shown = [
    what,
    scenario === undefined ? '–' : `[${scenario}](scenarios/${scenario}.md)`,
    switches.length === 0 ? '–' : switches.map(code).join(', '),
    places.length === 0 ? '–' : places.map(place).join(', '),
    place(test),
  ];
  return `| ${shown.map(cell).join(' | ')} |`;
}

/** The page, as Markdown. */
export function seedsPage(seeds) {
  const parts = seeds.flatMap(({ mail, author, date, rows }) => [
    `## ${mail}`,
    '',
    `${author}, ${date}.`,
    '',
    '| what it says | scenario | switch | code | test |',
    '| --- | --- | --- | --- | --- |',
    ...rows.map(row),
    '',
  ]);
  return [
    '# The source mails',
    '',
    'What the mails that this project started from ask for, and where it is here. Made from `docs/seeds/*.json`, a file for',
    'each mail, by `node scripts/scenarios-doc.mjs`; a test checks that every entry exists.',
    '',
    ...parts,
  ]
    .join('\n')
    .replace(/\n+$/, '\n');
}
