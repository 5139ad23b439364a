/**
 * Predicts a recording: what the driver did and when vCPUs ran goes in, and everything the kernel
 * showed of its clocks is compared with what the model shows.
 */
import type { Stepper } from '../../src/engine/index.ts';
import type { Switches } from '../../src/profiles/index.ts';
import type { Action, SeenClock } from './action.ts';
import { ioctlName, type PlacedStep } from './fds.ts';
import { HostLife } from './host-life.ts';
import { IoctlSteps } from './ioctl-steps.ts';
import { judgeClock } from './judge-clock.ts';
import { judgeGuest } from './judge-guest.ts';
import { judgeSeen } from './judge-seen.ts';
import type { CheckedRecording } from './recording.ts';
import { RunSteps } from './run-steps.ts';
import { needsFraction, type PredictOptions, Session } from './session.ts';
import type { Tally } from './tally.ts';
import { XenSteps } from './xen-steps.ts';

/** One recording being predicted. */
export class Prediction {
  readonly #session: Session;
  readonly #hostLife: HostLife;
  readonly #runs: RunSteps;
  readonly #ioctls: IoctlSteps;
  /** KVM_GET_CLOCKs of the current action. */
  #clockReads = 0;
  /** The last action after which was compared what the driver saw. */
  #lookedAfter: Action | undefined;

  constructor(recording: CheckedRecording, switches: Switches, options?: PredictOptions) {
    this.#session = new Session(recording, switches, options);
    this.#hostLife = new HostLife(this.#session);
    const xen = new XenSteps(this.#session);
    this.#runs = new RunSteps(this.#session, this.#hostLife, xen);
    this.#ioctls = new IoctlSteps(this.#session, this.#runs, xen, (placed, vm) => {
      this.#getClock(placed, vm);
    });
  }

  /** Goes through the whole recording. */
  run(): Tally {
    const { steps } = this.#session;
    steps.forEach((placed, index) => {
      this.#take(placed);
      const next = steps[index + 1];
      const { action } = placed;
      if (action !== undefined && next?.action !== action && this.#lookedAfter !== action) {
        this.#afterAction(placed, action);
      }
    });
    return this.#session.tally;
  }

  /** Other threads are in the guest, so that pages can change while the driver looks. */
  #isQuiet(): boolean {
    for (const vm of this.#session.world.vms.values()) {
      for (const vcpu of vm.vcpus.values()) if (vcpu.state.run !== 'unloaded') return false;
    }
    return true;
  }

  /** What the driver saw, once for each action: it looks right after it has read the clock. */
  #afterAction(placed: PlacedStep, action: Action): void {
    this.#lookedAfter = action;
    const vm = this.#vmOfDriver(action.seen?.vm);
    if (action.seen === undefined || vm === undefined || !this.#isQuiet()) return;
    judgeGuest(this.#session, placed, action, vm);
    judgeSeen(this.#session, placed, action, vm, this.#runs.takeNewWall(vm));
  }

  #vmOfDriver(driver: number | undefined): number | undefined {
    let found: number | undefined;
    for (const [vm, its] of this.#session.driverVm)
      if (its === driver && this.#session.world.vms.has(vm)) found = vm;
    return found;
  }

  /** The driver's own read is the first of an action, the one of what it sees the last. */
  #getClock(placed: PlacedStep, vm: number): void {
    const { action } = placed;
    const own = action?.op === 'KVM_GET_CLOCK' && this.#clockReads === 0;
    this.#clockReads += 1;
    if (action === undefined) return;
    judgeClock(this.#session, placed, action, vm, own, (seen: SeenClock) => {
      this.#hostLife.learnRealtime(placed, seen);
    });
    if (!own && action.seen?.vm === this.#session.driverVm.get(vm))
      this.#afterAction(placed, action);
  }

  #take(placed: PlacedStep): void {
    const { step } = placed;
    this.#hostLife.feedClocks(placed);
    switch (step.kind) {
      case 'op':
        this.#clockReads = 0;
        this.#hostLife.beginAction(placed);
        break;
      case 'ioctl-enter':
        if (placed.target?.kind === 'vcpu' && ioctlName(step.call.cmd) === 'KVM_RUN') {
          this.#runs.begin(placed);
        }
        break;
      case 'entry':
        this.#runs.enter(placed);
        break;
      case 'exit':
        this.#runs.vcpuInput(placed, 'kvm_exit');
        break;
      case 'msr':
        this.#runs.msr(placed, step);
        break;
      case 'ioctl-exit':
        this.#ioctls.take(placed, step);
        break;
      case 'suspend':
        this.#hostLife.suspend(placed, step);
        break;
      case 'release':
        this.#release(placed);
        break;
    }
  }

  /** Closing the last descriptors of a VM. */
  #release(placed: PlacedStep): void {
    const { target, action, step } = placed;
    if (action?.op === 'close_vm' && target !== undefined) {
      this.#session.dispatch(placed, { type: 'destroy_vm', vm: target.vm, cpu: step.cpu });
    }
    this.#session.settle(placed);
  }
}

/** Whether one outcome is nearer to the recording than another. */
const isNearer = (a: Tally, b: Tally): boolean =>
  a.wrong.length < b.wrong.length || (a.wrong.length === b.wrong.length && a.withinNs < b.withinNs);

/**
 * Predicts a recording with a kernel's switches.
 *
 * Where no probe shows the host's clocks, snapshots leave a span for the fraction of a nanosecond at
 * which CLOCK_MONOTONIC_RAW stood, and reads of the clock narrow it: the fraction that fits best is
 * taken.
 *
 * @param stepper - what moves the machines; their decision tables by default.
 */
export function predict(recording: CheckedRecording, switches: Switches, stepper?: Stepper): Tally {
  let best = new Prediction(recording, switches, { stepper }).run();
  if (!needsFraction(recording, switches)) return best;
  for (let fraction = 0; fraction < 64 && best.withinNs + best.wrong.length > 0; fraction += 8) {
    const tally = new Prediction(recording, switches, { fraction, stepper }).run();
    if (isNearer(tally, best)) best = tally;
  }
  return best;
}
