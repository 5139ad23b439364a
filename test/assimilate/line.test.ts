/** MONOTONIC_RAW as a line over the TSC: which slope it has, and which points are on it. */
import { describe, expect, test } from 'vitest';
import { RawLine } from '../../replay/assimilate/line.ts';
import { clocksourceMultShift } from '../../src/num/index.ts';

/** The host's true frequency, and a copy of it that is some kHz off. */
const KHZ = 2_599_998;
const STALE_KHZ = 2_600_050;
const BORN = { tsc: 5_000_000_000n, ns: 1_900_000_000n };

/** The clock at a TSC, so many seconds on. */
function pointAfter(seconds: bigint, offNs = 0n): readonly [tsc: bigint, ns: bigint] {
  const { mult, shift } = clocksourceMultShift(KHZ);
  const cycles = seconds * BigInt(KHZ) * 1000n;
  return [BORN.tsc + cycles, BORN.ns + ((cycles * BigInt(mult)) >> BigInt(shift)) + offNs];
}

function line(khz: number, isExact: boolean): RawLine {
  const made = new RawLine();
  made.suppose(khz, isExact);
  expect(made.place(BORN.tsc, BORN.ns)).toBe('learned');
  return made;
}

describe('a frequency that is known exactly', () => {
  test('makes every other point one on the line or off it', () => {
    for (const offNs of [-1n, 0n, 1n]) {
      expect(line(KHZ, true).place(...pointAfter(100n, offNs))).toBe('on');
    }
    for (const offNs of [-5n, -2n, 2n, 5n]) {
      expect(line(KHZ, true).place(...pointAfter(100n, offNs))).toBe('off');
    }
  });

  test('that is wrong puts the next point off', () => {
    expect(line(STALE_KHZ, true).place(...pointAfter(1n))).toBe('off');
  });
});

describe('a stale copy of the frequency', () => {
  test('leaves the slope open until a second point tells which it is', () => {
    const made = line(STALE_KHZ, false);
    expect(made.slope).toBeUndefined();
    expect(made.at(BORN.tsc)).toBeUndefined();
    expect(made.place(...pointAfter(100n))).toBe('learned');
    expect(made.slope).toMatchObject({ khz: KHZ, ...clocksourceMultShift(KHZ) });
    expect(made.confirmed).toBe(false);
  });

  test('judges the third', () => {
    const learned = () => {
      const made = line(STALE_KHZ, false);
      made.place(...pointAfter(100n));
      return made;
    };
    const made = learned();
    expect(made.place(...pointAfter(300n))).toBe('on');
    expect(made.confirmed).toBe(true);
    expect(learned().place(...pointAfter(300n, 5n))).toBe('off');
    expect(learned().place(...pointAfter(300n, -5n))).toBe('off');
  });

  test('is no copy of it where no frequency near it fits', () => {
    expect(line(STALE_KHZ + 100_000, false).place(...pointAfter(100n))).toBe('off');
    // 2 ns are more than rounding, also below.
    const soon = (offNs: bigint) => {
      const made = line(KHZ, false);
      made.place(...pointAfter(100n));
      return made.place(...pointAfter(101n, offNs));
    };
    expect([-2n, -1n, 0n, 1n, 2n].map(soon)).toEqual(['off', 'on', 'on', 'on', 'off']);
  });
});

test('a clock that goes on from elsewhere keeps a slope that was confirmed', () => {
  const made = line(STALE_KHZ, false);
  made.place(...pointAfter(100n));
  made.place(...pointAfter(200n));
  const [tsc, ns] = pointAfter(300n, 7_000n);
  made.move(tsc, ns);
  expect(made.slope?.khz).toBe(KHZ);
  expect(made.confirmed).toBe(false);
  expect(made.place(...pointAfter(400n, 7_000n))).toBe('on');
  expect(made.place(...pointAfter(500n))).toBe('off');
});
