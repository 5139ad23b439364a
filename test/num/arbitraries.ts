import fc from 'fast-check';

const corners = (bits: bigint, extra: readonly bigint[] = []): bigint[] => {
  const most = (1n << bits) - 1n;
  const all = [0n, 1n, 2n, 3n, most, most - 1n, ...extra];
  for (const power of [16n, 31n, 32n, 48n, 63n]) {
    if (power < bits) for (const d of [-1n, 0n, 1n]) all.push((1n << power) + d);
  }
  return all;
};

/** Any number of bits alike often, so that small and huge values meet. */
const spread = (bits: number): fc.Arbitrary<bigint> =>
  fc
    .tuple(
      fc.integer({ min: 1, max: bits }),
      fc.bigInt({ min: 0n, max: (1n << BigInt(bits)) - 1n }),
    )
    .map(([width, value]) => value >> BigInt(bits - width));

const around = (arbitrary: fc.Arbitrary<bigint>, bits: number): fc.Arbitrary<bigint> =>
  fc
    .tuple(arbitrary, fc.integer({ min: -2, max: 2 }))
    .map(([value, d]) => BigInt.asUintN(bits, value + BigInt(d)));

export const u64s: fc.Arbitrary<bigint> = fc.oneof(
  fc.constantFrom(...corners(64n)),
  spread(64),
  around(
    fc.integer({ min: 0, max: 63 }).map((k) => 1n << BigInt(k)),
    64,
  ),
);

export const s64s: fc.Arbitrary<bigint> = u64s.map((value) => BigInt.asIntN(64, value));

export const u32s: fc.Arbitrary<number> = fc
  .oneof(fc.constantFrom(...corners(32n)), spread(32))
  .map(Number);

/** Multipliers as pvclock pages have them: the top bit set. */
const pageMuls: fc.Arbitrary<number> = fc.integer({ min: 0x8000_0000, max: 0xffff_ffff });

export const muls: fc.Arbitrary<number> = fc.oneof(u32s, pageMuls);

export const shifts: fc.Arbitrary<number> = fc.oneof(
  fc.integer({ min: -4, max: 4 }),
  fc.integer({ min: -63, max: 63 }),
);

/** Frequencies of real machines and of none, kHz. */
export const khzs: fc.Arbitrary<number> = fc.oneof(
  fc.integer({ min: 500_000, max: 6_000_000 }),
  u32s.filter((khz) => khz > 0),
);
