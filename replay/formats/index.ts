/**
 * Readers of recordings.
 *
 * @packageDocumentation
 */

export { FileBytes, MemoryBytes, type RandomAccess } from './bytes.ts';
export { FormatError, type Position, printable } from './error.ts';
export { events } from './events.ts';
export { type LogFile, type Opened, open, openAny } from './open.ts';
export type {
  ReadOptions,
  RecordedGuest,
  Recording,
  RecordingStats,
  TraceClock,
} from './recording.ts';
export {
  type EventFormat,
  type FieldValue,
  type FormatField,
  type RawEvent,
  rawEvents,
} from './tracedat/index.ts';
