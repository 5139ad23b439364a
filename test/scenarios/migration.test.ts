/** One migration under every policy: what its parameters do to the numbers, by formula. */
import { describe, expect, test } from 'vitest';
import type { Input } from '../../events/index.ts';
import { VMM_POLICY_IDS, type VmmPolicyId } from '../../src/engine/index.ts';
import { type ProfileId, profile, type Switches, withSwitches } from '../../src/profiles/index.ts';
import {
  MIGRATION_DEFAULTS,
  type MigrationNumbers,
} from '../../src/scenarios/migration/options.ts';
import { judgeMigration, type MigrationVerdict } from '../../src/scenarios/migration/rows.ts';
import { Simulation } from '../../src/scenarios/simulation.ts';
import { cli, json } from '../cli/run.ts';

const MS = 1_000_000n;
const SECOND = 1_000_000_000n;
const DAY = 86_400n * SECOND;

/** A migration by a policy; a short life keeps out what depends on it. */
function migrate(
  policy: VmmPolicyId,
  numbers: Partial<MigrationNumbers> = {},
  id: ProfileId = 'v7.3',
  set: Partial<Switches> = {},
): MigrationVerdict {
  const kernel = withSwitches(profile(id), set);
  const base = { ...MIGRATION_DEFAULTS, uptimeNs: 10n * SECOND };
  const options = { ...base, ...numbers, policy, from: kernel, to: kernel };
  return judgeMigration(options, (...host) => new Simulation(...host));
}

type IoctlType = 'KVM_GET_CLOCK' | 'KVM_SET_CLOCK' | 'KVM_GET_MSRS' | 'KVM_SET_MSRS';

/** Instants of an ioctl at one side, in ns by the host's own kernel: of vCPUs' TSCs where it is an MSR. */
function timesOf({ journey }: MigrationVerdict, side: 'out' | 'into', type: IoctlType): bigint[] {
  const { sourceKhz, destinationKhz } = journey.options;
  const khz = BigInt(side === 'out' ? sourceKhz : destinationKhz);
  const isIt = (input: Input) =>
    input.type === type && (!('index' in input) || input.index === 0x10);
  return journey[side].inputs
    .map(({ input }) => input)
    .filter(isIt)
    .map(({ tsc }) => (tsc * 1_000_000n) / khz);
}

/** What passed between two instants of different hosts. */
function between(
  { journey: { source, destination, options } }: MigrationVerdict,
  out: bigint,
  into: bigint,
): bigint {
  const at = (khz: number, ns: bigint) => (ns * BigInt(khz)) / 1_000_000n;
  return (
    destination.timeAt(at(options.destinationKhz, into)) - source.timeAt(at(options.sourceKhz, out))
  );
}

const near = (found: bigint, expected: bigint, slack = 2n): void => {
  const off = found - expected;
  expect(off <= slack && off >= -slack, `${found} is ${off} off ${expected}`).toBe(true);
};

/** kvmclock's rate is exact to a part in 2^31: so much may it lose in a time. */
const rateSlack = (ns: bigint): bigint => 2n + ns / (1n << 31n);

/** (P2 − P1) − (P4 − P3): what kvmclock gains on the TSC by which the others are set. */
function staggerOf(verdict: MigrationVerdict): bigint {
  const [p1 = 0n] = timesOf(verdict, 'out', 'KVM_GET_MSRS');
  const p2 = timesOf(verdict, 'out', 'KVM_GET_CLOCK').at(-1)!;
  const p3 = timesOf(verdict, 'into', 'KVM_SET_MSRS').at(-verdict.rows.length)!;
  const p4 = timesOf(verdict, 'into', 'KVM_SET_CLOCK').at(-1)!;
  return p2 - p1 - (p4 - p3);
}

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
  // SEMANTICS of KVM_GET_CLOCK ("definition C"): by host frequency, not by what the guest computes.
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

describe('masterclock simulate migration', () => {
  const summaryOf = async (...args: string[]) => {
    const { stdout, stderr, code } = await cli('simulate', 'migration', ...args, '--json');
    expect(stderr).toBe('');
    expect(code).toBe(0);
    const summary = json(stdout).at(-1) as { table: { rows: string[][] }; hosts: object[] };
    return { rows: summary.table.rows, hosts: summary.hosts };
  };

  test('has a row for each policy and vCPU, from two hosts each', async () => {
    const { rows, hosts } = await summaryOf('--vcpus', '3', '--fail-on', 'never');
    expect(rows.map(([policy, , vcpu]) => `${policy} ${vcpu}`)).toEqual(
      VMM_POLICY_IDS.flatMap((policy) => [0, 1, 2].map((vcpu) => `${policy} ${vcpu}`)),
    );
    expect(hosts).toHaveLength(2 * VMM_POLICY_IDS.length);
  });

  test('has no numbers where a VMM gives up', async () => {
    const { rows } = await summaryOf('--policy', 'cloud-hypervisor', '--profile', 'v5.10');
    const gaveUp = 'KVM_SET_CLOCK fails at the destination (EINVAL): the VMM gives up';
    expect(rows[0]!.slice(3)).toEqual(['–', '–', '–', '–', '–', '–', gaveUp]);
  });

  test('takes the instant of every ioctl, and another kernel at the destination', async () => {
    const row = async (...args: string[]) => {
      const { rows } = await summaryOf('--policy', 'plain', '--to', 'v6.1', ...args);
      return BigInt(rows[0]![7]!);
    };
    const even = await row('--source-ioctls', '10us');
    // After four things that stop the guest, each vCPU's frequency, MSRs and TSC; then the clock.
    const late = await row('--source-ioctls', '10us,10us,10us,10us,10us,10us,3ms,10us');
    expect(late - even).toBe(2_990_000n);
  });

  test('the first line says how far, and who loses STABLE', async () => {
    const { stdout } = await cli('simulate', 'migration', '--profile', 'v6.8');
    expect(stdout.split('\n')[0]).toBe(
      'TSC off by +350.262 ms (cloud-hypervisor), kvmclock by +300.181 ms (qemu), STABLE lost: cloud-hypervisor-52, refused: tsc-state, qemu-precise-tsc',
    );
  });

  test('cannot restore what is not saved yet', async () => {
    const { code, stderr } = await cli('simulate', 'migration', '--memory', '5s');
    expect(code).toBe(2);
    expect(stderr).toMatch(
      /^masterclock: --downtime: expected at least 5000\d{6}ns, in which qemu saves, found 1000000000ns\n$/,
    );
  });
});
