/**
 * Runs the machines: inputs in, observations out. Nothing of it needs Node, so that emulators can have
 * it wherever they run.
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
export { Guest } from './guest.ts';
export { GuestMemory } from './guest-memory.ts';
export type {
  GuestOptions,
  GuestReader,
  MsrWrite,
  PersistedGuest,
  StealClock,
} from './guest-options.ts';
export { type HostOptions, makeHost } from './host-options.ts';
export { InputError, type InputErrorCode } from './input-error.ts';
export { type ActiveStates, type Live, type LiveOptions, type LiveStates, live } from './live.ts';
export { MSR_ROUTES } from './msr-routes.ts';
export { PERSIST_VERSION, type PersistedWorld, persist, restore } from './persist.ts';
export type { Phase, Route } from './phase.ts';
export type { ReadingPlace, ReadingSource } from './readings.ts';
export { RestoreError } from './restore-error.ts';
export { ROUTES } from './routes.ts';
export type { MasterclockRecord, VmOf } from './run.ts';
export {
  type Cell,
  cellOf,
  type HostCell,
  type Machine,
  type Stepper,
  type VcpuCell,
  type VmCell,
} from './stepper.ts';
export { tableStepper } from './table-stepper.ts';
export {
  type Call,
  type Intent,
  type Performed,
  type PerformedInput,
  type PersistedVmm,
  type Plan,
  type SavedVm,
  VMM_MOMENTS,
  VMM_POLICIES,
  VMM_POLICY_IDS,
  Vmm,
  type VmmMoment,
  type VmmOptions,
  type VmmPhase,
  type VmmPolicy,
  type VmmPolicyId,
  type VmmRoute,
} from './vmm/index.ts';
export {
  type Dispatched,
  World,
  type WorldOptions,
} from './world.ts';
