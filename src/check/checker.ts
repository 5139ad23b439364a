/** Watches a history for breaches of invariants. */
import type { Input } from '../../events/index.ts';
import type { Dispatched, World } from '../engine/index.ts';
import { copyWorld, type WorldCopy } from './copy.ts';
import type { Invariant, Step, Violation, Watch } from './invariant.ts';
import { INVARIANTS } from './invariants/index.ts';
import { PageLedger } from './pages.ts';

/** Invariants over one world, from now on. */
export class Checker {
  readonly #world: World;
  readonly #watches: readonly { readonly invariant: Invariant; readonly watch: Watch }[];
  readonly #ledger = new PageLedger();
  #before: WorldCopy;

  /**
   * @param invariants - those to watch; only those that hold under the world's switches are. All by
   * default.
   */
  constructor(world: World, invariants: readonly Invariant[] = INVARIANTS) {
    this.#world = world;
    this.#before = copyWorld(world);
    this.#watches = invariants
      .filter((invariant) => invariant.holdsUnder(world.switches))
      .map((invariant) => ({ invariant, watch: invariant.watch() }));
  }

  /** What an input that was just dispatched broke. To be called after each one, in order. */
  after(input: Input, dispatched: Dispatched): Violation[] {
    const after = copyWorld(this.#world);
    const written = this.#ledger.note(input, dispatched, after);
    const step: Step = {
      input,
      dispatched,
      switches: this.#world.switches,
      before: this.#before,
      after,
      written,
      pages: this.#ledger.pages(),
    };
    this.#before = after;
    return this.#watches.flatMap(({ invariant: { id, bound }, watch }) =>
      [...watch(step)].map((breach) => ({
        invariant: id,
        index: dispatched.index,
        bound,
        ...breach,
      })),
    );
  }
}
