/** One migration under every policy: what the two hosts’ clocks do to the numbers, by formula. */
import { describe, expect, test } from 'vitest';
import type { VmmPolicyId } from '../../../src/engine/index.ts';
import type { ProfileId } from '../../../src/profiles/index.ts';
import { between, MS, migrate, near, SECOND, staggerOf, timesOf } from './migrate.ts';

describe('frequencies', () => {
  test.each([
    [2_500_000, true, 0n],
    [2_500_600, true, 240_000n], // within KVM's tolerance: not scaled
    [2_500_600, false, 240_000n],
    [2_000_000, true, 0n],
    [2_000_000, false, -200_000_000n],
  ])('%i kHz, scaling %o: the TSC runs %i ppb fast', (destinationKhz, scaling, ppb) => {
    const { rows, journey } = migrate('qemu', { destinationKhz, scaling });
    for (const row of rows) near(row.tscRatePpb, ppb, 1n);
    const sets = journey.into.inputs.some(({ input }) => input.type === 'KVM_SET_TSC_KHZ');
    expect(sets).toBe(scaling || destinationKhz > 2_400_000);
    const told = rows[0]!.notices.filter((notice) => notice.startsWith('the TSC runs'));
    expect(told).toHaveLength(ppb === 0n ? 0 : 1);
  });

  test.each([20n, -3n, 500n])(
    '%i ppm of NTP at the destination is what its TSC runs slow by',
    (ppm) => {
      const { rows } = migrate('plain', { destinationNtpPpt: ppm * 1_000_000n });
      near(rows[0]!.tscRatePpb, (-ppm * 1_000_000_000n) / (1_000_000n + ppm), 1n);
    },
  );
});

describe('real time that hosts do not agree on', () => {
  test.each([1_000n, -2_500_000n, 3n * SECOND])('by %i ns, moves what goes by it', (error) => {
    const numbers = { realtimeErrorNs: error, downtimeNs: 10n * SECOND };
    for (const policy of ['tsc-offset', 'plain-realtime', 'cloud-hypervisor'] as const) {
      for (const row of migrate(policy, numbers).rows) near(row.kvmclockNs, error, 8n);
    }
    for (const row of migrate('tsc-offset', numbers).rows) near(row.tscNs, error, 8n);
    const exact = migrate('plain', { downtimeNs: 10n * SECOND }).rows[0]!;
    expect(migrate('plain', numbers).rows[0]!.kvmclockNs).toBe(exact.kvmclockNs);
  });

  test('KVM_SET_CLOCK never goes back behind what was saved', () => {
    const verdict = migrate('tsc-offset', { realtimeErrorNs: -5n * SECOND });
    const [p2 = 0n] = timesOf(verdict, 'out', 'KVM_GET_CLOCK');
    const [p4 = 0n] = timesOf(verdict, 'into', 'KVM_SET_CLOCK');
    near(verdict.rows[0]!.kvmclockNs, -between(verdict, p2, p4));
  });

  test.each([
    ['inserted', -1n],
    ['deleted', 1n],
  ] as const)('a leap second %s between them is an error of a second, but by TAI', (leap, sign) => {
    const numbers = { leapSecond: leap, downtimeNs: 10n * SECOND };
    for (const policy of ['tsc-offset', 'plain-realtime', 'firecracker-realtime'] as const) {
      near(migrate(policy, numbers).rows[0]!.kvmclockNs, sign * SECOND, 8n);
      const tai = migrate(policy, { ...numbers, timescale: 'tai' });
      near(tai.rows[0]!.kvmclockNs, 0n, 8n);
    }
    near(migrate('tsc-offset', numbers).rows[0]!.tscNs, sign * SECOND, 8n);
  });

  test('an inserted one is worse when the guest was away for less: no time passes', () => {
    const verdict = migrate('plain-realtime', {
      leapSecond: 'inserted',
      saveMemoryNs: 0n,
      downtimeNs: 600n * MS,
    });
    const [p2 = 0n] = timesOf(verdict, 'out', 'KVM_GET_CLOCK');
    const [p4 = 0n] = timesOf(verdict, 'into', 'KVM_SET_CLOCK');
    near(verdict.rows[0]!.kvmclockNs, -between(verdict, p2, p4));
  });
});

describe('NTP at the hosts', () => {
  const BILLION = 1_000_000_000n;

  test.each([0, 20_000, -500_000])('%i ppb: CLOCK_REALTIME counts true time', (ppb) => {
    // Had the guest stayed, its clock would have counted by the TSC, which is so much slower.
    const verdict = migrate('plain-realtime', {
      sourceNtpPpt: BigInt(ppb) * 1000n,
      destinationNtpPpt: BigInt(-ppb) * 1000n,
    });
    const [p2 = 0n] = timesOf(verdict, 'out', 'KVM_GET_CLOCK');
    const [p4 = 0n] = timesOf(verdict, 'into', 'KVM_SET_CLOCK');
    const away = between(verdict, p2, p4);
    const slower = (away * BigInt(ppb)) / (BILLION + BigInt(ppb));
    near(verdict.rows[0]!.kvmclockNs, slower, 500n);
  });

  test.each([0, 20_000, -500_000])(
    '%i ppb: v4.4’s KVM_GET_CLOCK counts what guests do not',
    (ppb) => {
      const uptimeNs = 3600n * SECOND;
      const numbers = { uptimeNs, sourceNtpPpt: BigInt(ppb) * 1000n };
      const extra = (policy: VmmPolicyId, id: ProfileId) => {
        const verdict = migrate(policy, numbers, id);
        return verdict.rows[0]!.driftNs - staggerOf(verdict);
      };
      // The clock is read 300 ms after the stop.
      const counted = ((uptimeNs + 300n * MS) * BigInt(ppb)) / (BILLION + BigInt(ppb));
      near(extra('plain', 'v4.4'), counted, 2_000n);
      near(extra('plain', 'v7.3'), 0n, 2_000n);
      // QEMU does not believe it, and reads the guest's page: which stands where the TSC was read.
      const qemu = migrate('qemu', numbers, 'v4.4');
      const [p1 = 0n] = timesOf(qemu, 'out', 'KVM_GET_MSRS');
      const p2 = timesOf(qemu, 'out', 'KVM_GET_CLOCK').at(-1)!;
      near(qemu.rows[0]!.driftNs, staggerOf(qemu) - (p2 - p1), 2n);
    },
  );
});
