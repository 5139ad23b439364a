/**
 * Runs the machines: inputs in, observations out.
 *
 * @module
 */
export { actorStepper, type Inspect } from './actor-stepper.ts';
export { Guest, type GuestOptions, type GuestReader, type MsrWrite } from './guest.ts';
export { GuestMemory } from './guest-memory.ts';
export { type HostOptions, makeHost } from './host-options.ts';
export { InputError, type InputErrorCode } from './input-error.ts';
export { MSR_ROUTES } from './msr-routes.ts';
export { PERSIST_VERSION, type PersistedWorld, persist, restore } from './persist.ts';
export type { Condition, Phase, Route } from './phase.ts';
export type { ReadingPlace, ReadingSource } from './readings.ts';
export { RestoreError } from './restore-error.ts';
export { ROUTES } from './routes.ts';
export type { MasterclockRecord, VmOf } from './run.ts';
export type { Cell, HostCell, Stepper, VcpuCell, VmCell } from './stepper.ts';
export {
  type Dispatched,
  World,
  type WorldOptions,
} from './world.ts';
