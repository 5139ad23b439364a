/** What findings say in numbers: the parts of a step make the whole, and a rate is what its pages say. */
import { describe, expect, test } from 'vitest';
import { stepsBetween, sumOf } from '../../replay/findings/reference.ts';
import type { Page } from '../../replay/guest-clock.ts';
import { replayText, unzipped } from './fixtures.ts';
import { at, of, pageAt, vm } from './small-vm.ts';

const NAMES = [
  'clock-deep-6.12',
  'legacy-5.10',
  'ntp-hotplug',
  'set-clock-7.3',
  'tsc-guest-6.1',
  'tsc-host-deep-6.12',
  'tsc-host-unstable-6.12',
];

test.each(NAMES)('%s: prediction and remainder are the step', async (name) => {
  const { findings } = await replayText(unzipped(name, 'trace.txt'));
  for (const { deltaNs, predictedNs, remainderNs, cause } of findings) {
    expect(predictedNs === undefined).toBe(remainderNs === undefined);
    if (predictedNs === undefined) continue;
    expect(predictedNs + remainderNs!, cause).toBe(deltaNs);
  }
});

test('what is taken back is predicted to the sign', async () => {
  const { findings } = await replayText(unzipped('tsc-guest-6.1', 'trace.txt'));
  const refreshed = findings.filter(({ mechanism }) => mechanism === 'refreshed');
  const predicted = refreshed.filter(({ predictedNs }) => predictedNs !== undefined);
  expect(predicted.length).toBeGreaterThan(0);
  for (const { predictedNs, deltaNs } of predicted) {
    expect(predictedNs! < 0n).toBe(deltaNs! < 0n);
    const apart = predictedNs! - deltaNs!;
    expect(100n * (apart < 0n ? -apart : apart)).toBeLessThan(deltaNs! < 0n ? -deltaNs! : deltaNs!);
  }
});

describe('the steps between two references', () => {
  const PAGE: Page = {
    ...{ version: 2, tscTimestamp: 0n, systemTime: 0n, flags: 1 },
    ...{ tscToSystemMul: 0x8000_0000, tscShift: 0 },
  };
  const reference = (hostTsc: bigint, offsetNs: bigint, aheadNs = 0n, sleptNs = 0n) => {
    const ns = hostTsc / 2n;
    return {
      ...{ base: 'raw' as const, hostTsc, offsetNs, sleptNs, rawNs: ns },
      ...{ baseNs: ns + aheadNs + sleptNs, kernelNs: ns + aheadNs + sleptNs },
      ...{ cause: undefined, setBy: undefined },
    };
  };

  test('are each told apart, from one offset to the next', () => {
    const from = reference(1_000_000n, 300n);
    const to = reference(5_000_000n, -450n, 20n, 7_000n);
    const steps = stepsBetween(from, to, PAGE, undefined, 60n);
    expect(steps).toMatchObject({
      ...{ elapsedNs: 2_000_000n, residueNs: 0n, steeredNs: 20n, toldNs: 0n },
      ...{ sleptNs: 7_000n, setNs: -750n, takenBackNs: -30n },
    });
    expect(sumOf(steps)).toBe(20n + 7_000n - 750n - 30n);
  });
});

test.each([
  [0xa000_0000, 'by −20.0 %', '1600000000'],
  [0x7f00_0000, 'by +0.8 %', '2015748031'],
])('a page for multiplier %i is told with the change of frequency', async (mul, by, hz) => {
  const trace = vm()
    .masterclock(at(19n), 1)
    .page(at(20n), { ...pageAt(19n), version: 4, mul })
    .entry(at(20n) + 100n);
  const [rate, ...others] = await of(trace, 'rate');
  expect(others).toEqual([]);
  const page = `the page is now for a TSC of ${hz} Hz, not 2000000000 Hz`;
  expect(rate?.reason).toBe(`Multiplier and shift changed ${by}: ${page}.`);
});

test('a loss of which nobody knows how much is not one of 0 events', async () => {
  const trace = vm().line('CPU:0 [LOST EVENTS]').entry(at(12n));
  expect(await of(trace, 'gap')).toMatchObject([{ cause: 'events lost' }]);
});

describe('flags', () => {
  const withFlags = (flags: number) =>
    vm()
      .page(at(20n), { ...pageAt(9n), version: 4, flags })
      .entry(at(20n) + 100n);

  test('of no name are told by their number', async () => {
    expect(await of(withFlags(1 | (1 << 5)), 'flags')).toMatchObject([{ cause: 'bit 5 set' }]);
  });

  test('that stay are not told where STABLE goes', async () => {
    expect(await of(withFlags(0), 'flags')).toEqual([]);
  });
});
