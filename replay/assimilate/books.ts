/** What came of comparing a recording with the model: counts, and a finding for each divergence. */
import { type Finding, makeFinding } from '../findings/finding.ts';
import { sceneAt, sceneOf } from '../findings/scene.ts';
import type { HostClock } from '../host-clock.ts';
import type { Vcpu, Vm } from '../identity/vm.ts';
import type { ProfileChoice } from './profile.ts';

/** How much of what a recording shows of clocks the model told beforehand; one count a tracepoint. */
export interface Counts {
  /** As the model had it. */
  readonly predicted: number;
  /** Taken over: what led to it is not recorded. */
  readonly inferred: number;
  /** Not comparable: the model's state was not known. */
  readonly unknown: number;
  /** Disagreements between kernel and model. */
  readonly diverged: number;
}

/** Something in which kernel and model disagree. */
export interface Disagreement {
  readonly vm: Vm | undefined;
  readonly vcpu: Vcpu | undefined;
  readonly ticks: bigint;
  /** A few words: in what. */
  readonly what: string;
  readonly expected: string;
  readonly found: string;
}

export class Books implements Counts {
  predicted = 0;
  inferred = 0;
  unknown = 0;
  diverged = 0;
  readonly #clock: HostClock;
  readonly #chosen: ProfileChoice;
  readonly #report: (finding: Finding) => void;

  constructor(clock: HostClock, chosen: ProfileChoice, report: (finding: Finding) => void) {
    this.#clock = clock;
    this.#chosen = chosen;
    this.#report = report;
  }

  /** Kernel and model disagree, and nothing that went unrecorded explains it. */
  diverge({ vm, vcpu, ticks, what, expected, found }: Disagreement): void {
    this.diverged += 1;
    const scene =
      vcpu === undefined
        ? sceneAt(this.#clock, ticks, vm)
        : sceneOf(this.#clock, ticks, vcpu, undefined);
    const { basis, profile } = this.#chosen;
    const isKnown = basis !== 'assumed';
    const why = isKnown
      ? 'Nothing that the recording leaves out explains it.'
      : 'Another kernel may do just that: no release is recorded, so name a profile.';
    const reason = `The model of ${profile.id} has ${expected}; recorded is ${found}. ${why}`;
    const severity = isKnown ? 'warning' : 'info';
    this.#report(makeFinding('divergence', severity, scene, { cause: what, reason }));
  }
}
