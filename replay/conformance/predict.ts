/**
 * Predicts a recording: what the driver did and when vCPUs ran goes in, and everything the kernel
 * showed of its clocks is compared with what the model shows.
 */
import { type Input, MSRS, type Observation, type ObservationOf } from '../../events/index.ts';
import { MSR_READERS } from '../../src/clock/index.ts';
import { InputError, MSR_ROUTES, type ReadingSource, World } from '../../src/engine/index.ts';
import { asS64 } from '../../src/num/index.ts';
import type { Switches } from '../../src/profiles/index.ts';
import { type Action, type HostTimes, narrow, type SeenClock, wide } from './action.ts';
import { Adopter, type Here, isPush, spanOf } from './adopt.ts';
import { RecordedClocks } from './clocks-of.ts';
import { compareTracepoints, describe, isTracepoint, type Predicted } from './compare.ts';
import { ioctlName, type PlacedStep, placeSteps } from './fds.ts';
import { rawFraction } from './fraction.ts';
import { Future } from './future.ts';
import { hostOf, vclockModeOf } from './host-of.ts';
import { Instants, isWithin, type TscWindow } from './instants.ts';
import { judgeClock } from './judge-clock.ts';
import { judgeSeen } from './judge-seen.ts';
import type { CheckedRecording } from './recording.ts';
import { type Step, stepsOf } from './steps.ts';
import { Tally } from './tally.ts';

/** The MSRs that write the wall clock. */
const WALL_CLOCKS: ReadonlySet<number> = new Set([
  MSRS.MSR_KVM_WALL_CLOCK,
  MSRS.MSR_KVM_WALL_CLOCK_NEW,
]);

/** Longest that the kernel's timer was seen to be late, ns. */
const WORK_LATE_NS = 50_000_000n;

/** An input without its instant, which the step gives. */
type Untimed = { [T in Input['type']]: Omit<Extract<Input, { type: T }>, 'tsc'> }[Input['type']];

/** One recording being predicted. */
export class Prediction {
  readonly recording: CheckedRecording;
  readonly tally = new Tally();
  readonly world: World;
  readonly driverVm: ReadonlyMap<number, number>;
  /** Actions whose KVM_GET_CLOCK a value was taken from, which is then not predicted. */
  readonly usedClocks = new Set<Action>();
  readonly #steps: readonly PlacedStep[];
  readonly #future: Future;
  readonly #instants: Instants;
  readonly clocks: RecordedClocks;
  readonly #adopter: Adopter;
  /** Tracepoints predicted in a thread and not yet compared. */
  readonly #expected = new Map<number, Predicted[]>();
  /** Threads whose KVM_RUN has begun and whose load is still to come. */
  readonly #loadPending = new Set<number>();
  /** When a VM's delayed work was armed, host TSC, by name. */
  readonly #armed = new Map<string, bigint>();
  #vclockMode: number;
  #clockReads = 0;
  /** The last action after which was compared what the driver saw. */
  #lookedAfter: Action | undefined;
  /** The host's clocks went on from an unknown place; the next snapshot shows it. */
  #mustCalibrate = false;
  /** CLOCK_REALTIME was set, or not yet read with a TSC. */
  #realtimeUnknown = true;
  /** VMs whose wall clock was written and not yet seen, and whether CLOCK_REALTIME was known then. */
  readonly #newWalls = new Map<number, boolean>();
  /** By how much the host's clocks were found to be off, ns. */
  #correction: bigint | undefined;

  /**
   * @param fraction - of a nanosecond, in 64ths, at which CLOCK_MONOTONIC_RAW stood; by default
   * what the recording's snapshots leave for it.
   */
  constructor(recording: CheckedRecording, switches: Switches, fraction?: number) {
    this.recording = recording;
    const placed = placeSteps(stepsOf(recording.events), recording.actions);
    this.#steps = placed.steps;
    this.driverVm = placed.driverVm;
    this.#future = new Future(placed.steps);
    this.#instants = new Instants(recording);
    this.clocks = new RecordedClocks(recording, switches);
    const host = hostOf(recording, switches, this.#future.firstPage());
    if (switches.tscKhzSource === 'per-cpu') this.tally.adopt('cpuTscKhz');
    if (recording.gtods.length === 0) this.tally.adopt('timekeepers');
    this.#vclockMode = host.vclockMode;
    if (fraction !== undefined) {
      host.rawXtimeNsec = (BigInt(fraction) << BigInt(host.rawShift)) / 64n;
    } else if (needsFraction(recording, switches)) {
      host.rawXtimeNsec = rawFraction(this.#future.stretches(this.#firstDisturbance()), host);
    }
    this.world = new World({ switches, host });
    this.#adopter = new Adopter(this.world, this.#future, this.tally, (kind, value, here) => {
      this.#wrong(
        here.placed,
        `adopted ${kind}`,
        `in ${here.window.least} … ${here.window.most}`,
        `${value}`,
      );
    });
  }

  /** Where the host first slept or changed its clocksource. */
  #firstDisturbance(): number {
    const first = this.#steps.find(
      ({ step, action }) => step.kind === 'suspend' || action?.op === 'write_file',
    );
    return first === undefined ? Number.POSITIVE_INFINITY : this.#future.placeOf(first, 0);
  }

  /**
   * Whether a VM's wall clock was written since it was last asked for, and with which knowledge of
   * CLOCK_REALTIME: `undefined` when it was not.
   */
  takeNewWall(vm: number): { realtimeKnown: boolean } | undefined {
    const realtimeKnown = this.#newWalls.get(vm);
    this.#newWalls.delete(vm);
    return realtimeKnown === undefined ? undefined : { realtimeKnown };
  }

  /**
   * CLOCK_REALTIME as a read of it with its TSC shows: once with probes, until it is set; else each
   * time, because NTP's loop steers it unseen.
   */
  learnRealtime(placed: PlacedStep, seen: SeenClock): void {
    if (this.clocks.areProbed && !this.#realtimeUnknown) return;
    const { host } = this.world;
    const error = asS64(seen.realtime - this.clocks.realtimeAt(this.world, seen.hostTsc));
    this.tally.adopt('timekeepers');
    this.dispatch(placed, { type: 'clock_settime', offsReal: host.offsReal + error });
    this.#realtimeUnknown = false;
  }

  /** Goes through the whole recording. */
  run(): Tally {
    this.#steps.forEach((placed, index) => {
      this.#take(placed);
      const next = this.#steps[index + 1];
      const { action } = placed;
      if (action !== undefined && next?.action !== action && this.#lookedAfter !== action) {
        this.#afterAction(placed, action);
      }
    });
    return this.tally;
  }

  /** Other threads are in the guest, so that pages can change while the driver looks. */
  #isQuiet(): boolean {
    for (const vm of this.world.vms.values()) {
      for (const vcpu of vm.vcpus.values()) if (vcpu.state.run !== 'unloaded') return false;
    }
    return true;
  }

  /** What the driver saw, once for each action: it looks right after it has read the clock. */
  #afterAction(placed: PlacedStep, action: Action): void {
    this.#lookedAfter = action;
    const vm = this.#vmOfDriver(action.seen?.vm);
    if (action.seen === undefined || vm === undefined || !this.#isQuiet()) return;
    judgeSeen(this, placed, action, vm);
  }

  #vmOfDriver(driver: number | undefined): number | undefined {
    let found: number | undefined;
    for (const [vm, its] of this.driverVm) if (its === driver && this.world.vms.has(vm)) found = vm;
    return found;
  }

  #wrong(placed: PlacedStep, output: string, predicted: string, recorded: string): void {
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
    if (closeness === 'wrong') this.#wrong(placed, output, predicted, recorded);
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
      tscAt: (timestamp) => this.#instants.tscAt(timestamp),
      clocksUnknown: this.clocks.unknown,
      mustCalibrate: this.#mustCalibrate,
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
    const isAfter = action !== undefined && this.#instants.tscAt(step.timestamp) > span.most;
    if (!isAfter || !this.recording.isTscClock) return span;
    const next = actions[actions.indexOf(action) + 1];
    return { least: span.most, most: next?.before.tscEnd ?? span.most };
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

  get #driverTid(): number | undefined {
    return this.#steps.find(({ step }) => step.kind === 'op')?.step.tid;
  }

  #expectedOf(tid: number): Predicted[] {
    const expected = this.#expected.get(tid) ?? [];
    this.#expected.set(tid, expected);
    return expected;
  }

  /** Lets an input happen at a step; its tracepoints wait to be compared. */
  dispatch(placed: PlacedStep, input: Untimed, source?: ReadingSource): readonly Observation[] {
    const { step } = placed;
    const tsc = this.#instants.tscAt(step.timestamp);
    const timed = { ...input, tsc: tsc < this.world.lastTsc ? this.world.lastTsc : tsc } as Input;
    try {
      const reads = source ?? this.#adopter.source(this.#here(placed));
      const { observations } = this.world.dispatch(timed, reads);
      this.#expectedOf(step.tid).push(...observations.filter(isTracepoint));
      this.#noteTimers(observations, timed.tsc);
      this.#calibrate();
      return observations;
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      this.#wrong(placed, 'input', error.expected, `${error.type}: ${error.found}`);
      return [];
    }
  }

  /** Corrects the host's clocks by what a snapshot showed. */
  #calibrate(): void {
    const { host } = this.world;
    if (this.#correction === undefined) return;
    const offsBoot = host.offsBoot + this.#correction;
    this.#correction = undefined;
    this.#mustCalibrate = false;
    const { vclockMode, monoCycleLast, monoMult, monoShift, monoXtimeNsec, monoBase } = host;
    const { rawCycleLast, rawMult, rawShift, rawXtimeNsec, rawBase } = host;
    this.world.dispatch({
      type: 'timekeeping_update',
      tsc: this.world.lastTsc,
      vclockMode,
      monoCycleLast,
      monoMult,
      monoShift,
      monoXtimeNsec,
      monoBase,
      rawCycleLast,
      rawMult,
      rawShift,
      rawXtimeNsec,
      rawBase,
      offsBoot,
    });
  }

  #noteTimers(observations: readonly Observation[], tsc: bigint): void {
    for (const seen of observations) {
      if (seen.type === 'timer_armed') this.#armed.set(`${seen.vm} ${seen.name}`, tsc);
    }
  }

  /** Compares what a thread was predicted to show with what it showed. */
  #settle(placed: PlacedStep): void {
    const expected = this.#expectedOf(placed.step.tid);
    const { recorded } = placed.step;
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

  #take(placed: PlacedStep): void {
    const { step } = placed;
    this.#feedClocks(placed);
    switch (step.kind) {
      case 'op':
        this.#clockReads = 0;
        if (this.world.host.power === 'suspending') this.dispatch(placed, { type: 'suspend_end' });
        this.#beginAction(placed);
        break;
      case 'ioctl-enter':
        if (placed.target?.kind === 'vcpu' && ioctlName(step.call.cmd) === 'KVM_RUN') {
          // With an unstable TSC the load writes the offset, which only the next step shows.
          if (this.world.host.tsc === 'stable') this.#load(placed);
          else this.#loadPending.add(step.tid);
        }
        break;
      case 'entry':
        this.#enter(placed);
        break;
      case 'exit':
        this.#vcpuInput(placed, 'kvm_exit');
        this.#hypercall(placed);
        break;
      case 'msr':
        this.#guestMsr(placed, step);
        break;
      case 'ioctl-exit':
        this.#ioctl(placed, step);
        break;
      case 'suspend':
        this.#suspend(placed, step);
        break;
      case 'release':
        this.#release(placed);
        break;
    }
  }

  #feedClocks({ step }: PlacedStep): void {
    const until = this.#instants.tscAt(step.timestamp);
    for (const update of this.clocks.upTo(until, this.#vclockMode)) {
      const tsc = update.tsc < this.world.lastTsc ? this.world.lastTsc : update.tsc;
      this.world.dispatch({ ...update, tsc });
    }
  }

  #beginAction(placed: PlacedStep): void {
    const { action } = placed;
    if (this.#realtimeUnknown && action !== undefined) this.#estimateRealtime(placed, action);
    if (action?.op === 'write_file') this.#writeFile(placed, action);
    if (action?.op === 'clock_settime_realtime_step') this.#realtimeUnknown = true;
  }

  /** CLOCK_REALTIME was set: as the driver read it, right to the time between its two reads. */
  #estimateRealtime(placed: PlacedStep, { before }: Action): void {
    const offsReal = before.real - before.mono;
    const error = asS64(offsReal - this.world.host.offsReal);
    if (error > -1_000_000n && error < 1_000_000n) return;
    this.dispatch(placed, { type: 'clock_settime', offsReal });
  }

  /** The driver changes the clocksource. */
  #writeFile(placed: PlacedStep, action: Action): void {
    const { path, value } = action.args;
    if (typeof path !== 'string' || !path.endsWith('/current_clocksource')) return;
    const vclockMode = vclockModeOf(String(action.out['reads_back'] ?? value));
    if (vclockMode === this.#vclockMode) return;
    this.#vclockMode = vclockMode;
    this.#mustCalibrate = true;
    this.dispatch(placed, { type: 'change_clocksource', vclockMode });
    if (this.world.host.gtodWorkQueued) this.dispatch(placed, { type: 'pvclock_gtod_work' });
  }

  #load(placed: PlacedStep): void {
    const { target, step } = placed;
    if (target?.kind !== 'vcpu') return;
    this.dispatch(placed, { type: 'vcpu_load', vm: target.vm, vcpu: target.vcpu, cpu: step.cpu });
  }

  #vcpuInput(
    placed: PlacedStep,
    type: 'kvm_exit' | 'kvm_entry' | 'vcpu_put' | 'vcpu_requests',
  ): void {
    const { target } = placed;
    if (target?.kind !== 'vcpu') return;
    this.dispatch(placed, { type, vm: target.vm, vcpu: target.vcpu });
  }

  /** An entry, before which delayed work may have fired. */
  #enter(placed: PlacedStep): void {
    const { target, step } = placed;
    if (target?.kind !== 'vcpu') return;
    this.#loads(placed);
    const page = step.recorded.some(({ type }) => type === 'kvm_pvclock_update');
    this.#fireWork(placed, target.vm, page);
    this.#vcpuInput(placed, 'kvm_entry');
    this.#settle(placed);
  }

  /**
   * With an unstable TSC each load shows, also those of a thread that was scheduled out and in
   * before it came to enter the guest.
   */
  #loads(placed: PlacedStep): void {
    const { recorded, tid } = placed.step;
    let served = false;
    for (const event of recorded) {
      if (event.type !== 'kvm_write_tsc_offset' || isPush(event)) {
        served = true;
        continue;
      }
      if (!this.#loadPending.delete(tid)) {
        if (served) this.#vcpuInput(placed, 'vcpu_requests');
        this.#vcpuInput(placed, 'vcpu_put');
      }
      served = false;
      this.#load(placed);
    }
    if (this.#loadPending.delete(tid)) this.#load(placed);
  }

  /** Fires work that is due: when a page shows it, or when it can't be later. */
  #fireWork(placed: PlacedStep, vm: number, seen: boolean): void {
    const state = this.world.vms.get(vm)?.cell.state;
    if (state === undefined) return;
    const now = this.#instants.tscAt(placed.step.timestamp);
    const { tscKhz } = this.world.host;
    const due = (name: string, delayNs: bigint): boolean => {
      const armed = this.#armed.get(`${vm} ${name}`);
      if (armed === undefined) return false;
      const elapsedNs = ((now - armed) * 1_000_000n) / BigInt(tscKhz);
      return elapsedNs >= (seen ? delayNs : delayNs + WORK_LATE_NS);
    };
    if (state.syncWork === 'armed' && due('kvmclock_sync_work', 300_000_000_000n)) {
      const late = due('kvmclock_sync_work', 333_000_000_000n);
      if (seen || late) {
        this.dispatch(placed, { type: 'kvmclock_sync_work', vm });
        this.dispatch(placed, { type: 'kvmclock_update_work', vm });
        this.tally.adopt('work-time');
        return;
      }
    }
    if (state.updateWork === 'queued' && due('kvmclock_update_work', 100_000_000n)) {
      this.dispatch(placed, { type: 'kvmclock_update_work', vm });
      this.tally.adopt('work-time');
    }
  }

  /** The guest's hypercall that the driver made it do; no event shows it. */
  #hypercall(_placed: PlacedStep): void {}

  #guestMsr(placed: PlacedStep, step: Extract<Step, { kind: 'msr' }>): void {
    const { target } = placed;
    if (target?.kind !== 'vcpu') return;
    const { ecx: index, data, write, exception } = step.event;
    const at = { vm: target.vm, vcpu: target.vcpu, index };
    if (write && MSR_ROUTES.has(index) && !exception) {
      const seen = this.dispatch(
        placed,
        { type: 'wrmsr', ...at, data },
        this.#wallSource(placed, index),
      );
      if (WALL_CLOCKS.has(index)) this.#newWalls.set(target.vm, !this.#realtimeUnknown);
      const result = seen.find((o): o is ObservationOf<'msr_result'> => o.type === 'msr_result');
      this.judge(placed, 'wrmsr', result?.ok === true ? 'exact' : 'wrong', `${result?.ok}`, 'true');
    } else if (!write && MSR_READERS.has(index) && !exception) {
      this.#guestRead(placed, at, data);
    }
    this.#settle(placed);
  }

  /** The clocks of a wall clock's epoch are read at one instant or close to each other. */
  #wallSource(placed: PlacedStep, index: number): ReadingSource | undefined {
    if (!WALL_CLOCKS.has(index)) return undefined;
    const tsc = this.#instants.tscAt(placed.step.timestamp);
    return (name) => {
      if (name === 'getClock.tsc') return tsc;
      if (name === 'realtime.ns') return this.clocks.realtimeAt(this.world, tsc);
      return undefined;
    };
  }

  #guestRead(
    placed: PlacedStep,
    at: { vm: number; vcpu: number; index: number },
    data: bigint,
  ): void {
    if (this.#isClockMsr(at.index)) {
      this.#judgeSpan(placed, 'rdmsr', { type: 'rdmsr', ...at }, data);
      return;
    }
    const seen = this.dispatch(placed, { type: 'rdmsr', ...at });
    const result = seen.find((o): o is ObservationOf<'msr_result'> => o.type === 'msr_result');
    const exact = result?.data === data;
    this.judge(placed, 'rdmsr', exact ? 'exact' : 'wrong', `${result?.data}`, `${data}`);
  }

  #suspend(placed: PlacedStep, step: Extract<Step, { kind: 'suspend' }>): void {
    const { text, start, val } = step.event;
    const { power } = this.world.host;
    if (text === 'suspend_enter' && start && power === 'running') {
      this.dispatch(placed, { type: 'suspend' });
    } else if (text === 'CPU_OFF' && !start) {
      this.dispatch(placed, { type: 'cpu_offline', cpu: val });
    } else if (text === 'CPU_ON' && !start) {
      this.dispatch(placed, { type: 'cpu_online', cpu: val });
    } else if (text === 'syscore_suspend' && !start && power === 'suspending') {
      this.dispatch(placed, { type: 'timekeeping_suspend' });
    } else if (text === 'syscore_resume' && !start && power === 'suspended') {
      this.dispatch(placed, { type: 'resume', cpu: 0, offsBoot: this.world.host.offsBoot });
      this.#mustCalibrate = true;
      this.#realtimeUnknown = true;
    }
  }

  /** Closing the last descriptors of a VM. */
  #release(placed: PlacedStep): void {
    const { target, action, step } = placed;
    if (action?.op === 'close_vm' && target !== undefined) {
      this.dispatch(placed, { type: 'destroy_vm', vm: target.vm, cpu: step.cpu });
    }
    this.#settle(placed);
  }

  #ioctl(placed: PlacedStep, step: Extract<Step, { kind: 'ioctl-exit' }>): void {
    const { target } = placed;
    const name = ioctlName(step.call.cmd);
    if (target?.kind === 'vm') this.#vmIoctl(placed, step, target.vm, name);
    else if (target?.kind === 'vcpu') this.#vcpuIoctl(placed, step, target, name);
    this.#settle(placed);
  }

  #vmIoctl(
    placed: PlacedStep,
    step: Extract<Step, { kind: 'ioctl-exit' }>,
    vm: number,
    name: string | undefined,
  ): void {
    const { action } = placed;
    switch (name) {
      case 'KVM_CREATE_VM':
        this.dispatch(placed, { type: 'KVM_CREATE_VM', vm });
        break;
      case 'KVM_GET_CLOCK':
        this.#getClock(placed, vm);
        break;
      case 'KVM_SET_CLOCK':
        this.#setClock(placed, step, vm);
        break;
      case 'KVM_SET_TSC_KHZ': {
        const khz = Number(step.call.arg);
        const seen = this.dispatch(placed, { type: 'KVM_SET_VM_TSC_KHZ', vm, khz });
        this.#judgeRet(placed, seen, step.ret, action);
        break;
      }
      case 'KVM_XEN_HVM_CONFIG':
      case 'KVM_XEN_HVM_SET_ATTR':
        this.#xenVm(placed, step, vm);
        break;
      case 'KVM_GET_TSC_KHZ':
        this.#judgeRet(
          placed,
          this.dispatch(placed, { type: 'KVM_GET_VM_TSC_KHZ', vm }),
          step.ret,
          action,
        );
        break;
      default:
    }
  }

  /** What the driver sets of Xen's interface, as far as it touches clocks. */
  #xenVm(placed: PlacedStep, step: Extract<Step, { kind: 'ioctl-exit' }>, vm: number): void {
    const { action } = placed;
    if (step.ret < 0n || action === undefined) return;
    const { op, args } = action;
    if (op === 'KVM_XEN_HVM_CONFIG') {
      this.dispatch(placed, { type: op, vm, flags: narrow(args['flags']) ?? 0 });
    } else if (args['type'] === 'SHARED_INFO') {
      const gpa = (wide(args['gfn']) ?? 0n) << 12n;
      this.dispatch(placed, { type: 'KVM_XEN_SET_SHARED_INFO', vm, gpa });
    }
  }

  #setClock(placed: PlacedStep, step: Extract<Step, { kind: 'ioctl-exit' }>, vm: number): void {
    const args = placed.action?.op === 'KVM_SET_CLOCK' ? placed.action.args : {};
    const seen = this.dispatch(placed, {
      type: 'KVM_SET_CLOCK',
      vm,
      clock: wide(args['clock']) ?? 0n,
      flags: narrow(args['flags']) ?? 0,
      realtime: wide(args['realtime']) ?? 0n,
    });
    this.#judgeRet(placed, seen, step.ret, placed.action);
  }

  /** The driver's own read is the first of an action, the one of what it sees the last. */
  #getClock(placed: PlacedStep, vm: number): void {
    const { action } = placed;
    const own = action?.op === 'KVM_GET_CLOCK' && this.#clockReads === 0;
    this.#clockReads += 1;
    if (action === undefined) return;
    judgeClock(this, placed, action, vm, own);
    if (!own && action.seen?.vm === this.driverVm.get(vm)) this.#afterAction(placed, action);
  }

  #judgeRet(
    placed: PlacedStep,
    seen: readonly Observation[],
    ret: bigint,
    action: Action | undefined,
  ): void {
    const result = seen.find((o): o is ObservationOf<'ioctl_result'> => o.type === 'ioctl_result');
    if (result === undefined) return;
    const exact = BigInt(result.ret) === ret;
    this.judge(
      placed,
      'ioctl',
      exact ? 'exact' : 'wrong',
      `${result.ret}`,
      `${ret} (${action?.op})`,
    );
  }

  #vcpuIoctl(
    placed: PlacedStep,
    step: Extract<Step, { kind: 'ioctl-exit' }>,
    target: { vm: number; vcpu: number },
    name: string | undefined,
  ): void {
    const at = { vm: target.vm, vcpu: target.vcpu };
    if (name === 'KVM_CREATE_VCPU') {
      this.dispatch(placed, { type: 'KVM_CREATE_VCPU', ...at, cpu: step.cpu });
      this.dispatch(placed, { type: 'vcpu_postcreate', ...at });
      return;
    }
    if (name === 'KVM_RUN') {
      this.#loads(placed);
      this.#vcpuInput(placed, 'vcpu_put');
      return;
    }
    this.#load(placed);
    const input = this.#vcpuIoctlInput(placed, step, at, name);
    if (input?.type === 'KVM_GET_MSRS' && this.#isClockMsr(input.index)) {
      const value = wide(placed.action?.out['value']);
      if (value !== undefined)
        this.#judgeSpan(placed, 'KVM_GET_MSRS', input, BigInt.asUintN(64, value));
    } else if (input !== undefined) {
      const seen = this.dispatch(placed, input);
      this.#judgeRet(placed, seen, step.ret, placed.action);
      this.#judgeRead(placed, seen);
    }
    this.#vcpuInput(placed, 'vcpu_put');
  }

  #vcpuIoctlInput(
    placed: PlacedStep,
    step: Extract<Step, { kind: 'ioctl-exit' }>,
    at: { vm: number; vcpu: number },
    name: string | undefined,
  ): Untimed | undefined {
    const args = placed.action?.args ?? {};
    const index = narrow(args['msr']) ?? -1;
    switch (name) {
      case 'KVM_SET_MSRS':
        return MSR_ROUTES.has(index)
          ? { type: name, ...at, index, data: BigInt.asUintN(64, wide(args['value']) ?? 0n) }
          : undefined;
      case 'KVM_GET_MSRS':
        return MSR_READERS.has(index) ? { type: name, ...at, index } : undefined;
      case 'KVM_SET_TSC_KHZ':
        return { type: name, ...at, khz: Number(step.call.arg) };
      case 'KVM_GET_TSC_KHZ':
        return { type: name, ...at };
      case 'KVM_KVMCLOCK_CTRL':
        return { type: name, ...at };
      case 'KVM_XEN_VCPU_SET_ATTR': {
        const gpa = BigInt.asUintN(64, wide(args['value']) ?? 0n);
        if (args['type'] === 'VCPU_INFO') return { type: 'KVM_XEN_SET_VCPU_INFO', ...at, gpa };
        if (args['type'] === 'VCPU_TIME_INFO') {
          return { type: 'KVM_XEN_SET_VCPU_TIME_INFO', ...at, gpa };
        }
        return undefined;
      }
      case 'KVM_HAS_DEVICE_ATTR':
        return { type: 'KVM_HAS_TSC_OFFSET', ...at };
      case 'KVM_GET_DEVICE_ATTR':
        return { type: 'KVM_GET_TSC_OFFSET', ...at };
      case 'KVM_SET_DEVICE_ATTR':
        return {
          type: 'KVM_SET_TSC_OFFSET',
          ...at,
          offset: BigInt.asUintN(64, wide(args['offset']) ?? 0n),
        };
      default:
        return undefined;
    }
  }

  /** A clock read at an unknown instant of an action: between what its ends would read. */
  #judgeSpan(placed: PlacedStep, output: string, input: Untimed, found: bigint): void {
    const { action, target } = placed;
    const vm = target === undefined ? undefined : this.world.vms.get(target.vm)?.cell.state;
    // Without masterclock the clock is the host's base clock at an instant that nothing shows.
    const isBase = vm?.masterclock !== 'on' && input.type !== 'rdtsc' && 'index' in input;
    if (action === undefined || (isBase && input.index !== MSRS.IA32_TSC)) return;
    const readAt = ({ tsc, raw }: Pick<HostTimes, 'tsc' | 'raw'>): bigint | undefined => {
      const seen = this.dispatch(placed, input, (name) => {
        if (name === 'getClock.tsc') return tsc;
        return name === 'getClock.ns' ? raw + this.world.host.offsBoot : undefined;
      });
      return seen.find((o): o is ObservationOf<'msr_result'> => o.type === 'msr_result')?.data;
    };
    const least = readAt(action.before);
    const most = readAt({ tsc: action.after.tscEnd, raw: action.after.raw });
    if (least === undefined || most === undefined) return;
    const inside = asS64(found - least) >= 0n && asS64(most - found) >= 0n;
    this.judge(placed, output, inside ? 'exact' : 'wrong', `${least} … ${most}`, `${found}`);
  }

  #isClockMsr(index: number): boolean {
    return index === MSRS.IA32_TSC || index === MSRS.HV_X64_MSR_TIME_REF_COUNT;
  }

  /** What an ioctl read, against what the log has. */
  #judgeRead(placed: PlacedStep, seen: readonly Observation[]): void {
    const out = placed.action?.out ?? {};
    for (const o of seen) {
      if (o.type === 'msr_result' && o.data !== undefined) {
        const found = wide(out['value']);
        if (found === undefined) continue;
        const exact = BigInt.asUintN(64, found) === o.data;
        this.judge(placed, 'KVM_GET_MSRS', exact ? 'exact' : 'wrong', `${o.data}`, `${found}`);
      } else if (o.type === 'ioctl_result' && o.offset !== undefined) {
        const found = wide(out['offset']);
        if (found === undefined) continue;
        const exact = BigInt.asUintN(64, found) === o.offset;
        this.judge(
          placed,
          'KVM_VCPU_TSC_OFFSET',
          exact ? 'exact' : 'wrong',
          `${o.offset}`,
          `${found}`,
        );
      }
    }
  }
}

/** Nothing shows the fraction of a nanosecond at which CLOCK_MONOTONIC_RAW stood. */
const needsFraction = (recording: CheckedRecording, switches: Switches): boolean =>
  recording.gtods.length === 0 && switches.masterBase === 'raw';

/** Whether one outcome is nearer to the recording than another. */
const isNearer = (a: Tally, b: Tally): boolean =>
  a.wrong.length < b.wrong.length || (a.wrong.length === b.wrong.length && a.withinNs < b.withinNs);

/**
 * Predicts a recording with a kernel's switches.
 *
 * Where no probe shows the host's clocks, snapshots leave a span for the fraction of a nanosecond at
 * which CLOCK_MONOTONIC_RAW stood, and reads of the clock narrow it: the fraction that fits best is
 * taken.
 */
export function predict(recording: CheckedRecording, switches: Switches): Tally {
  let best = new Prediction(recording, switches).run();
  if (!needsFraction(recording, switches)) return best;
  for (let fraction = 0; fraction < 64 && best.withinNs + best.wrong.length > 0; fraction += 8) {
    const tally = new Prediction(recording, switches, fraction).run();
    if (isNearer(tally, best)) best = tally;
  }
  return best;
}
