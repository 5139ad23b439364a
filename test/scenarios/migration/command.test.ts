/** `masterclock simulate migration`: its table, its first line and its parameters. */
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { VMM_POLICY_IDS } from '../../../src/engine/index.ts';
import {
  MIGRATION_DEFAULTS,
  type MigrationNumbers,
} from '../../../src/scenarios/migration/options.ts';
import { cli, json } from '../../cli/run.ts';
import { emptyFolder } from '../../conformance/bundled.ts';
import { MS, migrate, SECOND } from './migrate.ts';

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

  test('writes the logs of all hosts or none', async () => {
    const folder = emptyFolder();
    const to = join(folder, 'm.jsonl');
    const other = 'm-destination.jsonl';
    writeFileSync(join(folder, other), 'kept');
    const done = await cli('simulate', 'migration', '--policy', 'qemu', '--log', to);
    expect(done).toMatchObject({ code: 2, stdout: '' });
    expect(done.stderr).toMatch(/m-destination\.jsonl exists already\n$/);
    expect(readdirSync(folder)).toEqual([other]);
    // The first host's log has a name that is just short enough.
    const long = join(folder, `${'m'.repeat(249)}.jsonl`);
    const failed = await cli('simulate', 'migration', '--policy', 'qemu', '--log', long);
    expect(failed).toMatchObject({ code: 70, stdout: '' });
    expect(failed.stderr).toMatch(/expected a file to write to, found a name that is too long\n$/);
    expect(readdirSync(folder)).toEqual([other]);
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

  // Times of its own each, so that no two options can be taken for one another.
  test.each<[string, Partial<MigrationNumbers>]>([
    ['--vcpus 4', { vcpus: 4 }],
    ['--source-khz 2600000', { sourceKhz: 2_600_000 }],
    ['--destination-khz 2700000', { destinationKhz: 2_700_000 }],
    ['--guest-khz 2400000', { guestKhz: 2_400_000 }],
    ['--destination-khz 2000000 --scaling no', { destinationKhz: 2_000_000, scaling: false }],
    ['--source-ntp-ppm 21', { sourceNtpPpt: 21_000_000n }],
    ['--destination-ntp-ppm -7.5', { destinationNtpPpt: -7_500_000n }],
    ['--uptime 3601s --guest-khz 2400000', { uptimeNs: 3_601n * SECOND, guestKhz: 2_400_000 }],
    ['--downtime 7s', { downtimeNs: 7n * SECOND }],
    ['--memory 123ms', { saveMemoryNs: 123n * MS }],
    ['--source-ioctls 11us,12us', { sourceIoctlsNs: [11_000n, 12_000n] }],
    ['--destination-ioctls 13us,14us', { destinationIoctlsNs: [13_000n, 14_000n] }],
    ['--save-tscs 15ms', { saveTscsNs: 15n * MS }],
    ['--save-clock 16ms', { saveClockNs: 16n * MS }],
    ['--restore-tscs 17ms', { restoreTscsNs: 17n * MS }],
    ['--restore-clock 18ms', { restoreClockNs: 18n * MS }],
    ['--realtime-error -19ms', { realtimeErrorNs: -19n * MS }],
    ['--leap-second inserted', { leapSecond: 'inserted' }],
    ['--leap-second deleted --timescale tai', { leapSecond: 'deleted', timescale: 'tai' }],
  ])('%s', async (args, numbers) => {
    const cellsOf = (its: Partial<MigrationNumbers>) =>
      migrate('plain', { ...MIGRATION_DEFAULTS, ...its })
        .rows.concat(migrate('plain-realtime', { ...MIGRATION_DEFAULTS, ...its }).rows)
        .map(({ tscNs, tscDirection, kvmclockNs, kvmclockDirection, driftNs }) =>
          [tscNs, tscDirection, kvmclockNs, kvmclockDirection, driftNs].map(String),
        );
    const found: string[][] = [];
    for (const policy of ['plain', 'plain-realtime']) {
      const { rows } = await summaryOf('--policy', policy, ...args.split(' '));
      found.push(...rows.map((row) => row.slice(3, 8)));
    }
    expect(found).toEqual(cellsOf(numbers));
    if (!args.endsWith('tai')) expect(found).not.toEqual(cellsOf({}));
  });

  test('the first line says how far, and who loses STABLE', async () => {
    const { stdout } = await cli('simulate', 'migration', '--profile', 'v6.8');
    expect(stdout.split('\n')[0]).toBe(
      'TSC off by +350.262 ms (cloud-hypervisor), kvmclock by +300.182 ms (qemu), STABLE lost: cloud-hypervisor-52, refused: tsc-state, qemu-precise-tsc',
    );
  });

  test('cannot restore what is not saved yet', async () => {
    const { code, stderr } = await cli('simulate', 'migration', '--memory', '5s');
    expect(code).toBe(2);
    expect(stderr).toMatch(
      /^masterclock: --downtime: expected at least 5\.000\d{1,6}s, in which qemu saves, found 1s, the default\n$/,
    );
    const given = await cli('simulate', 'migration', '--memory', '5s', '--downtime', '4999ms');
    expect(given.stderr).toContain('saves, found 4999ms\n');
  });
});
