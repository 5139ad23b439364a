/**
 * Choices of a generated history: one number decides all that is left open in a step, so that a
 * counterexample is a list of integers and shrinks as one.
 */

/** Deals choices out of one number, the same each time. */
export class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** The next 32 bits: splitmix32. */
  u32(): number {
    this.#state = (this.#state + 0x9e37_79b9) >>> 0;
    let z = this.#state;
    z = Math.imul(z ^ (z >>> 16), 0x21f0_aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a_2d97);
    return (z ^ (z >>> 15)) >>> 0;
  }

  /** 0 … n − 1. */
  below(n: number): number {
    return this.u32() % n;
  }

  /** One of some. */
  of<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!;
  }

  /** True once in `n` times. */
  oneIn(n: number): boolean {
    return this.below(n) === 0;
  }

  /** A u64 below `n`. */
  wide(n: bigint): bigint {
    return (((BigInt(this.u32()) << 32n) | BigInt(this.u32())) * n) >> 64n;
  }
}
