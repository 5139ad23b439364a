/**
 * Replays a recording: every event once, in order, and what it shows of guests' clocks.
 */
import { EventBatch } from '../events/index.ts';
import type { Profile, Switches } from '../src/profiles/index.ts';
import { Assimilator } from './assimilate/assimilator.ts';
import type { Counts } from './assimilate/books.ts';
import type { MakeWorld } from './assimilate/driver.ts';
import { ChosenProfile, type ProfileChoice } from './assimilate/profile.ts';
import { Digest } from './digest.ts';
import { Agreement } from './findings/agreement.ts';
import { SEEN_IN_RECORDING } from './findings/explain.ts';
import type { Finding } from './findings/finding.ts';
import { MasterclockWatch } from './findings/masterclock.ts';
import { DEFAULT_THRESHOLDS, type Thresholds } from './findings/severity.ts';
import type { Recording } from './formats/recording.ts';
import { HostClock } from './host-clock.ts';
import { Identity } from './identity/identity.ts';
import type { VmSummary } from './identity/vm.ts';
import { Judge } from './judge.ts';
import { Order } from './order.ts';
import { type FindingCounts, Settled } from './settled.ts';
import { Tracker } from './tracker.ts';

export interface ReplayOptions {
  /** Steps smaller than this are not reported, ns. Default 1. */
  readonly minNs?: bigint;
  /** Report only findings of the VM with this id (and those of no VM). */
  readonly vm?: string;
  readonly thresholds?: Thresholds;
  /**
   * The kernel whose model runs beside the recording; by default the one that the recording suggests.
   * `false`: none does, and nothing is said of what the model has otherwise.
   */
  readonly model?: ModelOptions | false;
}

/** The kernel that a recording is compared with. */
export interface ModelOptions {
  /** Default: what the recording's release stands for, and what the recording shows. */
  readonly profile?: Profile | undefined;
  /** Switches to set otherwise. */
  readonly set?: Partial<Switches> | undefined;
  /** @internal How the world is made: for logs of what a recording shows. */
  readonly makeWorld?: MakeWorld | undefined;
  /** @internal Frequency of the host's TSC, where it is known beforehand, kHz. */
  readonly tscKhz?: number | undefined;
}

/** What came of running a model beside a recording. */
export interface ModelSummary {
  readonly choice: ProfileChoice;
  /** One line: the profile, and what speaks for it. */
  readonly profileText: string;
  readonly counts: Counts;
  /** @internal */
  readonly tscKhz: number;
}

/** What a replay saw, beside its findings. */
export interface ReplaySummary extends FindingCounts {
  readonly what: 'recording';
  readonly recording: string;
  readonly format: Recording['format'];
  readonly kernelRelease: string | undefined;
  readonly clock: {
    readonly unit: 'tsc' | 'ns' | 'order';
    readonly name: string | undefined;
    readonly resolutionNs: number;
    /** Host TSCs are derived from the pages, not recorded. */
    readonly tscDerived: boolean;
  };
  readonly events: number;
  readonly lostEvents: bigint;
  readonly gaps: number;
  readonly malformed: number;
  readonly firstMalformed: string | undefined;
  /** First and last instant, ticks, and the time between them where the clock tells it. */
  readonly from: bigint | undefined;
  readonly to: bigint | undefined;
  readonly fromNs: bigint | undefined;
  readonly spanNs: bigint | undefined;
  /** The VMs seen; of those that were gone before the end at most the first 1,000. */
  readonly vms: readonly VmSummary[];
  readonly vmCount: number;
  /** Entries at which a changed clock could be compared with the one before. */
  readonly compared: number;
  /** The options that decided what is reported. */
  readonly minNs: bigint;
  readonly onlyVm: string | undefined;
  /** Pages that were written in the recording. */
  readonly pages: number;
  /** Masterclock updates and writes of TSC offsets in it, which pages should follow. */
  readonly moves: number;
  readonly digest: string;
  /** How the recording compares with the model; `undefined` where none ran. */
  readonly model: ModelSummary | undefined;
}

/**
 * Replays `recording` to its end, yields its findings in order of time and returns the summary. The
 * recording stays open. @throws FormatError where it can't be read, the events of a text are not in
 * order of time, or it has too many threads to follow.
 */
export async function* replay(
  recording: Recording,
  options: ReplayOptions = {},
): AsyncGenerator<Finding, ReplaySummary> {
  const groups = replayInGroups(recording, options);
  for (;;) {
    const next = await groups.next();
    if (next.done) return next.value;
    // Not `yield*`, which makes several promises for each finding.
    for (const finding of next.value) yield finding;
  }
}

/** Like `replay`, with the findings as they are settled, many at once: no promises for each. */
export async function* replayInGroups(
  recording: Recording,
  options: ReplayOptions = {},
): AsyncGenerator<readonly Finding[], ReplaySummary> {
  const batch = new EventBatch();
  // Text shows its clock no sooner than its first event.
  let rows = await recording.read(batch);
  const run = new Replay(recording, options);
  for (; rows > 0; rows = await recording.read(batch)) {
    run.take(batch, rows);
    if (run.isFull) yield run.release();
  }
  run.finish();
  yield run.release();
  return run.summary();
}

/** Replays a recording at once: for tests, and for recordings known to be short. */
export async function replayAll(
  recording: Recording,
  options: ReplayOptions = {},
): Promise<{ readonly findings: readonly Finding[]; readonly summary: ReplaySummary }> {
  const findings: Finding[] = [];
  const run = replay(recording, options);
  for (;;) {
    const next = await run.next();
    if (next.done) return { findings, summary: next.value };
    findings.push(next.value);
  }
}

class Replay {
  readonly #recording: Recording;
  readonly #vm: string | undefined;
  readonly #minNs: bigint;
  readonly #clock: HostClock;
  readonly #identity: Identity;
  readonly #masterclock: MasterclockWatch;
  readonly #judge: Judge;
  readonly #tracker: Tracker;
  readonly #order: Order | undefined;
  readonly #digest: Digest;
  readonly #model: Assimilator | undefined;
  /** Held back until it is settled which VM each belongs to. */
  readonly #settled = new Settled();

  constructor(recording: Recording, options: ReplayOptions) {
    const { minNs = 1n, thresholds = DEFAULT_THRESHOLDS } = options;
    const report = (finding: Finding): void => this.#settled.hold(finding);
    this.#recording = recording;
    this.#vm = options.vm;
    this.#minNs = minNs;
    this.#order = recording.format === 'ftrace text' ? new Order(recording.name) : undefined;
    this.#clock = new HostClock(recording.clock);
    const guests = recording.guests.flatMap((g) => g.vcpus.map((v) => [v.tid, g.name] as const));
    this.#masterclock = new MasterclockWatch(report);
    const agreement = new Agreement(this.#clock, thresholds, report);
    this.#identity = new Identity(recording.name, new Map(guests), (vm) => {
      this.#tracker.ended(vm);
      this.#masterclock.forget(vm);
      agreement.forget(vm);
      this.#model?.ended(vm);
    });
    this.#judge = new Judge(
      this.#clock,
      { thresholds, minNs },
      { masterclock: this.#masterclock, agreement, knowledge: SEEN_IN_RECORDING },
      report,
    );
    this.#model = modelOf(recording, this.#clock, options.model ?? {}, report);
    this.#tracker = new Tracker(this.#identity, this.#judge, this.#clock, this.#model);
    this.#digest = new Digest({ minNs: String(minNs), vm: options.vm ?? '', ...given(options) });
  }

  get isFull(): boolean {
    return this.#settled.isFull;
  }

  take(batch: EventBatch, rows: number): void {
    for (let row = 0; row < rows; row++) {
      this.#order?.take(batch, row);
      this.#digest.addRow(batch, row);
      this.#tracker.take(batch, row);
    }
  }

  finish(): void {
    const end = this.#recording.stats.lastTimestamp ?? 0n;
    this.#tracker.finish(end);
    this.#masterclock.drift(this.#clock, end);
  }

  /** Findings held so far, in order of time, of the VMs as far as they are known now. */
  release(): readonly Finding[] {
    this.#masterclock.release();
    // Only pages may have shown what unit the instants are of.
    const isOther = this.#clock.unit !== this.#recording.clock.unit;
    const settled = this.#settled.release((finding) => {
      const vm = finding.vm?.resolved;
      if (this.#vm !== undefined && vm !== undefined && vm.id !== this.#vm) return undefined;
      if (vm === finding.vm && !isOther) return finding;
      const timeNs = isOther ? this.#clock.ns(finding.timestamp) : finding.timeNs;
      return { ...finding, vm, timeNs };
    });
    for (const finding of settled) this.#digest.addFinding(finding);
    return settled;
  }

  summary(): ReplaySummary {
    const { name, format, kernelRelease, stats, clock } = this.#recording;
    const { firstTimestamp: from, lastTimestamp: to } = stats;
    const fromNs = from === undefined ? undefined : this.#clock.ns(from);
    const toNs = to === undefined ? undefined : this.#clock.ns(to);
    const live = [...this.#identity.vms];
    return {
      what: 'recording',
      recording: name,
      format,
      kernelRelease,
      clock: {
        unit: this.#clock.unit,
        name: clock.name,
        resolutionNs: clock.resolutionNs,
        tscDerived: this.#clock.derived,
      },
      events: stats.events,
      lostEvents: stats.lostEvents,
      gaps: stats.gaps,
      malformed: stats.malformed,
      firstMalformed: stats.firstMalformed,
      from,
      to,
      fromNs,
      spanNs: fromNs === undefined || toNs === undefined ? undefined : toNs - fromNs,
      vms: [...this.#identity.ended, ...live.map((vm) => vm.summary)],
      vmCount: this.#identity.endedCount + live.length,
      compared: this.#judge.compared,
      minNs: this.#minNs,
      onlyVm: this.#vm,
      pages: this.#tracker.pages,
      moves: this.#tracker.moves,
      ...this.#settled.counts,
      digest: this.#digest.finish(),
      model: this.#modelSummary(),
    };
  }

  #modelSummary(): ModelSummary | undefined {
    if (this.#model === undefined) return undefined;
    const { choice, profileText, counts, tscKhz } = this.#model;
    const { predicted, inferred, unknown, diverged } = counts;
    return { choice, profileText, counts: { predicted, inferred, unknown, diverged }, tscKhz };
  }
}

function modelOf(
  recording: Recording,
  clock: HostClock,
  options: ModelOptions | false,
  report: (finding: Finding) => void,
): Assimilator | undefined {
  if (options === false) return undefined;
  const { profile, set, makeWorld, tscKhz } = options;
  const chosen = new ChosenProfile(recording.kernelRelease, profile, set);
  return new Assimilator(clock, { chosen, tscKhz, makeWorld }, report);
}

/** What was asked for of the model, for the digest; nothing where the recording decides. */
function given({ model }: ReplayOptions): Readonly<Record<string, string>> {
  if (model === undefined) return {};
  if (model === false) return { model: 'none' };
  const { profile, set = {} } = model;
  if (profile === undefined && Object.keys(set).length === 0) return {};
  const switches = JSON.stringify({ ...profile?.switches, ...set });
  return { profile: profile?.id ?? '', switches };
}
