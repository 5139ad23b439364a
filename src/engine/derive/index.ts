/**
 * The second build step: from machines to decision tables.
 *
 * @module
 */
import { hostMachine, vcpuMachine, vmMachine } from '../../../machines/index.ts';
import { deriveTable } from './derive.ts';
import { tableFile, tableText } from './text.ts';

export { deriveTable } from './derive.ts';
export { DeriveError } from './derive-error.ts';

/** The modules of `src/engine/tables/` by file name, derived anew. */
export const deriveModules = (): ReadonlyMap<string, string> =>
  new Map(
    [hostMachine, vmMachine, vcpuMachine].map((machine) => {
      const table = deriveTable(machine);
      return [tableFile(table), tableText(table)];
    }),
  );
