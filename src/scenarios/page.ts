/** The page of a scenario in docs/scenarios: all of it from the scenario, and from playing it. */
import { SWITCHES } from '../profiles/index.ts';
import { optionOf, type Params } from './params.ts';
import { play } from './play.ts';
import { playedLines, verdictText } from './report.ts';
import type { Scenario } from './scenario.ts';

/** A cell of a Markdown table. */
const cell = (text: string): string => text.replaceAll('|', '\\|');

const row = (...cells: readonly string[]): string => `| ${cells.map(cell).join(' | ')} |`;

function paramRows(params: Params): string[] {
  return Object.entries(params).map(([name, { doc, unit, range = '–', default: preset }]) =>
    row(`\`--${optionOf(name)}\``, doc, unit, range, preset),
  );
}

async function kernelRows(scenario: Scenario): Promise<string[]> {
  const rows: string[] = [];
  for (const profile of scenario.compare) {
    rows.push(row(`\`${profile}\``, verdictText(await play(scenario, { profile }))));
  }
  return rows;
}

const switchLines = (switches: Scenario['switches']): readonly string[] =>
  switches.length === 0
    ? ['None: every kernel does the same.']
    : switches.map(
        (it) => `- \`--set ${it}=${SWITCHES[it].values.join('|')}\`: ${SWITCHES[it].doc}`,
      );

/** The page, as Markdown. */
export async function pageOf(scenario: Scenario): Promise<string> {
  const { name, title, source, about, params, switches } = scenario;
  const printed = [...playedLines(await play(scenario))];
  const lines = [
    `# ${name}`,
    '',
    `${title[0]!.toUpperCase()}${title.slice(1)}. From ${source}.`,
    '',
    ...about.flatMap((paragraph) => [paragraph, '']),
    '```sh',
    `masterclock simulate ${name}`,
    '```',
    '',
    '```text',
    ...printed,
    '```',
    '',
    '## Other kernels',
    '',
    row('`--profile`', 'verdict'),
    row('---', '---'),
    ...(await kernelRows(scenario)),
    '',
    '## Parameters',
    '',
    row('option', 'what it is', 'written as', 'range', 'default'),
    row('---', '---', '---', '---', '---'),
    ...paramRows(params),
    '',
    '## Switches that decide',
    '',
    ...switchLines(switches),
  ];
  return `${lines.join('\n')}\n`;
}
