/** A table as the module that is committed: one entry for what a state does at a signal. */
import type { Decision, MachineTable, Outcome } from '../table.ts';

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

const cellText = (signal: string, decision: Decision): string =>
  `        ${keyOf(signal)}: ${decisionText(decision, '        ')},`;

/** The file name of a machine's table in `src/engine/tables/`. */
export const tableFile = (table: MachineTable): string => `${table.machine}.ts`;

/** The text of that file. */
export function tableText({ machine, regions }: MachineTable): string {
  const lines = [
    `/** What the machine ${machine} decides. Derived from it by XState: \`npm run build\`. */`,
    "import type { MachineTable } from '../table.ts';",
    '',
    `export const ${machine.toUpperCase()}_TABLE: MachineTable = {`,
    `  machine: ${quoted(machine)},`,
    '  regions: {',
  ];
  for (const [region, states] of Object.entries(regions)) {
    lines.push(`    ${keyOf(region)}: {`);
    for (const [leaf, row] of Object.entries(states)) {
      const cells = Object.entries(row);
      if (cells.length === 0) {
        lines.push(`      ${keyOf(leaf)}: {},`);
        continue;
      }
      lines.push(`      ${keyOf(leaf)}: {`);
      for (const [signal, decision] of cells) lines.push(cellText(signal, decision));
      lines.push('      },');
    }
    lines.push('    },');
  }
  lines.push('  },', '};', '');
  return lines.join('\n');
}
