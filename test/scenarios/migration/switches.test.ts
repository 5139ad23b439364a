/** One migration under kernels that differ in one switch. */
import { describe, expect, test } from 'vitest';
import type { Switches } from '../../../src/profiles/index.ts';
import type { MigrationVerdict } from '../../../src/scenarios/migration/rows.ts';
import { between, DAY, MS, migrate, near, staggerOf, timesOf } from './migrate.ts';

describe('the kernel’s switches decide', () => {
  const stable = (verdict: MigrationVerdict) => verdict.rows.map(({ stableBit }) => stableBit);

  const YOUNG = { uptimeNs: 300n * MS, downtimeNs: 500n * MS };

  test.each(['plain', 'firecracker'] as const)(
    '%s: whether a young guest’s TSC is taken as it was saved (bf328e22e472)',
    (policy) => {
      const honoured = migrate(policy, YOUNG, 'v6.8').rows[0]!;
      const snapped = migrate(policy, YOUNG, 'v6.8', { syncWindow: 'cycles' }).rows[0]!;
      expect(honoured.tscNs).toBeGreaterThan(0n);
      expect(snapped.tscNs).toBeLessThan(-200n * MS);
    },
  );

  test('qemu: not taken either way, as it writes TSCs at reset and only the first write counts', () => {
    const verdict = migrate('qemu', YOUNG, 'v6.8');
    expect(verdict.rows[0]!.tscNs).toBeLessThan(-200n * MS);
    expect(verdict.rows[0]!.tscNs).toBe(
      migrate('qemu', YOUNG, 'v6.8', { syncWindow: 'cycles' }).rows[0]!.tscNs,
    );
  });

  test('qemu: whether KVM_GET_CLOCK is believed, or the guest’s page read', () => {
    const scaled = { sourceKhz: 3_000_000, guestKhz: 2_500_000, uptimeNs: DAY };
    const believed = migrate('qemu', scaled);
    const read = migrate('qemu', scaled, 'v7.3', { getClock: 'base' });
    near(believed.rows[0]!.driftNs, staggerOf(believed) - 34_575_350n, 2_000n);
    // The page is read where the TSC was: by P1 and not P2.
    const [p1 = 0n] = timesOf(read, 'out', 'KVM_GET_MSRS');
    const p2 = timesOf(read, 'out', 'KVM_GET_CLOCK').at(-1)!;
    near(read.rows[0]!.driftNs, staggerOf(read) - (p2 - p1), 1_000n);
  });

  test('tsc-offset: whether there is KVM_VCPU_TSC_OFFSET', () => {
    expect(migrate('tsc-offset').rows[0]!.notices.join()).not.toContain('fails');
    const without = migrate('tsc-offset', {}, 'v7.3', { tscOffsetAttr: false });
    expect(without.rows[0]!.notices[0]).toBe(
      'KVM_GET_TSC_OFFSET fails at the source (EINVAL): the VMM gives up',
    );
  });

  test.each(['plain-realtime', 'firecracker-realtime', 'firecracker-1.15'] as const)(
    '%s: whether KVM_GET_CLOCK tells the time',
    (policy) => {
      near(migrate(policy).rows[0]!.kvmclockNs, 0n);
      const without = migrate(policy, {}, 'v7.3', { getClockRealtime: false });
      const [p2 = 0n] = timesOf(without, 'out', 'KVM_GET_CLOCK');
      const [p4 = 0n] = timesOf(without, 'into', 'KVM_SET_CLOCK');
      near(without.rows[0]!.kvmclockNs, -between(without, p2, p4));
      const gaveUp = without.rows[0]!.notices.filter((notice) => notice.includes('gives up'));
      const ofOne = ['KVM_GET_CLOCK tells no time at the source: the VMM gives up'];
      expect(gaveUp).toEqual(policy === 'firecracker-realtime' ? ofOne : []);
    },
  );

  test('cloud-hypervisor: whether vCPUs restored one by one come to agree', () => {
    expect(stable(migrate('cloud-hypervisor'))).toEqual(['kept', 'kept']);
    const without = migrate('cloud-hypervisor', {}, 'v7.3', { tscOffsetAttr: false });
    expect(stable(without)).toEqual(['lost', 'lost']);
    expect(stable(migrate('cloud-hypervisor-52'))).toEqual(['lost', 'lost']);
    expect(stable(migrate('cloud-hypervisor-52', { vcpus: 1 }))).toEqual(['kept']);
    const refuses = migrate('cloud-hypervisor', {}, 'v7.3', { setClockFlags: 0 });
    expect(refuses.rows[0]!.notices[0]).toBe(
      'KVM_SET_CLOCK fails at the destination (EINVAL): the VMM gives up',
    );
  });

  test.each([1, 2, 4])(
    'plain: whether each of %i vCPUs that hold a request takes one more snapshot (v6 27)',
    (vcpus) => {
      const snapshots = (set: Partial<Switches>) =>
        migrate('plain', { vcpus }, 'v6.1', set).journey.snapshots;
      expect(snapshots({})).toBe(vcpus);
      // KVM_SET_CLOCK has taken one, which answers for all.
      expect(snapshots({ mclkUpdateDedup: true })).toBe(0);
    },
  );

  test('clock-guest: whether there is a masterclock before a vCPU has run (v6 36)', () => {
    const setClocks = (set: Partial<Switches>) =>
      migrate('clock-guest', {}, 'series-v6', set)
        .journey.into.inputs.map(({ input }) => input.type)
        .filter((type) => type.startsWith('KVM_SET_CLOCK'));
    expect(setClocks({})).toEqual(['KVM_SET_CLOCK_GUEST']);
    // Until then KVM_GET_CLOCK tells no host TSC to reckon the offsets from.
    expect(setClocks({ masterclockAtVmCreate: false })).toEqual([
      'KVM_SET_CLOCK',
      'KVM_SET_CLOCK_GUEST',
    ]);
  });
});
