/**
 * A log's inputs on their way through a world: what they came to is judged, digested and counted, and
 * the log's checkpoints are compared with what the world is like.
 */
import type { Input, InputRows, ReadingName } from '../../events/index.ts';
import {
  type CheckpointEntry,
  LogError,
  type LogStretch,
  type OpenedLog,
  type OtherEntry,
} from '../../events/log/index.ts';
import { isAtCheckpoint, worldOfCheckpoint } from '../../src/engine/checkpoint.ts';
import type { Dispatched, Stepper, World } from '../../src/engine/index.ts';
import { InputError } from '../../src/engine/input-error.ts';
import type { Switches } from '../../src/profiles/index.ts';
import type { Finding } from '../findings/finding.ts';
import type { VmSummary } from '../identity/vm.ts';
import { hostNs } from '../model/known.ts';
import { WorldFindings, type WorldFindingsOptions } from '../model/world-findings.ts';
import { type FindingCounts, Settled } from '../settled.ts';
import { LogDigest } from './digest.ts';
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
  /** What moves the machines; their decision tables by default. */
  readonly stepper?: Stepper;
  /** Told of each input after it was dispatched. */
  readonly seen?: (input: Input, dispatched: Dispatched, world: World) => void;
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

/** A replay under way. */
export class LogRun {
  readonly kernel: ReturnType<typeof kernelOf>;
  readonly digest = new LogDigest();
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
  take({ inputs, from, to, then }: LogStretch, until: number): void {
    const end = Math.min(to, from + until - this.inputs);
    for (let row = from; row < end; ) row = this.#takeRows(inputs, row, end);
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

  /** Takes some rows: as long as inputs come to nothing, and one. @returns the row after it. */
  #takeRows(inputs: InputRows, row: number, end: number): number {
    const { world, found } = this;
    const to = this.#options.seen === undefined ? end : row + 1;
    const before = world.count;
    let dispatched: Dispatched | undefined;
    try {
      dispatched = world.dispatchRows(inputs, row, to, found.silent);
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      this.#meetImpossible(error, world.count - before);
    }
    const happened = world.count - before;
    const last = row + (dispatched === undefined ? happened : happened - 1);
    if (happened > 0) this.firstTsc ??= inputs.tscOf(row);
    this.outcomes.addQuiet(last - row);
    if (dispatched !== undefined) this.#take(inputs, last, dispatched);
    this.inputs += last + 1 - row;
    return last + 1;
  }

  /** Takes what an input came to. */
  #take(inputs: InputRows, row: number, dispatched: Dispatched): void {
    const { observations } = dispatched;
    const outcome = outcomeOf(dispatched);
    this.found.take(this.world, inputs, row, dispatched);
    this.digest.add(inputs, row, outcome, observations);
    this.outcomes.add(outcome);
    this.#options.seen?.(inputs.at(row), dispatched, this.world);
  }

  /** An input that cannot have happened; so many of those that are not counted yet did. */
  #meetImpossible({ type, expected, found }: InputError, happened: number): void {
    if (!this.isUnknown && !this.kernel.isOther) {
      const field = `input ${this.inputs + happened + 1} (${type})`;
      throw new LogError(this.#log.name, undefined, field, expected, found);
    }
    this.impossible += 1;
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
    for (const [name, times] of this.world.derived) {
      this.derived.set(name, (this.derived.get(name) ?? 0) + times);
    }
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
