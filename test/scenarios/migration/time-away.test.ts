/** One migration under every policy: what its instants do to the numbers, by formula. */
import { describe, expect, test } from 'vitest';
import { VMM_POLICY_IDS } from '../../../src/engine/index.ts';
import type { MigrationNumbers } from '../../../src/scenarios/migration/options.ts';
import {
  between,
  DAY,
  MS,
  migrate,
  near,
  rateSlack,
  SECOND,
  staggerOf,
  timesOf,
} from './migrate.ts';

describe('the stagger of ioctls', () => {
  const VARIED: readonly Partial<MigrationNumbers>[] = [
    {},
    { saveMemoryNs: 0n },
    { saveMemoryNs: 2n * SECOND, downtimeNs: 3n * SECOND },
    { restoreClockNs: 0n },
    { restoreClockNs: 400n * MS },
    { sourceIoctlsNs: [0n], destinationIoctlsNs: [0n] },
    { sourceIoctlsNs: [1000n], destinationIoctlsNs: [500_000n] },
    { sourceIoctlsNs: [10n, 70_000n, 3n], destinationIoctlsNs: [123n, 456_789n] },
    { saveTscsNs: 5n * MS, saveClockNs: 7n * MS, restoreTscsNs: 11n * MS },
    { vcpus: 1 },
    { vcpus: 8 },
    { downtimeNs: 60n * SECOND },
  ];

  test.each(['qemu', 'plain', 'firecracker'] as const)('is what %s drifts by', (policy) => {
    for (const numbers of VARIED) {
      const verdict = migrate(policy, numbers);
      const drift = staggerOf(verdict);
      const slack = rateSlack(verdict.journey.options.downtimeNs) + 2n;
      for (const row of verdict.rows) near(row.driftNs, drift, slack);
    }
  });

  test('counts in the guest’s own time where hosts differ', () => {
    for (const destinationKhz of [2_000_000, 2_400_000, 3_100_000]) {
      const verdict = migrate('plain', { destinationKhz });
      expect(verdict.journey.vcpus[0]!.after.vcpu.l1TscScalingRatio).not.toBe(1n << 48n);
      // The ratio is exact to 1.1e-5 Hz, and kvmclock's to a part in 2^31.
      for (const row of verdict.rows) near(row.driftNs, staggerOf(verdict), 30n);
    }
  });

  test('is no matter where TSC and clock are put back by one instant', () => {
    for (const numbers of VARIED) {
      for (const row of migrate('tsc-offset', numbers).rows) {
        const slack = rateSlack(numbers.downtimeNs ?? SECOND);
        near(row.driftNs, 0n, slack);
        near(row.tscNs, 0n, slack);
        near(row.kvmclockNs, 0n, slack);
      }
    }
  });
});

describe('time away', () => {
  test.each([0n, SECOND, 3600n * SECOND])('of %i ns stands still or goes on', (more) => {
    const numbers = { downtimeNs: SECOND + more };
    const slack = rateSlack(SECOND + more) + 2n;
    const frozen = migrate('plain', numbers);
    const first = frozen.rows[0]!;
    // TSCs count from the stop until they are read, and from when they are written.
    const [p1 = 0n] = timesOf(frozen, 'out', 'KVM_GET_MSRS');
    const p3 = timesOf(frozen, 'into', 'KVM_SET_MSRS').at(-2)!;
    near(first.against.advance.tscNs, -between(frozen, p1, p3), slack);
    const [p2 = 0n] = timesOf(frozen, 'out', 'KVM_GET_CLOCK');
    const [p4 = 0n] = timesOf(frozen, 'into', 'KVM_SET_CLOCK');
    near(first.against.advance.kvmclockNs, -between(frozen, p2, p4), slack);
    const advanced = migrate('tsc-offset', numbers).rows[0]!;
    near(advanced.against.advance.kvmclockNs, 0n, slack);
    near(advanced.against.advance.tscNs, 0n, slack);
  });

  test('that kvmclock counts and the TSC does not is what they drift by', () => {
    for (const downtimeNs of [SECOND, 5n * SECOND, 30n * SECOND]) {
      const verdict = migrate('firecracker-realtime', { downtimeNs });
      const [p1 = 0n] = timesOf(verdict, 'out', 'KVM_GET_MSRS');
      const p3 = timesOf(verdict, 'into', 'KVM_SET_MSRS')[0]!;
      near(verdict.rows[0]!.driftNs, between(verdict, p1, p3), rateSlack(downtimeNs));
      near(verdict.rows[0]!.kvmclockNs, 0n, rateSlack(downtimeNs));
    }
  });
});

describe('uptime', () => {
  // KVM_GET_CLOCK reckons by the host’s frequency, not by what the guest computes.
  test.each([1n, 2n, 10n])('of %i days on a scaled TSC is lost by KVM_GET_CLOCK', (days) => {
    const scaled = { sourceKhz: 3_000_000, guestKhz: 2_500_000, uptimeNs: days * DAY };
    const young = { ...scaled, uptimeNs: 10n * SECOND };
    const [old] = migrate('plain', scaled).rows;
    const [fresh] = migrate('plain', young).rows;
    // 34,575,350 ns a day, less what 10 s had lost already.
    near(old!.kvmclockNs - fresh!.kvmclockNs, -34_575_350n * days + 4_002n, 20n * days);
  });

  test('is no matter where TSCs are not scaled', () => {
    for (const days of [1n, 10n, 100n]) {
      const verdict = migrate('plain', { uptimeNs: days * DAY });
      near(verdict.rows[0]!.driftNs, staggerOf(verdict));
    }
  });
});

describe('after the restore', () => {
  test('each vCPU that holds a request takes one more snapshot: N at creation', () => {
    for (const vcpus of [1, 2, 4]) {
      const { journey } = migrate('plain', { vcpus }, 'v6.1');
      expect(journey.snapshots).toBe(vcpus);
    }
  });

  test('a snapshot long after the clock was set moves the clock by the residue', () => {
    // 59.605 ppb slower than pvclock's −0.233: 5,129,725 ns a day, here after two hours.
    const { rows } = migrate('tsc-offset', { restoreTscsNs: 7200n * SECOND });
    near(rows[0]!.kvmclockNs, (-5_129_725n * 2n) / 24n, 20n);
  });
});

test('every policy leaves its guest’s vCPUs in step where it can', () => {
  for (const policy of VMM_POLICY_IDS) {
    const { rows } = migrate(policy, { vcpus: 4 });
    const apart = rows.filter(({ notices }) => notices.some((n) => n.includes('apart')));
    expect(apart.length).toBe(policy === 'cloud-hypervisor-52' ? 4 : 0);
  }
});
