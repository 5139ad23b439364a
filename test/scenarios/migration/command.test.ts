/** `masterclock simulate migration`: its table, its first line and its parameters. */
import { describe, expect, test } from 'vitest';
import { VMM_POLICY_IDS } from '../../../src/engine/index.ts';
import { cli, json } from '../../cli/run.ts';

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
