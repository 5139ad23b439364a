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
export { EVENT_CODES, EVENT_NAMES, EVENTS, type EventName } from './catalog.ts';
export type { CamelCase, EventHeader, EventOf, TraceEvent } from './event.ts';
export {
  IOCTLS,
  type Ioctl,
  type IoctlName,
  type IoctlScope,
  MSRS,
} from './kvm-abi.ts';
export type { EventRole, EventSpec, FieldSpec, ScalarType } from './spec.ts';
