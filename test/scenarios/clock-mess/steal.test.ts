/** “Cleaning up the KVM clock mess”, patches 20 and 21: runstates and stolen time when a clock goes back. */
import { describe, expect, test } from 'vitest';
import { patchSeen } from './patch.ts';

describe('20: a runstate when the clock was set back', () => {
  test.each([
    ['1us', 1_000n],
    ['1s', 1_000_000_000n],
    ['1h', 3_600_000_000_000n],
  ])('by %s', async (pause, ns) => {
    const blocked = 'time it was blocked (ns)';
    const entered = 'that was entered at, after the one before (ns)';
    const { before, after } = await patchSeen(20, { params: { pause } });
    expect(before).toMatchObject({ 'its runstate': 'running', [entered]: -ns });
    expect(before[blocked]).toBe((1n << 64n) - ns);
    // v3 does nothing at all, v6 changes the state and counts no time.
    expect(after).toEqual({ [blocked]: 0n, 'its runstate': 'blocked', [entered]: 0n });
    const v6 = await patchSeen(20, { params: { pause, series: 'series-v6' } });
    expect(v6.after).toEqual({ [blocked]: 0n, 'its runstate': 'running', [entered]: 0n });
  });
});

describe('21: a steal clock that goes back', () => {
  test.each([1, 10, 50])('%s ticks of 4 ms', async (times) => {
    const { before, after } = await patchSeen(21, { params: { times: String(times) } });
    const stolen = 'of that, stolen by the guest’s account (ns)';
    expect(before['the steal clock goes by (ns)']).toBe(-1_000_000_000n);
    expect(before[stolen]).toBe(BigInt(times) * 4_000_000n);
    // The tick that notices it is stolen still.
    expect(after[stolen]).toBe(4_000_000n);
  });

  test('twice what a tick takes is the least that is noticed', async () => {
    const stolen = 'of that, stolen by the guest’s account (ns)';
    const { after } = await patchSeen(21, { params: { pause: '1us' } });
    expect(after[stolen]).toBe(4_000_000n);
  });
});
