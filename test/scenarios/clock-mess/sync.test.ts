/** “Cleaning up the KVM clock mess”, patches 13, 14 and 15: generations of TSCs, and the masterclock. */
import { describe, expect, test } from 'vitest';
import { MSRS } from '../../../events/index.ts';
import { VMM_POLICY_IDS, type VmmPolicyId } from '../../../src/engine/index.ts';
import { PROFILES } from '../../../src/profiles/index.ts';
import { vmOf } from '../../../src/scenarios/deeds.ts';
import { Stage } from '../../../src/scenarios/scenario.ts';
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

describe('14: what a TSC that went backwards leaves', () => {
  const nsec = 'vCPU 2’s generation has this_tsc_nsec';
  const write = '… this_tsc_write';
  const behind = 'vCPU 2’s TSC is behind vCPU 0’s by (cycles)';

  test('the generation’s beginning is forgotten with the last write', async () => {
    const { before, after } = await patchSeen(14);
    expect(before[nsec]).toBe(1_000_000_000_000n);
    expect(after).toEqual({ ...before, [nsec]: 0n });
  });

  // The TSC begins anew and has counted a second when the boot CPU is back.
  test.each([
    ['1h', 3_600n],
    ['1d', DAY_S],
    ['30d', 30n * DAY_S],
  ])('v6: after %s the generation moves along, and with it a new vCPU’s TSC', async (uptime, s) => {
    const params = { series: 'series-v6', uptime };
    const { before, after } = await patchSeen(14, { params });
    const lost = (s - 1n) * 3_000_000_000n;
    expect(before).toMatchObject({ [write]: 0n, [behind]: lost });
    expect(after).toEqual({ ...before, [write]: -lost, [behind]: 0n });
  });

  test('v6: what last_tsc_* were would have a TSC join that has counted the sleep', async () => {
    const joins = 'in another VM, a TSC written on by the sleep joins';
    const params = { series: 'series-v6' };
    expect((await patchSeen(14, { params })).after[joins]).toBe(false);
    const { after } = await patchSeen(14, { params, set: { syncStore: 'both' } });
    expect(after[joins]).toBe(true);
  });
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
    const frequency = 'masterclock with another frequency';
    expect(before[frequency]).toBe('on');
    expect(after[frequency]).toBe('off.unmatched');
    expect(before['… and after a write of that TSC']).toBe('off.unmatched');
    expect(after['… and after a write of that TSC']).toBe('off.unmatched');
  });

  // From 3.0 to 2.5 GHz a TSC loses a sixth of what the host's has counted.
  test.each([
    ['rfc-v3', '1d', -43_200_000_000_001n],
    ['rfc-v3', '1h', -1_800_000_000_001n],
    ['series-v6', '1d', 0n],
    ['series-v6', '1h', 0n],
  ])('%s: KVM_SET_TSC_KHZ after %s moves the TSC by %s cycles', async (series, uptime, jump) => {
    const { after } = await patchSeen(15, { params: { series, uptime } });
    expect(after['KVM_SET_TSC_KHZ moves vCPU 2’s TSC by (cycles)']).toBe(jump);
  });

  test.each([
    ['rfc-v3', 1],
    ['series-v6', 0],
  ])('%s: STABLE %s', async (series, stable) => {
    const { after } = await patchSeen(15, { params: { series } });
    expect(after['STABLE in the page of vCPU 0']).toBe(stable);
    expect(after['… of vCPU 2']).toBe(stable);
    expect(after['flags of KVM_GET_CLOCK']).toBe(14);
    // TSCs that are one again change STABLE, which v6 tells all vCPUs.
    expect(after['references asked for when the TSCs are one again']).toBe(1 - stable);
  });

  // The mails’ own counts: frequency generations 1 (vCPU 0 set), 2 (vCPU 1 created) and 3 (set).
  test.each([
    ['rfc-v3', {}, ['on', 'on', 'on']],
    ['series-v6', {}, ['off.unmatched', 'on', 'on']],
    ['series-v6', { mclkCriterion: 'frequency' }, ['on', 'on', 'on']],
    ['series-v6', { syncOnSetTscKhz: 'none' }, ['on', 'on', 'on']],
    ['rfc-v3', { vmTscKhz: 'none' }, ['on', 'on', 'refused: -25']],
  ] as const)(
    '%s, %j: one frequency, set in one order or another',
    async (series, set, expected) => {
      const { before, after } = await patchSeen(15, { params: { series }, set });
      const orders = Object.keys(after).slice(-3);
      expect(orders[0]).toContain('each when it is created');
      expect(orders.map((order) => after[order])).toEqual(expected);
      if (Object.keys(set).length === 0) {
        expect(orders.map((order) => before[order])).toEqual(['on', 'on', 'on']);
      }
    },
  );
});

describe('series-v6: vCPUs of one frequency that are not all counted', () => {
  const booted = (policy: VmmPolicyId) => {
    const sim = new Stage(PROFILES['series-v6']).host({ tscKhz: 3_000_000 });
    sim.host.pass(1_000_000_000_000n);
    const vm = sim.vm(policy);
    vm.start(2, 2_500_000);
    return { vm, state: vmOf(sim) };
  };

  test('the reason says so, not that frequencies differ', () => {
    const { vm, state } = booted('plain');
    expect([0, 1].map((id) => vm.kvm(id).virtualTscKhz)).toEqual([2_500_000, 2_500_000]);
    expect([0, 1].map((id) => vm.kvm(id).thisTscFreqGeneration)).toEqual([1n, 3n]);
    expect(state.nrVcpusMatchedFreq).toBe(1);
    vm.exit(1);
    vm.on(1, { type: 'wrmsr', index: MSRS.HV_X64_MSR_REFERENCE_TSC, data: 0x20_0001n });
    expect(vm.on(1, { type: 'kvm_entry' }).masterclock).toMatchObject({
      decision: 'recomputed',
      by: 'off: not every vCPU’s TSC was synchronised since a frequency last changed',
    });
  });

  // QEMU writes all TSCs before the guest runs, the series’ own procedure sets the VM’s frequency.
  test.each(VMM_POLICY_IDS)('%s', (policy) => {
    const { state } = booted(policy);
    const counts = policy === 'qemu' || policy === 'clock-guest';
    expect(state.masterclock).toBe(counts ? 'on' : 'off.unmatched');
    expect(state.nrVcpusMatchedFreq).toBe(counts ? 2 : 1);
  });
});
