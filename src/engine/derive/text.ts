/** A table as the module that is committed: one entry for what a state does at a signal. */
import type { Decision, MachineTable, Outcome, RegionTable, Row } from '../table.ts';

const quoted = (text: string): string => `'${text}'`;

const keyOf = (name: string): string => (/^[A-Za-z_]\w*$/.test(name) ? name : quoted(name));

function outcomeText({ run, to }: Outcome): string {
  const after = to === undefined ? '' : `, to: ${quoted(to)}`;
  return `{ run: [${run.map(quoted).join(', ')}]${after} }`;
}

function decisionText(decision: Decision, indent: string): string {
  if ('run' in decision) return outcomeText(decision);
  const inner = `${indent}  `;
  return [
    '{',
    `${inner}ask: ${quoted(decision.ask)},`,
    `${inner}yes: ${decisionText(decision.yes, inner)},`,
    `${inner}no: ${decisionText(decision.no, inner)},`,
    `${indent}}`,
  ].join('\n');
}

/** The cells of a row, each on lines of its own. */
const cellLines = (row: Row, indent: string): string[] =>
  Object.entries(row).map(
    ([signal, decision]) => `${indent}${keyOf(signal)}: ${decisionText(decision, indent)},`,
  );

/** The cells that the rows of all states have alike, those that react to nothing left out. */
function commonCells(states: RegionTable): Row {
  const [first = {}, ...others] = Object.values(states).filter(
    (row) => Object.keys(row).length > 0,
  );
  if (others.length === 0) return {};
  const isCommon = ([signal, decision]: [string, Decision]): boolean =>
    others.every(({ [signal]: its }) => its !== undefined && sameDecision(its, decision));
  return Object.fromEntries(Object.entries(first).filter(isCommon));
}

const sameDecision = (a: Decision, b: Decision): boolean =>
  decisionText(a, '') === decisionText(b, '');

/** What a state does beside what all of its region do. */
function rowLines(leaf: string, row: Row, common: Row, name: string): string[] {
  if (Object.keys(row).length === 0) return [`      ${keyOf(leaf)}: {},`];
  const own = Object.entries(row).filter(([signal]) => common[signal] === undefined);
  const spread = Object.keys(common).length === 0 ? [] : [`        ...${name},`];
  return [
    `      ${keyOf(leaf)}: {`,
    ...spread,
    ...cellLines(Object.fromEntries(own), '        '),
    '      },',
  ];
}

/** The file name of a machine's table in `src/engine/tables/`. */
export const tableFile = (table: MachineTable): string => `${table.machine}.ts`;

/** The text of that file. What all states of a region do alike stands there once. */
export function tableText({ machine, regions }: MachineTable): string {
  const shared: string[] = [];
  const lines: string[] = [];
  for (const [region, states] of Object.entries(regions)) {
    const common = commonCells(states);
    const name = `ALL_OF_${region.replace(/[A-Z]/g, '_$&').toUpperCase()}`;
    if (Object.keys(common).length > 0) {
      shared.push(`const ${name}: Row = {`, ...cellLines(common, '  '), '};', '');
    }
    lines.push(`    ${keyOf(region)}: {`);
    for (const [leaf, row] of Object.entries(states))
      lines.push(...rowLines(leaf, row, common, name));
    lines.push('    },');
  }
  const types = shared.length > 0 ? 'MachineTable, Row' : 'MachineTable';
  return [
    `/** What the machine ${machine} decides. Derived from it by XState: \`npm run build\`. */`,
    `import type { ${types} } from '../table.ts';`,
    '',
    ...shared,
    `export const ${machine.toUpperCase()}_TABLE: MachineTable = {`,
    `  machine: ${quoted(machine)},`,
    '  regions: {',
    ...lines,
    '  },',
    '};',
    '',
  ].join('\n');
}
