/** The host's own life in a recording: its clocks, its clocksource, its sleep. */
import { asS64 } from '../../src/num/index.ts';
import type { Action, SeenClock } from './action.ts';
import type { PlacedStep } from './fds.ts';
import { vclockModeOf } from './host-of.ts';
import { later } from './instants.ts';
import type { Session } from './session.ts';
import type { Step } from './steps.ts';

/** What takes a host CPU off and on. */
const CPU_ONLINE = /\/cpu(\d{1,3})\/online$/;
/** The clocks stop and go on in suspend to idle, on the last CPU that sleeps and the first awake. */
const FREEZE = 'timekeeping_freeze';

/** What happens to the host. */
export class HostLife {
  readonly #session: Session;
  #vclockMode: number;
  /** CLOCK_REALTIME was set, or not yet read with a TSC. */
  #realtimeUnknown = true;

  constructor(session: Session) {
    this.#session = session;
    this.#vclockMode = session.world.host.vclockMode;
  }

  /** CLOCK_REALTIME was read together with a TSC since it was last set. */
  get knowsRealtime(): boolean {
    return !this.#realtimeUnknown;
  }

  /**
   * CLOCK_REALTIME as a read of it with its TSC shows: once with probes, until it is set; else each
   * time, because NTP's loop steers it unseen.
   */
  learnRealtime(placed: PlacedStep, seen: SeenClock): void {
    if (this.#session.clocks.areProbed && !this.#realtimeUnknown) return;
    const { host } = this.#session.world;
    const error = asS64(
      seen.realtime - this.#session.clocks.realtimeAt(this.#session.world, seen.hostTsc),
    );
    this.#session.tally.adopt('timekeepers');
    this.#session.dispatch(placed, { type: 'clock_settime', offsReal: host.offsReal + error });
    this.#realtimeUnknown = false;
  }

  /** Tells the world of the clocks' updates up to a step. */
  feedClocks({ step }: PlacedStep): void {
    const until = this.#session.instants.tscAt(step.timestamp);
    for (const update of this.#session.clocks.upTo(until, this.#vclockMode)) {
      const tsc = later(update.tsc, this.#session.world.lastTsc);
      this.#session.world.dispatch({ ...update, tsc });
    }
  }

  /** What an action does to the host. */
  beginAction(placed: PlacedStep): void {
    if (this.#session.world.host.power === 'suspending') {
      this.#session.dispatch(placed, { type: 'suspend_end' });
    }
    const { action } = placed;
    if (this.#realtimeUnknown && action !== undefined) this.#estimateRealtime(placed, action);
    if (action?.op === 'write_file') this.#writeFile(placed, action);
    if (action?.op === 'clock_settime_realtime_step') this.#realtimeUnknown = true;
  }

  /** CLOCK_REALTIME was set: as the driver read it, right to the time between its two reads. */
  #estimateRealtime(placed: PlacedStep, { before }: Action): void {
    const offsReal = before.real - before.mono;
    const error = asS64(offsReal - this.#session.world.host.offsReal);
    if (error > -1_000_000n && error < 1_000_000n) return;
    this.#session.dispatch(placed, { type: 'clock_settime', offsReal });
  }

  /** The driver changes the clocksource, or takes a CPU off or on. */
  #writeFile(placed: PlacedStep, action: Action): void {
    const { path, value } = action.args;
    if (typeof path !== 'string') return;
    const cpu = CPU_ONLINE.exec(path)?.[1];
    if (cpu !== undefined) this.#switchCpu(placed, Number(cpu), String(value).trim() === '1');
    if (path.endsWith('/current_clocksource')) this.#changeClocksource(placed, action);
  }

  #switchCpu(placed: PlacedStep, cpu: number, online: boolean): void {
    this.#session.dispatch(placed, { type: online ? 'cpu_online' : 'cpu_offline', cpu });
  }

  #changeClocksource(placed: PlacedStep, action: Action): void {
    const { value } = action.args;
    const vclockMode = vclockModeOf(String(action.out['reads_back'] ?? value));
    if (vclockMode === this.#vclockMode) return;
    this.#vclockMode = vclockMode;
    this.#session.mustCalibrate = true;
    this.#session.dispatch(placed, { type: 'change_clocksource', vclockMode });
    if (this.#session.world.host.gtodWorkQueued)
      this.#session.dispatch(placed, { type: 'pvclock_gtod_work' });
  }

  /** A step of suspend or resume. */
  suspend(placed: PlacedStep, step: Extract<Step, { kind: 'suspend' }>): void {
    const { text, start, val } = step.event;
    const { power } = this.#session.world.host;
    const stop = (text === 'syscore_suspend' && !start) || (text === FREEZE && start);
    const goOn = (text === 'syscore_resume' || text === FREEZE) && !start;
    if (text === 'suspend_enter' && start && power === 'running') {
      this.#session.dispatch(placed, { type: 'suspend' });
    } else if (text === 'CPU_OFF' && !start) {
      this.#session.dispatch(placed, { type: 'cpu_offline', cpu: val });
    } else if (text === 'CPU_ON' && !start) {
      this.#session.dispatch(placed, { type: 'cpu_online', cpu: val });
    } else if (stop && power === 'suspending') {
      this.#session.dispatch(placed, { type: 'timekeeping_suspend' });
    } else if (goOn && power === 'suspended') {
      this.#goOn(placed);
    }
  }

  /** From where the clocks go on shows only later. */
  #goOn(placed: PlacedStep): void {
    const { offsBoot } = this.#session.world.host;
    this.#session.dispatch(placed, { type: 'resume', cpu: 0, offsBoot });
    this.#session.mustCalibrate = true;
    this.#realtimeUnknown = true;
  }
}
