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

/** `ntpPpm` as an option, without dashes. */
const option = (name) => name.replace(/[A-Z]/g, (capital) => `-${capital.toLowerCase()}`);

/** A scenario, and how it is played for the row to show. */
function played(scenario, { profile, params = {} } = {}) {
  const set = Object.entries({ ...(profile === undefined ? {} : { profile }), ...params });
  const options = set.map(([name, value]) => `--${option(name)} ${value}`).join(' ');
  const page = `[${scenario}](scenarios/${scenario}.md)`;
  return options === '' ? page : `${page} ${code(options)}`;
}

function row({ what, scenario, play, switches = [], code: places, test }) {
  const shown = [
    what,
    played(scenario, play),
    switches.length === 0 ? '–' : switches.map(code).join(', '),
    places.map(place).join(', '),
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
    'each mail, by `node scripts/scenarios-doc.mjs`. Tests check that every entry exists, that the named test exercises the',
    'scenario, and that each switch decides something of what `masterclock simulate` shows of it, with the options that are given.',
    '',
    ...parts,
  ]
    .join('\n')
    .replace(/\n+$/, '\n');
}
