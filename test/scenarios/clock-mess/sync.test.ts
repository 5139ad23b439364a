/** “Cleaning up the KVM clock mess”, patches 13, 14 and 15: generations of TSCs, and the masterclock. */
import { describe, expect, test } from 'vitest';
import { clocksAfter, DAY_S, patchSeen } from './patch.ts';

describe('13: what a matched write leaves', () => {
  test.each([
    ['10s', '100ms'],
    ['1min', '500ms'],
    ['1d', '1s'],
  ])('0 after %s, the right value %s later', async (uptime, pause) => {
    const { before, after } = await patchSeen(13, { params: { uptime, pause } });
    expect(before).toMatchObject({
      'a 0 joins the TSC there is': true,
      masterclock: 'off.unmatched',
    });
    expect(after).toMatchObject({ 'a 0 joins the TSC there is': true, masterclock: 'on' });
    expect(before['the right value joins, after it']).toBe(false);
    expect(after['the right value joins, after it']).toBe(true);
    expect(after['it counts as written, after the generation began (ns)']).toBe(0n);
  });

  test('v6 slides what is remembered: the right value joins too', async () => {
    const params = { series: 'series-v6', uptime: '10s', pause: '100ms' };
    const { after } = await patchSeen(13, { params });
    expect(after['the right value joins, after it']).toBe(true);
    const ns = after['it counts as written, after the generation began (ns)'] as bigint;
    expect(ns / 1_000_000n).toBe(9_999n);
  });
});

test('14: the generation’s beginning is forgotten with the last write', async () => {
  const { before, after } = await patchSeen(14);
  const nsec = 'vCPU 2’s generation has this_tsc_nsec';
  expect(before[nsec]).toBe(1_000_000_000_000n);
  expect(after).toEqual({ ...before, [nsec]: 0n });
});

describe('15: masterclock with TSCs apart', () => {
  test.each([
    ['1d', DAY_S],
    ['2d', 2n * DAY_S],
    ['1h', 3600n],
  ])('%s after a page was written', async (uptime, seconds) => {
    const { before, after } = await patchSeen(15, { params: { uptime } });
    const apart = '… after KVM_SET_CLOCK and a load on another CPU';
    const cycles = seconds * 3_000_000_000n;
    const { pv, raw } = clocksAfter(cycles, 3_000_000);
    expect(before[apart]).toBe(raw - pv);
    expect(after[apart]).toBe(0n);
    expect(after['… after KVM_SET_CLOCK, an hour on']).toBe(0n);
    expect(before['masterclock with TSCs apart']).toBe('off.unmatched');
    expect(after['masterclock with TSCs apart']).toBe('on');
    expect(after['masterclock with another frequency']).toBe('off.unmatched');
  });

  test.each([
    ['rfc-v3', 1],
    ['series-v6', 0],
  ])('%s: STABLE %s', async (series, stable) => {
    const { after } = await patchSeen(15, { params: { series } });
    expect(after['STABLE in the page of vCPU 0']).toBe(stable);
    expect(after['… of vCPU 2']).toBe(stable);
    expect(after['flags of KVM_GET_CLOCK']).toBe(14);
  });
});
