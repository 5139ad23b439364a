/**
 * Points of the base clock that are not where its line has them.
 *
 * Once the line was confirmed, one such point is the kernel's doing. Before that it may as well be
 * that the base is no line at all but steered by NTP: the next point tells.
 */
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
  /** How far the last point was off that was told, ns. */
  #toldBy: bigint | undefined;

  constructor(line: RawLine, books: Books, chosen: ChosenProfile, driver: Driver) {
    this.#line = line;
    this.#books = books;
    this.#chosen = chosen;
    this.#driver = driver;
  }

  /** A point is on the line: one held back was off for a reason of its own. */
  on(): void {
    if (this.#held !== undefined) this.#books.diverge(this.#held);
    this.#held = undefined;
    this.#toldBy = undefined;
  }

  /** A point is off the line. */
  off(point: Astray): void {
    if (this.#line.confirmed) this.#offConfirmed(point);
    else if (this.#held === undefined) this.#held = point;
    else this.#offAgain(this.#held, point);
  }

  #offConfirmed(point: Astray): void {
    const by = this.#line.residual(point.tsc, point.ns) ?? 0n;
    const again = this.#toldBy !== undefined && by - this.#toldBy <= 1n && this.#toldBy - by <= 1n;
    if (again) this.#line.move(point.tsc, point.ns);
    else this.#books.diverge(point);
    this.#toldBy = again ? undefined : by;
  }

  #offAgain(held: Astray, point: Astray): void {
    this.#held = undefined;
    const set = this.#chosen.contradict(
      'masterBase',
      { masterBase: 'boottime', otherBase: 'boottime' },
      'a base clock that is steered',
    );
    if (set !== undefined) this.#driver.setSwitches(set);
    else for (const each of [held, point]) this.#books.diverge(each);
    this.#line.move(point.tsc, point.ns);
  }

  /** The recording ends. */
  finish(): void {
    if (this.#held !== undefined) this.#books.diverge(this.#held);
    this.#held = undefined;
  }
}
