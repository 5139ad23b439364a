import { describe, expect, it } from 'vitest';
import {
  computeGuestTsc,
  hvReferenceTime,
  mulS64U64Shr,
  mulU64U64Shr,
  nestedOffset,
  pvclockRead,
  scaleDelta,
  scaleTsc,
  timeScale,
} from '../../src/num/index.ts';

/**
 * V8 11.3 ends the process when it compiles a right shift of a u64 that was merged from two
 * branches. Each function is run hot between such merges, on both sides of it.
 */
describe('hot callers that merge u64 values', () => {
  const inputs = BigUint64Array.from({ length: 64 }, (_, i) => BigInt(i) * 0x9e37_79b9_7f4a_7c15n);
  const page = { tscTimestamp: 5n, systemTime: 7n, tscToSystemMul: 3_435_973_836, tscShift: -1 };
  const sync = { thisTscNsec: 1n, thisTscWrite: 2n, virtualTscMult: 2 ** 31, virtualTscShift: 2 };
  it.each<[string, (x: bigint, y: bigint, i: number) => bigint]>([
    ['mulU64U64Shr', (x, y, i) => mulU64U64Shr(x, y, i)],
    ['mulU64U64Shr 48', (x, y) => mulU64U64Shr(x, y, 48)],
    ['mulS64U64Shr', (x, y) => mulS64U64Shr(x, y, 48)],
    ['scaleDelta', (x, _, i) => scaleDelta(x, 0xffff_fff1, i - 32)],
    ['scaleTsc', (x, y) => scaleTsc(x, y, 32)],
    ['pvclockRead', (x) => pvclockRead(page, x)],
    ['hvReferenceTime', (x, y) => hvReferenceTime(x, y, x)],
    ['nestedOffset', (x, y) => nestedOffset(x, x, y, 48)],
    ['computeGuestTsc', (x, _, i) => computeGuestTsc(x, sync, i % 2 === 0 ? 'legacy' : 'signed')],
    ['timeScale', (x, y, i) => BigInt(timeScale((x >> 1n) | 1n, y | 1n).shift + 99 + i)],
  ])('%s', (_name, run) => {
    const out = new BigUint64Array(1);
    let sum = 0n;
    for (let round = 0; round < 2000; round++) {
      for (let i = 0; i < 64; i++) {
        const x = i % 3 === 0 ? BigInt.asUintN(64, inputs[i]! + 1n) : inputs[i]!;
        const y = i % 5 === 0 ? BigInt.asUintN(64, inputs[i]! >> 3n) : inputs[63 - i]!;
        out[0] = BigInt.asUintN(64, run(x, y, i) >> 3n);
        if (round % 500 === 0) sum += out[0]!;
      }
    }
    let expected = 0n;
    for (let i = 0; i < 64; i++) {
      const x = BigInt.asUintN(64, inputs[i]! + (i % 3 === 0 ? 1n : 0n));
      const y = i % 5 === 0 ? inputs[i]! >> 3n : inputs[63 - i]!;
      expected += run(x, y, i) >> 3n;
    }
    expect(sum).toBe(expected * 4n);
  });

  // A loop of its own: V8 has to see one callee alone to compile it into the loop.
  it('mulU64U64Shr 48, with a factor that is one', () => {
    const factors = BigUint64Array.from({ length: 64 }, (_, i) =>
      i % 2 === 0 ? BigInt(i) << 43n : 1n << 48n,
    );
    const out = new BigUint64Array(64);
    for (let round = 0; round < 20_000; round++) {
      for (let i = 0; i < 64; i++) {
        out[i] = BigInt.asUintN(64, mulU64U64Shr(inputs[i]!, factors[i]!, 48) >> 3n);
      }
    }
    const expected = Array.from(
      inputs,
      (x, i) => BigInt.asUintN(64, (x * factors[i]!) >> 48n) >> 3n,
    );
    expect([...out]).toEqual(expected);
  });
});
