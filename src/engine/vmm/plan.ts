/** When the inputs of a composite event happen: told by a plan, for a VMM here reads no clock. */
import { addU64 } from '../../num/index.ts';
import type { VmmMoment } from './phase.ts';

/** When the inputs of an event happen, in host TSC cycles of the VMM's world. */
export interface Plan {
  /** The first one. */
  readonly tsc: bigint;
  /** From each to the next; of a list, the last one goes on. Default 0. */
  readonly step?: bigint | readonly bigint[];
  /**
   * What a step leads to: the next input (default), or the next ioctl, of which all inputs then have
   * one instant.
   */
  readonly steps?: 'inputs' | 'ioctls';
  /** What passes at a moment, beside the step to the next input or ioctl. */
  readonly waits?: { readonly [M in VmmMoment]?: bigint };
  /** CLOCK_REALTIME at a host TSC, ns, told with every ioctl that reads it; default: derived. */
  readonly realtimeNs?: (tsc: bigint) => bigint;
}

/** The instants of a plan, one after another. */
export class Instants {
  readonly #plan: Plan;
  readonly #steps: readonly bigint[];
  #now: bigint;
  #given = 0;
  #grouped = false;
  #isFirstOfGroup = false;

  constructor(plan: Plan) {
    const { step = 0n, tsc } = plan;
    this.#plan = plan;
    this.#steps = typeof step === 'bigint' ? [step] : step;
    this.#now = tsc;
  }

  /** Time passes that the plan has for this moment. */
  reach(moment: VmmMoment): void {
    this.#now = addU64(this.#now, this.#plan.waits?.[moment] ?? 0n);
  }

  /** What the plan tells of CLOCK_REALTIME at a host TSC, ns. */
  realtimeAt(tsc: bigint): bigint | undefined {
    return this.#plan.realtimeNs?.(tsc);
  }

  /** What is done inside belongs to one ioctl. */
  group(run: () => void): void {
    this.#grouped = this.#plan.steps === 'ioctls';
    this.#isFirstOfGroup = true;
    run();
    this.#grouped = false;
  }

  /** The next one. */
  next(): bigint {
    if (!this.#grouped || this.#isFirstOfGroup) {
      if (this.#given > 0) this.#now = addU64(this.#now, this.#stepTo(this.#given));
      this.#given += 1;
    }
    this.#isFirstOfGroup = false;
    return this.#now;
  }

  #stepTo(next: number): bigint {
    return this.#steps[Math.min(next, this.#steps.length) - 1] ?? 0n;
  }
}
