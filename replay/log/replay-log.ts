/**
 * Runs a log: everything that happened happens again, under the log's kernel or another one.
 *
 * What came of it is judged as a recording is (`replay/model/`): findings about guests' clocks.
 *
 * Under its own kernel the log's checkpoints must come out byte by byte; one that does not is counted.
 * After a gap what the world is like is unknown until a checkpoint tells.
 */
import type { ReadingName } from '../../events/index.ts';
import type { OpenedLog, TornTail } from '../../events/log/index.ts';
import type { World } from '../../src/engine/index.ts';
import type { Profile } from '../../src/profiles/index.ts';
import type { Finding } from '../findings/finding.ts';
import type { LogDigests } from './digest.ts';
import { type LogFindings, LogRun, type ReplayLogOptions } from './log-run.ts';

/** What a replay came to. */
export interface LogSummary {
  readonly log: string;
  readonly form: 'jsonl' | 'mclog';
  readonly version: number;
  readonly profile: Profile;
  /** Another kernel than the log's own. */
  readonly isOther: boolean;
  /** The world at the end. */
  readonly world: World;
  readonly inputs: number;
  /** Inputs that this world refuses: after a gap, or under another kernel. */
  readonly impossible: number;
  /** Inputs that the kernel answered with an error. */
  readonly refused: number;
  readonly composites: number;
  readonly observations: ReadonlyMap<string, number>;
  /** How often the masterclock was kept, requested, recomputed. */
  readonly masterclock: ReadonlyMap<string, number>;
  /** Clock reads that the log does not tell, by name. */
  readonly derived: ReadonlyMap<ReadingName, number>;
  readonly gaps: number;
  /** Inputs were lost, and no checkpoint came after that. */
  readonly isUnknown: boolean;
  readonly checkpoints: {
    readonly agreed: number;
    readonly skipped: number;
    /** How many inputs came before each that did not agree; at most the first 100. */
    readonly differing: readonly number[];
  };
  readonly torn: TornTail | undefined;
  readonly findings: LogFindings;
  readonly digests: LogDigests;
}

/** Whether a log's end was torn off before anything came that a clock can be judged by. */
export const lostAll = ({ torn, findings }: LogSummary): boolean =>
  torn !== undefined && findings.pages === 0;

/**
 * Replays a log and yields its findings in order of time as they are settled, many at once.
 *
 * @throws LogError where the log is damaged, or holds what cannot have happened; ProfileError for a
 * profile or switch that is none.
 */
export async function* replayLogInGroups(
  log: OpenedLog,
  options: ReplayLogOptions = {},
): AsyncGenerator<readonly Finding[], LogSummary> {
  const { until = Number.POSITIVE_INFINITY } = options;
  const run = new LogRun(log, options);
  const batches = log.stretches();
  let torn: TornTail | undefined;
  let skipped = 0;
  for (;;) {
    const { done, value } = await batches.next();
    if (done === true) {
      ({ torn, skippedCheckpoints: skipped } = value);
      break;
    }
    for (const stretch of value) run.take(stretch, until);
    if (run.inputs >= until) break;
    if (run.settled.isFull) yield run.release();
  }
  yield run.finish();
  return summaryOf(log, run, torn, skipped);
}

/** Replays a log whose findings are few enough to have all at once. @throws as `replayLogInGroups`. */
export async function replayLogAll(
  log: OpenedLog,
  options: ReplayLogOptions = {},
): Promise<{ readonly findings: readonly Finding[]; readonly summary: LogSummary }> {
  const findings: Finding[] = [];
  const run = replayLogInGroups(log, options);
  for (;;) {
    const next = await run.next();
    if (next.done === true) return { findings, summary: next.value };
    findings.push(...next.value);
  }
}

/** Replays a log for its summary alone. @throws as `replayLogInGroups`. */
export async function replayLog(
  log: OpenedLog,
  options: ReplayLogOptions = {},
): Promise<LogSummary> {
  const run = replayLogInGroups(log, options);
  for (;;) {
    const next = await run.next();
    if (next.done === true) return next.value;
  }
}

function summaryOf(
  log: OpenedLog,
  run: LogRun,
  torn: TornTail | undefined,
  skipped: number,
): LogSummary {
  const { kernel, agreed, differing } = run;
  const { id, switches } = kernel.profile;
  const { inputs, impossible, composites, gaps, isUnknown, world } = run;
  const { digest, derived, findings } = run;
  const { observations } = digest;
  const { refused, masterclock } = run.outcomes;
  return {
    log: log.name,
    form: log.form,
    version: log.version,
    ...kernel,
    ...{ world, inputs, impossible, refused, composites, observations, masterclock, derived },
    ...{ gaps, isUnknown, torn },
    checkpoints: { agreed, skipped, differing },
    findings,
    digests: digest.finish(inputs, world.vms.keys(), {
      profile: id,
      switches,
      options: log.header.options,
      minNs: String(findings.minNs),
      vm: findings.onlyVm ?? '',
    }),
  };
}
