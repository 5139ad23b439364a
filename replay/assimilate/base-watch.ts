/**
 * Points of the base clock that are not where its line has them.
 *
 * One such point may be the kernel's doing, or the base is no line at all but steered by NTP: the next
 * point tells. Where the line was confirmed before, the clock may also go on beside it.
 */
import { showOtherwise } from './around.ts';
import type { Books, Disagreement } from './books.ts';
import type { Driver } from './driver.ts';
import type { RawLine } from './line.ts';
import type { ChosenProfile } from './profile.ts';

/** A point off the line. */
export interface Astray extends Disagreement {
  readonly tsc: bigint;
  readonly ns: bigint;
}

export class BaseWatch {
  readonly #line: RawLine;
  readonly #books: Books;
  readonly #chosen: ChosenProfile;
  readonly #driver: Driver;
  #held: Astray | undefined;
  /** How far the one held back was off a line that was confirmed before, ns. */
  #heldBy: bigint | undefined;
  /** Which line it was off. */
  #heldOf = 0;

  constructor(line: RawLine, books: Books, chosen: ChosenProfile, driver: Driver) {
    this.#line = line;
    this.#books = books;
    this.#chosen = chosen;
    this.#driver = driver;
  }

  /** A point is on the line: one held back was off for a reason of its own. */
  on(): void {
    this.#tellHeld();
  }

  /** A point is off the line. */
  off(point: Astray): void {
    if (this.#heldOf !== this.#line.begun) this.#tellHeld();
    const by = this.#line.confirmed ? this.#line.residual(point.tsc, point.ns) : undefined;
    const held = this.#held;
    if (held === undefined) {
      this.#held = point;
      this.#heldBy = by;
      this.#heldOf = this.#line.begun;
    } else if (isSame(this.#heldBy, by)) {
      this.#tellHeld();
      this.#line.move(point.tsc, point.ns);
    } else this.#offAgain(held, point);
  }

  #offAgain(held: Astray, point: Astray): void {
    this.#held = undefined;
    // A clock that has followed its line is steered only where no release says otherwise.
    const mayBeSteered = this.#heldBy === undefined || this.#chosen.basis === 'assumed';
    if (!mayBeSteered || !this.#isSteered()) {
      for (const each of [held, point]) this.#books.diverge(each);
    }
    this.#line.move(point.tsc, point.ns);
  }

  /** The base clock is no line. @returns the profile may be set so. */
  #isSteered(): boolean {
    const around = { chosen: this.#chosen, driver: this.#driver };
    const steered = { masterBase: 'boottime', otherBase: 'boottime' } as const;
    return showOtherwise(around, 'masterBase', steered, 'a base clock that is steered');
  }

  #tellHeld(): void {
    if (this.#held !== undefined) this.#books.diverge(this.#held);
    this.#held = undefined;
  }

  /** The recording ends. */
  finish(): void {
    // Else nothing has shown a line, and no release says that there is one.
    if (this.#heldBy !== undefined || this.#chosen.basis !== 'assumed') this.#tellHeld();
  }
}

/** The clock was moved by one amount, and goes on beside its line. */
const isSame = (a: bigint | undefined, b: bigint | undefined): boolean =>
  a !== undefined && b !== undefined && a - b <= 1n && b - a <= 1n;
