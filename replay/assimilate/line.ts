/**
 * The host's base clock where nothing but pages shows it.
 *
 * CLOCK_MONOTONIC_RAW is a straight line over the TSC, and its slope is that of the clocksource's
 * multiplier, which follows from the TSC's frequency in whole kHz. So one point and the frequency
 * tell every other to 1 ns. Where only a stale copy of the frequency is known, two points tell which
 * frequency near it is the right one. A host that sleeps or changes its clocksource goes on along
 * another line; an NTP-steered base is none.
 */
import { clocksourceMultShift } from '../../src/num/index.ts';

/** How a point lies to the line. */
export type Placed = 'on' | 'off' | 'learned';

/** KVM's copy of the frequency is one part in so many off at most: the first calibration's error. */
const STALE_PART = 1000;
/** A point is given to whole ns, rounded down, and so is the one it is compared with. */
const ROUNDING_NS = 1n;

/** A slope of the line: ns a cycle, as multiplier and shift. */
export interface Slope {
  readonly khz: number;
  readonly mult: number;
  readonly shift: number;
  /** The same two, to reckon with. */
  readonly wide: { readonly mult: bigint; readonly shift: bigint };
}

function slopeOf(khz: number): Slope {
  const { mult, shift } = clocksourceMultShift(khz);
  return { khz, mult, shift, wide: { mult: BigInt(mult), shift: BigInt(shift) } };
}

/** ns along a slope; also backwards. */
const alongSlope = ({ wide }: Slope, cycles: bigint): bigint => (cycles * wide.mult) >> wide.shift;

/** The one slope that all of these are. */
function commonOf(slopes: readonly Slope[]): Slope | undefined {
  const [first] = slopes;
  const areOne = slopes.every(({ mult, shift }) => mult === first?.mult && shift === first.shift);
  return areOne ? first : undefined;
}

export class RawLine {
  /** One point of it: host TSC and ns. */
  #at: { readonly tsc: bigint; readonly ns: bigint } | undefined;
  /** The frequencies that may be the right one at all, kHz: one, or all from the first to the last. */
  #possible: { readonly least: number; readonly most: number } | undefined;
  /** Their slopes: they are thousands, and needed only where a second point is known. */
  #slopes: readonly Slope[] | undefined;
  /** Those of them that lead through all points seen. */
  #fitting: readonly Slope[] | undefined;
  #slope: Slope | undefined;
  /** A point was where the line had it. */
  confirmed = false;
  /** How often it was lost, and another one begun. */
  begun = 0;

  /**
   * The frequency is `khz`, or near it.
   *
   * @param exact - it is no stale copy.
   */
  suppose(khz: number, exact: boolean): void {
    if (this.#possible !== undefined) return;
    const reach = exact ? 0 : Math.ceil(khz / STALE_PART);
    this.#possible = { least: Math.max(1, khz - reach), most: khz + reach };
    this.#forgetSlope();
  }

  /** Which of the possible slopes is right is not known, unless there is one only. */
  #forgetSlope(): void {
    this.#fitting = undefined;
    const isOne = this.#possible !== undefined && this.#possible.least === this.#possible.most;
    this.#slope = isOne ? this.#candidates[0] : undefined;
  }

  get #candidates(): readonly Slope[] {
    if (this.#fitting !== undefined) return this.#fitting;
    if (this.#possible === undefined) return [];
    const { least, most } = this.#possible;
    this.#slopes ??= Array.from({ length: most - least + 1 }, (_, i) => slopeOf(least + i));
    return this.#slopes;
  }

  /** The slope, once it is known. */
  get slope(): Slope | undefined {
    return this.#slope;
  }

  /** A point of it is known. */
  get hasPoint(): boolean {
    return this.#at !== undefined;
  }

  /** The ns at a host TSC, to 1 ns below; `undefined` while the line is not known. */
  at(tsc: bigint): bigint | undefined {
    const { slope } = this;
    if (slope === undefined || this.#at === undefined) return undefined;
    return this.#at.ns + alongSlope(slope, tsc - this.#at.tsc);
  }

  /** How far a point is from the line, ns; 0 when it is on it as far as is known. */
  residual(tsc: bigint, ns: bigint): bigint | undefined {
    const on = this.at(tsc);
    if (on === undefined) return undefined;
    const apart = BigInt.asIntN(64, ns - on);
    return apart >= -ROUNDING_NS && apart <= ROUNDING_NS ? 0n : apart;
  }

  /** A point that is known to be one of the base clock's. */
  place(tsc: bigint, ns: bigint): Placed {
    if (this.#at === undefined || this.#possible === undefined) {
      this.#at = { tsc, ns };
      return 'learned';
    }
    if (this.slope === undefined) return this.#narrow(tsc, ns);
    if (this.residual(tsc, ns) !== 0n) return 'off';
    this.confirmed = true;
    return 'on';
  }

  /** Which slopes lead from the point known to this one. */
  #narrow(tsc: bigint, ns: bigint): Placed {
    const from = this.#at!;
    const fits = this.#candidates.filter((slope) => {
      const apart = ns - from.ns - alongSlope(slope, tsc - from.tsc);
      return apart >= -ROUNDING_NS && apart <= ROUNDING_NS;
    });
    if (fits.length === 0) return 'off';
    this.#fitting = fits;
    this.#slope = commonOf(fits);
    return 'learned';
  }

  /** The clock goes on from another place; with the same slope, if that was confirmed. */
  move(tsc: bigint, ns: bigint): void {
    this.#at = { tsc, ns };
    if (!this.confirmed) this.#forgetSlope();
    this.confirmed = false;
  }

  /** From where the clock goes on is not known. */
  lose(): void {
    this.begun += 1;
    this.#at = undefined;
    this.confirmed = false;
  }
}
