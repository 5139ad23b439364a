/**
 * The second build step: from machines to decision tables and from routes to what walks them, both
 * as code.
 *
 * @module
 */
import { hostMachine, vcpuMachine, vmMachine } from '../../../machines/index.ts';
import { HostState, VcpuState, VmState } from '../../clock/index.ts';
import { MSR_ROUTES } from '../msr-routes.ts';
import { ROUTES } from '../routes.ts';
import { deriveTable } from './derive.ts';
import { routeModule } from './route-code.ts';
import { tableModule } from './table-code.ts';

export { deriveTable } from './derive.ts';
export { DeriveError } from './derive-error.ts';
export type { Decision, MachineTable, Outcome, Question, RegionTable } from './table.ts';

/** The modules of `src/engine/tables/` by file name, derived anew. */
export const deriveModules = (): ReadonlyMap<string, string> =>
  new Map([
    ['host.ts', tableModule(deriveTable(hostMachine), HostState)],
    ['vm.ts', tableModule(deriveTable(vmMachine), VmState)],
    ['vcpu.ts', tableModule(deriveTable(vcpuMachine), VcpuState)],
    ['routes.ts', routeModule(ROUTES, MSR_ROUTES)],
  ]);
