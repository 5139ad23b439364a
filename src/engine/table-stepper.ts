/**
 * Machines as decision tables that run on the live structs, in place: the same guards and recipes in
 * the same order as the machines' actors, without actors.
 *
 * The tables are code that was derived from the machines (`derive/`).
 */
import type { Stepper } from './stepper.ts';
import { HostTable } from './tables/host.ts';
import { VcpuTable } from './tables/vcpu.ts';
import { VmTable } from './tables/vm.ts';

const STEPPER: Stepper = {
  host: (state) => new HostTable(state),
  vm: (state) => new VmTable(state),
  vcpu: (state) => new VcpuTable(state),
};

/** Steps machines as tables. */
export const tableStepper = (): Stepper => STEPPER;
