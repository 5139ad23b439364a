/**
 * Replay of recordings: findings about guests' clocks.
 *
 * @packageDocumentation
 */
export type { Counts } from './assimilate/books.ts';
export type { ProfileChoice } from './assimilate/profile.ts';
export { type Finding, RULES, type Rule } from './findings/finding.ts';
export { MECHANISMS, type Mechanism, type MechanismId } from './findings/mechanism.ts';
export {
  atLeast,
  DEFAULT_THRESHOLDS,
  SEVERITIES,
  type Severity,
  stepSeverity,
  type Thresholds,
} from './findings/severity.ts';
export * from './formats/index.ts';
export type { IdentitySource, Vm, VmSummary } from './identity/vm.ts';
export { REPLAY_EVENTS } from './needs.ts';
export {
  type ModelOptions,
  type ModelSummary,
  type ReplayOptions,
  type ReplaySummary,
  replay,
  replayAll,
  replayInGroups,
} from './replay.ts';
export { findingToJson, summaryToJson } from './report/json.ts';
export {
  findingLines,
  mechanismLines,
  plain,
  Shown,
  type Style,
  summaryLines,
  unjudgeable,
  verdict,
} from './report/text.ts';
