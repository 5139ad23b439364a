/**
 * Runs a log: everything that happened happens again, under the log's kernel or another one.
 *
 * What came of it is judged as a recording is (`replay/model/`): findings about guests' clocks.
 *
 * Under its own kernel the log's checkpoints must come out byte by byte; one that does not is counted.
 * After a gap what the world is like is unknown until a checkpoint tells.
 */
import type { Input, ReadingName } from '../../events/index.ts';
import {
  type CheckpointEntry,
  LogError,
  type LogStretch,
  type OpenedLog,
  type OtherEntry,
  type TornTail,
} from '../../events/log/index.ts';
import { isAtCheckpoint, worldOfCheckpoint } from '../../src/engine/checkpoint.ts';
import type { Dispatched, Stepper, World } from '../../src/engine/index.ts';
import { InputError } from '../../src/engine/input-error.ts';
import type { Profile, Switches } from '../../src/profiles/index.ts';
import type { Finding } from '../findings/finding.ts';
import type { VmSummary } from '../identity/vm.ts';
import { hostNs } from '../model/known.ts';
import { WorldFindings, type WorldFindingsOptions } from '../model/world-findings.ts';
import { type FindingCounts, Settled } from '../settled.ts';
import { LogDigest, type LogDigests } from './digest.ts';
import { inLog, kernelOf, startOf } from './kernel-of-log.ts';
import { Outcomes, outcomeOf } from './outcomes.ts';

/** How a log is replayed. */
export interface ReplayLogOptions extends WorldFindingsOptions {
  /** Id of another profile than the log's. */
  readonly profile?: string;
  /** Switches set otherwise. */
  readonly set?: Partial<Switches>;
  /** Ends after so many inputs; by default with the log. */
  readonly until?: number;
  /** What moves the machines; XState actors by default. */
  readonly stepper?: Stepper;
  /** Told of each input after it was dispatched. */
  readonly seen?: (input: Input, dispatched: Dispatched, world: World) => void;
}

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

/** What was found, in numbers. */
export interface LogFindings extends FindingCounts {
  readonly what: 'log';
  /** Host TSC of the first input, ns since it was 0: what instants are told from. */
  readonly fromNs: bigint | undefined;
  readonly vms: readonly VmSummary[];
  readonly vmCount: number;
  readonly compared: number;
  readonly pages: number;
  readonly gaps: number;
  readonly minNs: bigint;
  readonly onlyVm: string | undefined;
}

/** Differing checkpoints that are told one by one. */
const MOST_DIFFERING = 100;

const count = <K>(counts: Map<K, number>, key: K, by = 1): void => {
  counts.set(key, (counts.get(key) ?? 0) + by);
};

/** A replay under way. */
class LogRun {
  readonly kernel: ReturnType<typeof kernelOf>;
  readonly digest = new LogDigest();
  readonly observations = new Map<string, number>();
  readonly outcomes = new Outcomes();
  readonly derived = new Map<ReadingName, number>();
  readonly differing: number[] = [];
  world: World;
  inputs = 0;
  impossible = 0;
  composites = 0;
  gaps = 0;
  agreed = 0;
  isUnknown = false;
  readonly found: WorldFindings;
  readonly settled = new Settled(true);
  firstTsc: bigint | undefined;
  readonly #log: OpenedLog;
  readonly #options: ReplayLogOptions;

  constructor(log: OpenedLog, options: ReplayLogOptions) {
    this.#log = log;
    this.#options = options;
    this.found = new WorldFindings(options, (finding) => {
      this.settled.hold(finding);
      this.digest.addFinding(finding);
    });
    this.kernel = kernelOf(log, options);
    this.world = startOf(log, this.kernel, options.stepper);
  }

  /** Takes inputs, and what came after them, until there were so many inputs. */
  take({ inputs, then }: LogStretch, until: number): void {
    for (let i = 0; i < inputs.length && this.inputs < until; i++) {
      this.inputs += 1;
      this.#dispatch(inputs[i]!);
    }
    if (then !== undefined && this.inputs < until) this.#takeOther(then);
  }

  #takeOther(entry: OtherEntry): void {
    switch (entry.kind) {
      case 'composite':
        this.composites += 1;
        break;
      case 'gap':
        this.gaps += 1;
        this.isUnknown = true;
        this.found.lose(entry.tsc, entry.lost ?? 0n, entry.reason);
        break;
      case 'checkpoint':
        if (!this.kernel.isOther) this.#check(entry);
        break;
    }
  }

  #dispatch(input: Input): void {
    let dispatched: Dispatched;
    try {
      dispatched = this.world.dispatchValid(input);
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      if (!this.isUnknown && !this.kernel.isOther) {
        const field = `input ${this.inputs} (${error.type})`;
        throw new LogError(this.#log.name, undefined, field, error.expected, error.found);
      }
      this.impossible += 1;
      return;
    }
    const { observations } = dispatched;
    const outcome = outcomeOf(dispatched);
    this.firstTsc ??= input.tsc;
    this.found.take(this.world, input, dispatched);
    this.digest.add(input, outcome, observations);
    this.outcomes.add(outcome);
    for (let i = 0; i < observations.length; i++) count(this.observations, observations[i]!.type);
    this.#options.seen?.(input, dispatched, this.world);
  }

  #check({ checkpoint }: CheckpointEntry): void {
    if (!this.isUnknown) {
      if (isAtCheckpoint(this.world, checkpoint)) this.agreed += 1;
      else if (this.differing.length < MOST_DIFFERING) this.differing.push(checkpoint.inputs);
      return;
    }
    const { switches } = this.kernel.profile;
    const { stepper } = this.#options;
    this.#leave();
    this.world = inLog(this.#log, () =>
      worldOfCheckpoint(checkpoint, {
        switches: { ...switches },
        ...(stepper === undefined ? {} : { stepper }),
      }),
    );
    this.isUnknown = false;
    this.found.restored(this.world);
  }

  /** The world is left: what it derived is counted. */
  #leave(): void {
    for (const [name, times] of this.world.derived) count(this.derived, name, times);
  }

  /** The log ends here. @returns what was found and not yet handed out. */
  finish(): readonly Finding[] {
    if (!this.isUnknown) this.found.finish();
    this.#leave();
    return this.release();
  }

  /** What was found and not yet handed out. */
  release(): readonly Finding[] {
    this.found.release();
    return this.settled.release();
  }

  get findings(): LogFindings {
    const { minNs = 1n, vm: onlyVm } = this.#options;
    const { vms, vmCount, compared, pages } = this.found;
    const { gaps, firstTsc } = this;
    const fromNs = firstTsc === undefined ? undefined : hostNs(this.world, firstTsc);
    const counts = this.settled.counts;
    return { what: 'log', ...counts, fromNs, vms, vmCount, compared, pages, gaps, minNs, onlyVm };
  }
}

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
  const { observations, derived, findings } = run;
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
    digests: run.digest.finish({
      profile: id,
      switches,
      options: log.header.options,
      minNs: String(findings.minNs),
      vm: findings.onlyVm ?? '',
    }),
  };
}
