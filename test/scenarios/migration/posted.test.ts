/** Moving a VM by ioctls that were posted and not merged. */
import { describe, expect, test } from 'vitest';
import type { MigrationNumbers } from '../../../src/scenarios/migration/options.ts';
import { DAY, MS, migrate, near, SECOND } from './migrate.ts';

const SCALED = { sourceKhz: 3_000_000, guestKhz: 2_500_000 } as const;

describe('clock-guest, the documented procedure', () => {
  const VARIED: readonly Partial<MigrationNumbers>[] = [
    {},
    { saveMemoryNs: 900n * MS, restoreClockNs: 0n },
    { destinationIoctlsNs: [123n, 456_789n] },
    { downtimeNs: 5n * SECOND },
    { ...SCALED, destinationKhz: 3_000_000 },
    { ...SCALED, destinationKhz: 2_000_000 },
    { ...SCALED, destinationKhz: 3_000_000, uptimeNs: 10n * DAY },
  ];

  test.each(['rfc-v3', 'series-v6'] as const)(
    '%s: kvmclock stays the function of the TSC',
    (id) => {
      for (const numbers of VARIED) {
        const { rows, journey } = migrate('clock-guest', numbers, id);
        expect(journey.refused).toEqual([]);
        for (const row of rows) {
          near(row.driftNs, 0n, 4n);
          near(row.kvmclockNs, 0n, 8n);
          expect(row.stableBit).toBe('kept');
        }
      }
    },
  );

  test('what was lost by KVM_GET_CLOCK on a scaled TSC is not: 34,575,350 ns a day', () => {
    const numbers = { ...SCALED, destinationKhz: 3_000_000, uptimeNs: DAY };
    const lost = migrate('plain', numbers, 'v7.3').rows[0]!;
    const kept = migrate('clock-guest', numbers, 'series-v6').rows[0]!;
    const whole = migrate('plain', { uptimeNs: DAY }, 'v7.3').rows[0]!;
    near(lost.kvmclockNs, whole.kvmclockNs - 34_575_350n, 2_000n);
    near(kept.kvmclockNs, 0n, 8n);
  });

  test('a TSC that CLOCK_REALTIME puts wrong takes kvmclock with it', () => {
    for (const realtimeErrorNs of [10_000n, -3n * MS, 2n * SECOND]) {
      const { rows } = migrate('clock-guest', { realtimeErrorNs }, 'series-v6');
      near(rows[0]!.tscNs, realtimeErrorNs);
      near(rows[0]!.kvmclockNs, realtimeErrorNs, 4n);
      near(rows[0]!.driftNs, 0n, 4n);
    }
  });

  test('a leap second is a second of both, and none by TAI', () => {
    const leap = { leapSecond: 'inserted', downtimeNs: 10n * SECOND } as const;
    const { rows } = migrate('clock-guest', leap, 'series-v6');
    near(rows[0]!.tscNs, -SECOND, 4n);
    near(rows[0]!.kvmclockNs, -SECOND, 8n);
    const tai = migrate('clock-guest', { ...leap, timescale: 'tai' }, 'series-v6').rows[0]!;
    near(tai.tscNs, 0n, 4n);
    near(tai.kvmclockNs, 0n, 8n);
  });

  test('without the ioctls the VMM falls back to KVM_SET_CLOCK', () => {
    const { rows, journey } = migrate('clock-guest', {}, 'series-v6', { clockGuestIoctls: 'none' });
    const names = journey.into.inputs
      .map(({ input }) => input.type)
      .filter((n) => n.includes('SET_CLOCK'));
    expect(names).toEqual(['KVM_SET_CLOCK_GUEST', 'KVM_SET_CLOCK']);
    near(rows[0]!.kvmclockNs, 0n, 8n);
  });
});

describe('tsc-state', () => {
  test('TSCs go on by CLOCK_REALTIME, each by itself', () => {
    for (const downtimeNs of [SECOND, 7n * SECOND, 3600n * SECOND]) {
      const { rows, journey } = migrate('tsc-state', { downtimeNs, vcpus: 4 }, 'precise-tsc');
      expect(journey.refused).toEqual([]);
      for (const row of rows) near(row.tscNs, 0n, 4n);
    }
  });

  test('a destination whose clock is behind by more than the guest was away adds nothing (v1)', () => {
    const behind = migrate('tsc-state', { realtimeErrorNs: -5n * SECOND }, 'precise-tsc');
    expect(behind.rows[0]!.tscNs).toBeLessThan(-900n * MS);
    expect(behind.rows[0]!.tscNs).toBeGreaterThan(-1100n * MS);
    const flagged = migrate('tsc-state', { realtimeErrorNs: -5n * SECOND }, 'precise-tsc', {
      tscStateIoctls: 'v2',
    });
    near(flagged.rows[0]!.tscNs, -5n * SECOND, 4n);
  });

  test('kernels that are real have no such ioctl', () => {
    const { rows } = migrate('tsc-state', {}, 'v5.10');
    expect(rows[0]!.notices[0]).toMatch(/^KVM_GET_TSC_STATE fails at the source \(E\w+\)/);
  });
});

describe('qemu-precise-tsc', () => {
  test('TSCs go on and kvmclock does not: they part by the time away', () => {
    for (const downtimeNs of [SECOND, 4n * SECOND, 20n * SECOND]) {
      const { rows } = migrate('qemu-precise-tsc', { downtimeNs }, 'precise-tsc');
      near(rows[0]!.tscNs, 0n, 4n);
      // kvmclock counted the 300 ms of memory, and 50 ms at the destination pass before it is set.
      near(rows[0]!.driftNs, 300n * MS - 50n * MS - downtimeNs, MS);
    }
  });

  test('at reset each vCPU’s TSC starts at 0 when its turn comes, and STABLE says that they agree', () => {
    const { journey, rows } = migrate('qemu-precise-tsc', {}, 'precise-tsc');
    const [first, second] = journey.vcpus.map(({ before }) => before.vcpu.l1TscOffset);
    expect(first).not.toBe(second);
    expect(rows.map(({ stableBefore }) => stableBefore)).toEqual([true, true]);
    const plain = migrate('qemu', {}, 'precise-tsc').journey.vcpus;
    expect(plain[0]!.before.vcpu.l1TscOffset).toBe(plain[1]!.before.vcpu.l1TscOffset);
  });
});
