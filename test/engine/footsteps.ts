/** What each step of an input left behind, so that nothing a later step covers up stays hidden. */
import type { Cell, Stepper } from '../../src/engine/index.ts';
import type { StructBase } from '../../src/num/index.ts';

/** A stepper whose steps are noted. */
export class Footsteps {
  readonly stepper: Stepper;
  #steps: string[] = [];

  constructor(inner: Stepper) {
    this.stepper = {
      host: (state) => this.#noting(inner.host(state)),
      vm: (state, id) => this.#noting(inner.vm(state, id)),
      vcpu: (state, id) => this.#noting(inner.vcpu(state, id)),
    };
  }

  #noting<S extends StructBase, N extends string>(cell: Cell<S, N>): Cell<S, N> {
    const steps = (): string[] => this.#steps;
    return {
      get state() {
        return cell.state;
      },
      step(signal, ctx) {
        cell.step(signal, ctx);
        steps().push(`${signal} ${cell.state.hash()}`);
      },
    };
  }

  /** The steps since the last time, as text: each signal, and a hash of its machine's bytes after. */
  take(): string {
    const text = this.#steps.join(', ');
    this.#steps = [];
    return text;
  }
}
