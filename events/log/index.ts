/**
 * Logs: what happened to a host's clocks, complete and in order, in a readable and a binary form.
 *
 * @packageDocumentation
 */
export { type Acknowledge, type Acknowledged, LogWriter, type LogWriterOptions } from './append.ts';
export { structEntry } from './checkpoint-bytes.ts';
export type { CheckpointPlace, LogDecoder, ReadLogOptions } from './decoder.ts';
export type { LogEncoder } from './encoder.ts';
export {
  type Checkpoint,
  type CheckpointEntry,
  type CheckpointStruct,
  type CompositeEntry,
  type GapEntry,
  type InputEntry,
  LOG_FORM,
  LOG_VERSION,
  type LogEntry,
  type LogHeader,
  type LogSwitch,
  type OtherEntry,
  type TornTail,
} from './entry.ts';
export { LogError, type LogPosition, LogWriteError } from './error.ts';
export type { StructTypes } from './json-entry.ts';
export { JsonlDecoder, JsonlEncoder } from './jsonl.ts';
export { MclogDecoder, MclogEncoder } from './mclog.ts';
export type { LogIndex } from './mclog-index.ts';
export {
  type LogBytes,
  type LogEnd,
  type OpenedLog,
  type OpenLogOptions,
  openLog,
} from './read.ts';
export { entriesOf, type LogStretch, Stretches } from './stretch.ts';
export type { Upgrade, Upgrades } from './upgrade.ts';
