/**
 * Findings on their way out: held back until nothing more can change them, counted and put in order
 * of time when they are handed out.
 *
 * To the end of a recording or log, or until so many wait; those are then told by what is known so
 * far. That bounds the memory that a long one takes.
 */
import type { Finding, Rule } from './findings/finding.ts';
import type { MechanismId } from './findings/mechanism.ts';
import type { Severity } from './findings/severity.ts';

const MOST_HELD = 4096;

/** How many findings there are of each kind. */
export interface FindingCounts {
  readonly byRule: Readonly<Partial<Record<Rule, number>>>;
  readonly bySeverity: Readonly<Partial<Record<Severity, number>>>;
  readonly byMechanism: Readonly<Partial<Record<MechanismId, number>>>;
}

function tally<K extends string>(counts: Partial<Record<K, number>>, key: K): void {
  counts[key] = (counts[key] ?? 0) + 1;
}

export class Settled {
  readonly #isInOrder: boolean;
  readonly #byRule: Partial<Record<Rule, number>> = {};
  readonly #bySeverity: Partial<Record<Severity, number>> = {};
  readonly #byMechanism: Partial<Record<MechanismId, number>> = {};
  #held: Finding[] = [];

  /** `isInOrder`: findings come in order of time, whatever their timestamps say. */
  constructor(isInOrder = false) {
    this.#isInOrder = isInOrder;
  }

  hold(finding: Finding): void {
    this.#held.push(finding);
  }

  /** So many wait that they are better handed out. */
  get isFull(): boolean {
    return this.#held.length > MOST_HELD;
  }

  /** Of those that were handed out. */
  get counts(): FindingCounts {
    return {
      byRule: this.#byRule,
      bySeverity: this.#bySeverity,
      byMechanism: this.#byMechanism,
    };
  }

  /**
   * Hands out what was held, in order of time; `settle` gives each its last form, or `undefined` to
   * leave it out.
   */
  release(settle?: (finding: Finding) => Finding | undefined): readonly Finding[] {
    const held = this.#held;
    this.#held = [];
    if (!this.#isInOrder) {
      held.sort((a, b) => (a.timestamp < b.timestamp ? -1 : a.timestamp > b.timestamp ? 1 : 0));
    }
    const settled: Finding[] = [];
    for (const one of held) {
      const finding = settle === undefined ? one : settle(one);
      if (finding === undefined) continue;
      tally(this.#byRule, finding.rule);
      tally(this.#bySeverity, finding.severity);
      if (finding.mechanism !== undefined) tally(this.#byMechanism, finding.mechanism);
      settled.push(finding);
    }
    return settled;
  }
}
