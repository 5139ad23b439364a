/** What each step of an input left behind, so that nothing a later step covers up stays hidden. */
import type { Stepper } from '../../src/engine/index.ts';
import { aroundEach } from './around.ts';

/** A stepper whose steps are noted. */
export class Footsteps {
  readonly stepper: Stepper;
  #steps: string[] = [];

  constructor(inner: Stepper) {
    this.stepper = aroundEach(inner, ({ signal, ctx, state, step }) => {
      step(ctx);
      this.#steps.push(`${signal} ${state().hash()}`);
    });
  }

  /** The steps since the last time, as text: each signal, and a hash of its machine's bytes after. */
  take(): string {
    const text = this.#steps.join(', ');
    this.#steps = [];
    return text;
  }
}
