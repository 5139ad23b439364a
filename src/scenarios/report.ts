/** What a scenario came to, as text with the verdict first, and as JSON lines. */
import {
  type Finding,
  findingLines,
  findingToJson,
  type MechanismId,
  mechanismLines,
  plain,
  Shown,
  type Style,
} from '../../replay/index.ts';
import { count, decimal } from '../../replay/quantity.ts';
import { foundText, verdictOn } from '../../replay/report/text.ts';
import type { FindingCounts } from '../../replay/settled.ts';
import { optionOf } from './params.ts';
import type { Played, PlayedHost } from './play.ts';
import type { Cell, StoryLine, Table } from './scenario.ts';

/** A scenario's parameters as they would be written: `--uptime 30d --ntp-ppm 20`. */
const paramsText = (params: Readonly<Record<string, string>>): string =>
  Object.entries(params)
    .map(([name, text]) => `--${optionOf(name)} ${text}`)
    .join(' ');

const kernelText = ({ profile }: Played): string =>
  [
    profile.id,
    ...profile.overridden.map((name) => `${name}=${String(profile.switches[name])}`),
  ].join(' with ');

/** The finding that the verdict is about, and on which host. */
function worstOf(hosts: readonly PlayedHost[]): { host: PlayedHost; worst: Finding } | undefined {
  const shown = new Shown();
  for (const { findings } of hosts) for (const finding of findings) shown.add(finding);
  const { worst } = shown;
  const host = hosts.find(({ findings }) => worst !== undefined && findings.includes(worst));
  return host === undefined || worst === undefined ? undefined : { host, worst };
}

/** The verdict in one line. */
export function verdictText({ hosts, table }: Played): string {
  if (table.verdict !== undefined) return table.verdict;
  const found = worstOf(hosts) ?? { host: hosts[0], worst: undefined };
  if (found.host === undefined) return 'nothing happened';
  const on = hosts.length > 1 ? `${found.host.simulation.name}: ` : '';
  return `${on}${verdictOn(found.host.summary.findings, found.worst)}`;
}

function* storyLines(story: readonly StoryLine[], hosts: number): Generator<string> {
  const times = story.map(({ timeNs }) => `${decimal(timeNs, 1e3, 6)} s`);
  const width = Math.max(0, ...times.map((time) => time.length));
  for (const [i, { host, text }] of story.entries()) {
    yield `${times[i]!.padStart(width)}  ${hosts > 1 ? `${host}: ` : ''}${text}`;
  }
}

const isNumber = (cell: Cell): boolean => typeof cell === 'bigint' || typeof cell === 'number';

/** A table as aligned lines; numbers are aligned to the right. */
function* tableLines({ columns, rows }: Table): Generator<string> {
  const right = columns.map((_, i) => rows.some((row) => isNumber(row[i]!)));
  const texts = [columns, ...rows].map((row) => row.map(String));
  const widths = columns.map((_, i) => Math.max(...texts.map((row) => row[i]!.length)));
  for (const row of texts) {
    const cells = row.map((cell, i) => cell[right[i] ? 'padStart' : 'padEnd'](widths[i]!));
    yield cells.join('  ').trimEnd();
  }
}

/** How many findings of all hosts each mechanism explains. */
function mechanismsOf(hosts: readonly PlayedHost[]): Pick<FindingCounts, 'byMechanism'> {
  const byMechanism: Partial<Record<MechanismId, number>> = {};
  for (const { mechanism } of hosts.flatMap(({ findings }) => findings)) {
    if (mechanism !== undefined) byMechanism[mechanism] = (byMechanism[mechanism] ?? 0) + 1;
  }
  return { byMechanism };
}

function* hostLines(played: PlayedHost, named: boolean, style: Style): Generator<string> {
  const { findings, summary, simulation } = played;
  if (named) yield style('strong', `${simulation.name}: ${foundText(summary.findings)}`);
  yield* findingLines(findings, summary.findings, style);
  if (findings.length > 0 || named) yield '';
}

/** Everything, in lines. */
export function* playedLines(played: Played, style: Style = plain): Generator<string> {
  const { scenario, params, story, hosts, table } = played;
  yield style('strong', verdictText(played));
  yield '';
  yield `${scenario.name} under ${kernelText(played)}: ${scenario.title}`;
  yield paramsText(params);
  yield '';
  yield* storyLines(story, hosts.length);
  yield '';
  for (const host of hosts) yield* hostLines(host, hosts.length > 1, style);
  const mechanisms = [...mechanismLines(mechanismsOf(hosts))];
  yield* mechanisms;
  if (mechanisms.length > 0) yield '';
  yield* tableLines(table);
  yield '';
  for (const { simulation, summary } of hosts) {
    const name = hosts.length > 1 ? `${simulation.name} ` : '';
    yield `${name}log ${count(summary.inputs, 'input')}, ${summary.digests.all}`;
  }
}

const cellToJson = (cell: Cell): unknown => (typeof cell === 'bigint' ? String(cell) : cell);

/** Everything, as JSON: a finding a line, then a summary with the story and the table. */
export function* playedToJson(played: Played): Generator<string> {
  const { scenario, profile, params, story, hosts, table } = played;
  for (const { simulation, findings } of hosts) {
    const host = `"host":${JSON.stringify(simulation.name)},`;
    for (const finding of findings) {
      const json = findingToJson(finding);
      yield hosts.length > 1 ? `{${host}${json.slice(1)}` : json;
    }
  }
  yield JSON.stringify({
    kind: 'summary',
    scenario: scenario.name,
    profile: profile.id,
    set: Object.fromEntries(profile.overridden.map((name) => [name, profile.switches[name]])),
    params,
    story: story.map(({ host, timeNs, text }) => ({ host, time_ns: String(timeNs), text })),
    table: { columns: table.columns, rows: table.rows.map((row) => row.map(cellToJson)) },
    hosts: hosts.map(({ simulation, summary }) => ({
      name: simulation.name,
      inputs: summary.inputs,
      findings: {
        by_rule: summary.findings.byRule,
        by_severity: summary.findings.bySeverity,
      },
      digest: summary.digests.all,
    })),
  });
}
