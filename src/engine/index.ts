/**
 * Runs the machines: inputs in, observations out.
 *
 * @module
 */
export { actorStepper, type Inspect } from './actor-stepper.ts';
export {
  CHECKPOINT_STRUCTS,
  checkpointOf,
  isAtCheckpoint,
  type WorldOfLogOptions,
  worldOfCheckpoint,
  worldOfHeader,
} from './checkpoint.ts';
export {
  Guest,
  type GuestOptions,
  type GuestReader,
  type MsrWrite,
  type PersistedGuest,
} from './guest.ts';
export { GuestMemory } from './guest-memory.ts';
export { type HostOptions, makeHost } from './host-options.ts';
export { InputError, type InputErrorCode } from './input-error.ts';
export { type ActiveStates, type Live, type LiveOptions, type LiveStates, live } from './live.ts';
export { MSR_ROUTES } from './msr-routes.ts';
export { PERSIST_VERSION, type PersistedWorld, persist, restore } from './persist.ts';
export type { Condition, Phase, Route } from './phase.ts';
export type { ReadingPlace, ReadingSource } from './readings.ts';
export { RestoreError } from './restore-error.ts';
export { ROUTES } from './routes.ts';
export type { MasterclockRecord, VmOf } from './run.ts';
export type { Cell, HostCell, Stepper, VcpuCell, VmCell } from './stepper.ts';
export type { Decision, MachineTable, Outcome, Question, RegionTable } from './table.ts';
export { TABLES, type Tables, tableStepper } from './table-stepper.ts';
export { type Performed, type PersistedVmm, Vmm, type VmmOptions } from './vmm.ts';
export type { Call, VmmPhase, VmmRoute } from './vmm-phase.ts';
export { VMM_POLICIES, type VmmPolicy, type VmmPolicyId } from './vmm-policies.ts';
export type { PerformedInput, Plan, SavedVm } from './vmm-walk.ts';
export {
  type Dispatched,
  World,
  type WorldOptions,
} from './world.ts';
