/** What became of inputs, a small number for each: it is digested, and counted. */
import { MASTERCLOCK_DECISIONS, type MasterclockDecision } from '../../src/clock/index.ts';
import type { Dispatched } from '../../src/engine/index.ts';

const rank = (decision: MasterclockDecision, refused: boolean): number =>
  2 * MASTERCLOCK_DECISIONS.indexOf(decision) + (refused ? 1 : 0);

/** The masterclock's part of an input in one number, with whether the kernel refused the input. */
export const outcomeOf = ({ masterclock, refused }: Dispatched): number =>
  rank(masterclock.decision, refused);

/** Of an input that came to nothing. */
export const QUIET = rank('kept', false);

/** How often inputs came to each outcome. */
export class Outcomes {
  /** By outcome. */
  readonly #times = MASTERCLOCK_DECISIONS.flatMap(() => [0, 0]);

  add(outcome: number): void {
    this.#times[outcome]! += 1;
  }

  /** Adds inputs that came to nothing. */
  addQuiet(inputs: number): void {
    this.#times[QUIET]! += inputs;
  }

  /** Inputs that the kernel refused. */
  get refused(): number {
    return this.#times.reduce((sum, times, outcome) => sum + (outcome % 2 === 1 ? times : 0), 0);
  }

  /** How often each decision about the masterclock was made that was made at all. */
  get masterclock(): ReadonlyMap<MasterclockDecision, number> {
    const decided = MASTERCLOCK_DECISIONS.map((decision, rank) => {
      const times = this.#times[2 * rank]! + this.#times[2 * rank + 1]!;
      return [decision, times] as const;
    });
    return new Map(decided.filter(([, times]) => times > 0));
  }
}
