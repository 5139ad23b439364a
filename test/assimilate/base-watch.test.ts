/** When a base clock that is not on its line is told, and when it is taken to be steered. */
import { describe, expect, test } from 'vitest';
import { BaseWatch } from '../../replay/assimilate/base-watch.ts';
import { Books } from '../../replay/assimilate/books.ts';
import { Driver } from '../../replay/assimilate/driver.ts';
import { firstHost } from '../../replay/assimilate/first-host.ts';
import { RawLine } from '../../replay/assimilate/line.ts';
import { ChosenProfile } from '../../replay/assimilate/profile.ts';
import { HostClock } from '../../replay/host-clock.ts';

/** 1 GHz: a cycle is a nanosecond, but for the rounding of the multiplier. */
const KHZ = 1_000_000;
const SECOND = 1_000_000_000n;

/** Divergences told of points so many ns off the line, one a second, in a recording of a kernel. */
function told(release: string | undefined, residuals: readonly bigint[]) {
  const clock = new HostClock({ unit: 'tsc', name: 'x86-tsc', resolutionNs: 0 });
  const chosen = new ChosenProfile(release);
  const driver = new Driver(clock, chosen.profile.switches, firstHost());
  const places: bigint[] = [];
  const books = new Books(clock, chosen, ({ timestamp }) => places.push(timestamp / SECOND));
  const line = new RawLine();
  line.suppose(KHZ, true);
  const base = new BaseWatch(line, books, chosen, driver);
  line.place(0n, 0n);
  residuals.forEach((by, at) => {
    const tsc = BigInt(at + 1) * SECOND;
    const ns = (line.at(tsc) ?? 0n) + by;
    if (line.place(tsc, ns) !== 'off') base.on();
    else {
      const said = { what: 'off', expected: 'on', found: 'off' };
      base.off({ vm: undefined, vcpu: undefined, ticks: tsc, tsc, ns, ...said });
    }
  });
  base.finish();
  return { places: places.map(Number), base: driver.switches.masterBase };
}

describe('a line that was confirmed', () => {
  test('two points off it in a row are told where a release says that there is a line', () => {
    expect(told('6.12.0', [0n, 5000n, 9000n])).toEqual({ places: [2, 3], base: 'raw' });
  });

  test('and show a clock that is steered where no release is recorded', () => {
    expect(told(undefined, [0n, 5000n, 9000n])).toEqual({ places: [], base: 'boottime' });
  });

  test.each(['6.12.0', undefined])('one point off it is told (%s)', (release) => {
    expect(told(release, [0n, 5000n, 0n])).toEqual({ places: [2], base: 'raw' });
    expect(told(release, [0n, 5000n])).toEqual({ places: [2], base: 'raw' });
  });

  test.each(['6.12.0', undefined])(
    'a clock that goes on beside it is told once (%s)',
    (release) => {
      expect(told(release, [0n, 5000n, 5000n, 0n])).toEqual({ places: [2], base: 'raw' });
    },
  );
});

describe('a line that was not confirmed', () => {
  test.each(['6.12.0', undefined])(
    'two points off it show a clock that is steered (%s)',
    (release) => {
      expect(told(release, [5000n, 9000n])).toEqual({ places: [], base: 'boottime' });
    },
  );

  test('one point off it is told only where a release says that there is a line', () => {
    expect(told('6.12.0', [5000n])).toEqual({ places: [1], base: 'raw' });
    expect(told(undefined, [5000n])).toEqual({ places: [], base: 'raw' });
  });
});
