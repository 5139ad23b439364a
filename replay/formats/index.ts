/**
 * Readers of recordings.
 *
 * @packageDocumentation
 */
export { FormatError, type Position, printable } from './error.ts';
export { open } from './open.ts';
export type {
  ReadOptions,
  RecordedGuest,
  Recording,
  RecordingStats,
  TraceClock,
} from './recording.ts';
