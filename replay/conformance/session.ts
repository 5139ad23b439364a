/**
 * A recording being predicted: the world that runs beside it, what was predicted and is still to be
 * compared, and the books.
 */
import type { Input, Observation } from '../../events/index.ts';
import {
  InputError,
  type ReadingSource,
  type Stepper,
  World,
  type WorldOptions,
} from '../../src/engine/index.ts';
import type { Switches } from '../../src/profiles/index.ts';
import {
  type ClockEvent,
  compareTracepoints,
  describe,
  isTracepoint,
  type Predicted,
} from '../assimilate/tracepoints.ts';
import type { Action, SeenClock } from './action.ts';
import { Adopter } from './adopt.ts';
import { RecordedClocks, timekeepersOf } from './clocks-of.ts';
import { type PlacedStep, placeSteps } from './fds.ts';
import { rawFraction } from './fraction.ts';
import { Future } from './future.ts';
import { hostOf } from './host-of.ts';
import {
  Instants,
  isWithin,
  later,
  spanOf,
  type TimeSpan,
  type TscWindow,
  timesBetween,
} from './instants.ts';
import type { CheckedRecording } from './recording.ts';
import { type Here, Sources } from './sources.ts';
import { type Step, stepsOf } from './steps.ts';
import { Tally } from './tally.ts';

/** An input without its instant, which the step gives. */
export type Untimed = {
  [T in Input['type']]: Omit<Extract<Input, { type: T }>, 'tsc'>;
}[Input['type']];

/** How a recording is predicted. */
export interface PredictOptions {
  /**
   * Of a nanosecond, in 64ths, at which CLOCK_MONOTONIC_RAW stood; by default what the recording's
   * snapshots leave for it.
   */
  readonly fraction?: number;
  /** What moves the machines; their decision tables by default. */
  readonly stepper?: Stepper | undefined;
  /** Makes the world to predict in; a plain one by default. */
  readonly makeWorld?: ((options: WorldOptions) => World) | undefined;
}

/** A recording being predicted. */
export class Session {
  readonly recording: CheckedRecording;
  /** Entries were recorded; without them it is unknown how often requests were served. */
  readonly hasEntries: boolean;
  readonly steps: readonly PlacedStep[];
  readonly tally = new Tally();
  readonly world: World;
  readonly instants: Instants;
  readonly clocks: RecordedClocks;
  /** What the driver called each VM, by our number. */
  readonly driverVm: ReadonlyMap<number, number>;
  /** Actions whose KVM_GET_CLOCK a value was taken from, which is then not predicted. */
  readonly usedClocks = new Set<Action>();
  /** The host's clocks went on from an unknown place; the next snapshot shows it. */
  mustCalibrate = false;
  /** When a VM's delayed work was armed, host TSC, by VM and name. */
  readonly armed = new Map<string, bigint>();
  readonly #future: Future;
  readonly #adopter: Adopter;
  readonly #driverTid: number | undefined;
  /** Tracepoints predicted in a thread and not yet compared. */
  readonly #expected = new Map<number, Predicted[]>();
  /** By how much the host's clocks were found to be off, ns. */
  #correction: bigint | undefined;

  constructor(recording: CheckedRecording, switches: Switches, options: PredictOptions = {}) {
    this.recording = recording;
    this.hasEntries = recording.events.some(({ type }) => type === 'kvm_entry');
    const placed = placeSteps(stepsOf(recording.events), recording.actions);
    this.steps = placed.steps;
    this.driverVm = placed.driverVm;
    this.#driverTid = placed.steps.find(({ step }) => step.kind === 'op')?.step.tid;
    this.#future = new Future(placed.steps);
    this.instants = new Instants(recording);
    this.clocks = new RecordedClocks(recording, switches);
    const { fraction, stepper } = options;
    const host = this.#firstHost(switches, fraction);
    const { makeWorld = (of) => new World(of) } = options;
    this.world = makeWorld({ switches, host, ...(stepper === undefined ? {} : { stepper }) });
    const sources = new Sources(this.world, this.#future, this.tally, (kind, value, here) => {
      const { least, most } = here.window;
      this.wrong(here.placed, `adopted ${kind}`, `in ${least} … ${most}`, `${value}`);
    });
    this.#adopter = new Adopter(sources);
  }

  #firstHost(switches: Switches, fraction: number | undefined) {
    const { recording } = this;
    const host = hostOf(recording, switches, this.#future.firstPage());
    if (switches.tscKhzSource === 'per-cpu') this.tally.adopt('cpuTscKhz');
    if (recording.gtods.length === 0) this.tally.adopt('timekeepers');
    if (fraction !== undefined) {
      host.rawXtimeNsec = (BigInt(fraction) << BigInt(host.rawShift)) / 64n;
    } else if (needsFraction(recording, switches)) {
      host.rawXtimeNsec = rawFraction(this.#future.stretches(this.#firstDisturbance()), host);
    }
    return host;
  }

  /** Where the host first slept or changed its clocksource. */
  #firstDisturbance(): number {
    const first = this.steps.find(
      ({ step, action }) => step.kind === 'suspend' || action?.op === 'write_file',
    );
    return first === undefined ? Number.POSITIVE_INFINITY : this.#future.placeOf(first, 0);
  }

  /** Counts an output as wrong. */
  wrong(placed: PlacedStep, output: string, predicted: string, recorded: string): void {
    const { action, step } = placed;
    this.tally.fail({
      output,
      timestamp: step.timestamp,
      action: action === undefined ? 'before the first' : `${action.index} ${action.op}`,
      predicted,
      recorded,
    });
  }

  /** Counts an output as right or wrong. */
  judge(
    placed: PlacedStep,
    output: string,
    closeness: 'exact' | 'within' | 'wrong',
    predicted: string,
    recorded: string,
  ): void {
    if (closeness === 'wrong') this.wrong(placed, output, predicted, recorded);
    else this.tally.right(output, closeness === 'exact');
  }

  #here(placed: PlacedStep): Here {
    const { target, step, action } = placed;
    const isDriver = step.tid === this.#driverTid;
    return {
      placed,
      settled: this.#expectedOf(step.tid).length,
      window: this.#windowOf(step, isDriver ? action : undefined),
      vm: target?.vm,
      baseAt: (hostTsc) => this.clocks.baseAt(this.world, hostTsc),
      tscAt: (timestamp) => this.instants.tscAt(timestamp),
      clocksUnknown: this.clocks.unknown,
      mustCalibrate: this.mustCalibrate,
      timesOf: (clock) => this.#timesOf(step, isDriver ? action : undefined, clock),
      isHostTsc: (tsc) => isWithin(tsc, spanOf(undefined, this.recording.actions)),
      nextMasterClock: () => this.#nextMasterClock(target?.vm, action),
      useClock: (action) => {
        this.usedClocks.add(action);
      },
      calibrate: (error) => {
        this.#correction = error;
      },
    };
  }

  /** The action's span; for what the driver did between two actions, the span between them. */
  #windowOf(step: Step, action: Action | undefined): TscWindow {
    const { actions } = this.recording;
    const span = spanOf(action, actions);
    const isAfter = action !== undefined && this.instants.tscAt(step.timestamp) > span.most;
    if (!isAfter || !this.recording.isTscClock) return span;
    const next = actions[actions.indexOf(action) + 1];
    return { least: span.most, most: next?.before.tscEnd ?? span.most };
  }

  /** The driver's reads of its clocks around a step. */
  #timesOf(step: Step, action: Action | undefined, clock: 'base' | 'realtime'): TimeSpan {
    const { actions } = this.recording;
    const { masterBase } = this.world.switches;
    const which = clock === 'base' ? masterBase : clock;
    const first = action ?? actions[0];
    const last = action ?? actions.at(-1);
    if (first === undefined || last === undefined) return { least: 0n, most: 0n };
    const isAfter =
      action !== undefined && this.instants.tscAt(step.timestamp) > action.after.tscEnd;
    const next = isAfter ? actions[actions.indexOf(action) + 1] : undefined;
    return timesBetween(first.before, next?.before ?? last.after, which);
  }

  /** The next step of a vCPU's own. */
  nextStep(after: PlacedStep, vm: number, vcpu: number): PlacedStep | undefined {
    const isIts = ({ target }: PlacedStep): boolean =>
      target?.kind === 'vcpu' && target.vm === vm && target.vcpu === vcpu;
    return this.steps.slice(this.steps.indexOf(after) + 1).find(isIts);
  }

  #nextMasterClock(
    vm: number | undefined,
    action: Action | undefined,
  ): { clock: SeenClock; action: Action } | undefined {
    const { actions } = this.recording;
    const driver = vm === undefined ? undefined : this.driverVm.get(vm);
    const from = action === undefined ? 0 : actions.indexOf(action);
    for (const next of actions.slice(from)) {
      const seen = next.seen?.vm === driver ? next.seen : undefined;
      if (next.op === 'KVM_SET_CLOCK' && seen !== undefined) return undefined;
      const clock = seen?.clock;
      if (clock !== undefined && clock.hostTsc !== 0n) return { clock, action: next };
    }
    return undefined;
  }

  #expectedOf(tid: number): Predicted[] {
    const expected = this.#expected.get(tid) ?? [];
    this.#expected.set(tid, expected);
    return expected;
  }

  /** Lets an input happen at a step, or at another time; its tracepoints wait to be compared. */
  dispatch(
    placed: PlacedStep,
    input: Untimed,
    how: { readonly source?: ReadingSource | undefined; readonly timestamp?: bigint } = {},
  ): readonly Observation[] {
    const { step } = placed;
    const tsc = this.instants.tscAt(how.timestamp ?? step.timestamp);
    const timed = { ...input, tsc: later(tsc, this.world.lastTsc) } as Input;
    try {
      const reads = how.source ?? this.#adopter.source(this.#here(placed));
      const { observations } = this.world.dispatch(timed, reads);
      this.#expectedOf(step.tid).push(...observations.filter(isTracepoint));
      this.#noteTimers(observations, timed.tsc);
      this.#calibrate();
      return observations;
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      this.wrong(placed, 'input', error.expected, `${error.type}: ${error.found}`);
      return [];
    }
  }

  /** Corrects the host's clocks by what a snapshot showed. */
  #calibrate(): void {
    const { host } = this.world;
    if (this.#correction === undefined) return;
    const offsBoot = host.offsBoot + this.#correction;
    this.#correction = undefined;
    this.mustCalibrate = false;
    this.world.dispatch({
      type: 'timekeeping_update',
      tsc: this.world.lastTsc,
      vclockMode: host.vclockMode,
      ...timekeepersOf(host),
      offsBoot,
    });
  }

  #noteTimers(observations: readonly Observation[], tsc: bigint): void {
    for (const seen of observations) {
      if (seen.type === 'timer_armed') this.armed.set(`${seen.vm} ${seen.name}`, tsc);
    }
  }

  /** Without entries, pages written more often than predicted are not judged. */
  #counted(recorded: readonly ClockEvent[], expected: Predicted[]): readonly ClockEvent[] {
    if (this.hasEntries) return recorded;
    const pagesOf = (events: readonly (ClockEvent | Predicted)[]): number =>
      events.filter(({ type }) => type === 'kvm_pvclock_update').length;
    if (pagesOf(recorded) === pagesOf(expected)) return recorded;
    const isOther = ({ type }: ClockEvent | Predicted): boolean => type !== 'kvm_pvclock_update';
    expected.splice(0, expected.length, ...expected.filter(isOther));
    return recorded.filter(isOther);
  }

  /** Compares what a thread was predicted to show with what it showed. */
  settle(placed: PlacedStep): void {
    const expected = this.#expectedOf(placed.step.tid);
    const recorded = this.#counted(placed.step.recorded, expected);
    const length = Math.max(expected.length, recorded.length);
    for (let i = 0; i < length; i++) {
      const predicted = expected[i];
      const found = recorded[i];
      const closeness =
        predicted === undefined || found === undefined
          ? 'wrong'
          : compareTracepoints(predicted, found);
      const output = found?.type ?? predicted?.type ?? '';
      this.judge(placed, output, closeness, describe(predicted), describe(found));
    }
    this.#expected.set(placed.step.tid, []);
  }
}

/** Nothing shows the fraction of a nanosecond at which CLOCK_MONOTONIC_RAW stood. */
export const needsFraction = (recording: CheckedRecording, switches: Switches): boolean =>
  recording.gtods.length === 0 && switches.masterBase === 'raw';
