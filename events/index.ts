/**
 * What can happen and what can be seen: the catalogue of events, their types, and the columns that
 * carry them in bulk.
 *
 * @packageDocumentation
 */
export {
  EventBatch,
  type FieldSlot,
  LAYOUTS,
  NARROW_COLUMNS,
  slotOf,
  WIDE_COLUMNS,
} from './batch.ts';
export { CLOCK_EVENTS, EVENT_CODES, EVENT_NAMES, EVENTS, type EventName } from './catalog.ts';
export { COMPOSITES, type Composite, type CompositeOf, type CompositeType } from './composites.ts';
export type { CamelCase, EventHeader, EventOf, TraceEvent } from './event.ts';
export {
  BARE_TYPES,
  bareInput,
  INPUT_TYPES,
  InputBatch,
  type InputRows,
  inputCode,
  ROW,
  ROW_WORDS,
} from './input-batch.ts';
export {
  INPUTS,
  type Input,
  type InputOf,
  type InputType,
  type Readings,
} from './inputs.ts';
export {
  ERRNO,
  IOCTLS,
  type Ioctl,
  type IoctlName,
  type IoctlScope,
  KVM_ENOSYS,
  MSRS,
} from './kvm-abi.ts';
export type {
  InputSpec,
  InputTarget,
  ValueOf,
  ValueSpec,
  ValueSpecs,
  ValuesOf,
  ValueType,
} from './model-spec.ts';
export {
  OBSERVATIONS,
  type Observation,
  type ObservationHeader,
  type ObservationOf,
  type TracepointName,
} from './observations.ts';
export { READINGS, type ReadingName } from './readings.ts';
export type { EventRole, EventSpec, FieldSpec, ScalarType } from './spec.ts';
