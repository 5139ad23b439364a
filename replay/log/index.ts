/**
 * Logs: written, read, and replayed; the state at any input, and what changed there.
 *
 * @module
 */
export * from '../../events/log/index.ts';
export type { LogDigests } from './digest.ts';
export type { Kernel } from './kernel-of-log.ts';
export type { LogFindings, ReplayLogOptions } from './log-run.ts';
export {
  type Change,
  changesOf,
  type FieldValues,
  type ModelStep,
  modelOf,
  type ReadModel,
  stepOf,
  type VmModel,
} from './read-model.ts';
export { Checkpoints, headerOf, INPUTS_PER_CHECKPOINT, LoggedWorld } from './record.ts';
export {
  type LogSummary,
  lostAll,
  replayLog,
  replayLogAll,
  replayLogInGroups,
} from './replay-log.ts';
export { type LogState, NoSuchInputError, stateAt } from './state-at.ts';
