/** In which order VMMs save and restore: one vCPU's ioctls without its thread's load and put. */
import { describe, expect, test } from 'vitest';
import { VMM_POLICIES, VMM_POLICY_IDS, type VmmPolicyId } from '../../src/engine/index.ts';
import type { ProfileId } from '../../src/profiles/index.ts';
import { Bench, names, SECOND, started } from './bench.ts';

const FRAME = ['vcpu_load', 'vcpu_put', 'kvm_exit', 'vcpu_postcreate'];

/** What is done at the source and at the destination, MSRs by number, vCPU ids behind. */
function orders(policy: VmmPolicyId, from: ProfileId, to: ProfileId = from) {
  const source = started(policy, from);
  const out = source.do({ type: 'migration', incoming: false });
  const destination = new Bench(policy, to, { tsc: 7_000n * SECOND });
  destination.do({ type: 'launch' });
  destination.vmm.receive(JSON.parse(JSON.stringify(out.saved)));
  const into = destination.do({ type: 'migration', incoming: true });
  const of = (performed: typeof out) =>
    names(performed)
      .map((name, i) => {
        const { input } = performed.inputs[i]!;
        return 'vcpu' in input ? `${name} @${input.vcpu}` : name;
      })
      .filter((name) => !FRAME.includes(name.split(' ')[0]!));
  return { save: of(out), restore: of(into), into, source, destination };
}

const each = (name: string, indices: readonly string[], vcpu: number) =>
  indices.map((index) => `${name} ${index} @${vcpu}`);

describe('firecracker', () => {
  const LIST = ['10', '12', '11', '4b564d01', '4b564d00', '4b564d03', '3b'];

  test('tells all vCPUs that they were stopped, saves them, then the clock', () => {
    const { save } = orders('firecracker', 'v6.8');
    expect(save).toEqual([
      ...['KVM_KVMCLOCK_CTRL @0', 'KVM_KVMCLOCK_CTRL @1'],
      ...['KVM_GET_TSC_KHZ @0', ...each('KVM_GET_MSRS', LIST, 0)],
      ...['KVM_GET_TSC_KHZ @1', ...each('KVM_GET_MSRS', LIST, 1)],
      'KVM_GET_CLOCK',
    ]);
  });

  test('restores all vCPUs, then the clock; the frequency only where it differs', () => {
    const { restore } = orders('firecracker', 'v6.8');
    expect(restore).toEqual([
      ...['KVM_CREATE_VCPU @0', 'KVM_CREATE_VCPU @1'],
      ...[...each('KVM_SET_MSRS', LIST, 0), 'KVM_KVMCLOCK_CTRL @0'],
      ...[...each('KVM_SET_MSRS', LIST, 1), 'KVM_KVMCLOCK_CTRL @1'],
      'KVM_SET_CLOCK',
    ]);
  });

  test('sets a frequency that is off by more than 250 ppm', () => {
    for (const [khz, sets] of [
      [2_500_625, false],
      [2_500_626, true],
    ] as const) {
      const source = started('firecracker');
      const { saved } = source.do({ type: 'migration', incoming: false });
      const destination = new Bench('firecracker', 'v6.8', { tscKhz: khz });
      destination.do({ type: 'launch' });
      destination.vmm.receive(saved!);
      const into = destination.do({ type: 'migration', incoming: true });
      expect(names(into).includes('KVM_SET_TSC_KHZ')).toBe(sets);
    }
  });

  test.each([
    ['firecracker', 'v6.8', 0],
    ['firecracker-realtime', 'v6.8', 4],
    ['firecracker-1.15', 'v6.8', 12],
    ['firecracker-1.15', 'v5.10', 0],
  ] as const)('%s on %s sets the clock with flags %i', (policy, profile, flags) => {
    const { into } = orders(policy, profile);
    const set = into.inputs.find(({ input }) => input.type === 'KVM_SET_CLOCK')!;
    expect(set.input).toMatchObject({ flags });
    expect(set.dispatched.refused).toBe(false);
  });
});

describe('cloud-hypervisor', () => {
  test('reads the clock when it pauses, the TSCs when it saves', () => {
    const { save } = orders('cloud-hypervisor', 'v6.8');
    const clock = save.indexOf('KVM_GET_CLOCK');
    expect(save.slice(0, clock)).toEqual(['KVM_KVMCLOCK_CTRL @0', 'KVM_KVMCLOCK_CTRL @1']);
    expect(save.indexOf('KVM_GET_MSRS 10 @0')).toBe(clock + 1);
  });

  test('restores vCPU by vCPU, then gives the first one’s TSC offset to all', () => {
    const { restore, destination } = orders('cloud-hypervisor', 'v6.8');
    const without = restore.filter((name) => !/SET_MSRS (?!10 )/.test(name));
    expect(without).toEqual([
      ...['KVM_CREATE_VCPU @0', 'KVM_SET_TSC_KHZ @0', 'KVM_SET_MSRS 10 @0'],
      ...['KVM_CREATE_VCPU @1', 'KVM_SET_TSC_KHZ @1', 'KVM_SET_MSRS 10 @1'],
      ...['KVM_GET_TSC_OFFSET @0', 'KVM_SET_TSC_OFFSET @0', 'KVM_SET_TSC_OFFSET @1'],
      'KVM_SET_CLOCK',
    ]);
    expect(destination.kvm(1).l1TscOffset).toBe(destination.kvm(0).l1TscOffset);
  });

  test('up to v52 leaves the offsets alone and the clock where it stood', () => {
    const { restore, into } = orders('cloud-hypervisor-52', 'v6.8');
    expect(restore.some((name) => name.includes('OFFSET'))).toBe(false);
    expect(into.inputs.at(-1)!.input).toMatchObject({ type: 'KVM_SET_CLOCK', flags: 0 });
  });

  test('fills the time in where KVM tells none, which kernels before 5.16 refuse', () => {
    const { source, into } = orders('cloud-hypervisor', 'v5.10');
    expect(source.vmm.state.clockFlags).toBe(2 | 4);
    const set = into.inputs.find(({ input }) => input.type === 'KVM_SET_CLOCK')!;
    expect(set.dispatched.observations).toMatchObject([{ name: 'KVM_SET_CLOCK', ret: -22 }]);
  });
});

describe('tsc-offset', () => {
  test('sets the clock first, and offsets by what the clock then says', () => {
    const { save, restore, into, source } = orders('tsc-offset', 'v6.8', 'v7.3');
    expect(save.slice(0, 2)).toEqual(['KVM_GET_CLOCK', 'KVM_GET_TSC_OFFSET @0']);
    expect(restore.slice(-4)).toEqual([
      ...['KVM_SET_CLOCK', 'KVM_GET_CLOCK'],
      ...['KVM_SET_TSC_OFFSET @0', 'KVM_SET_TSC_OFFSET @1'],
    ]);
    // The formula of vcpu.rst, from what the ioctls returned.
    const { clock: guestSrc, clockHostTsc: tscSrc } = source.vmm.state;
    const read = into.inputs.find(({ input }) => input.type === 'KVM_GET_CLOCK')!;
    const [result] = read.dispatched.observations;
    if (result?.type !== 'ioctl_result') throw new Error('no result');
    const { clock: guestDest = 0n, hostTsc: tscDest = 0n } = result;
    const offset = source.vmm.vcpus.get(0)!.tscOffset;
    const expected = offset - ((guestSrc - guestDest) * 2_500_000n) / 1_000_000n + tscSrc - tscDest;
    const set = into.inputs.find(({ input }) => input.type === 'KVM_SET_TSC_OFFSET')!;
    expect(set.input).toMatchObject({ offset: BigInt.asUintN(64, expected) });
  });
});

test.each(VMM_POLICY_IDS)('%s: a paused guest does not run where it is restored', (policy) => {
  const source = started(policy);
  source.do({ type: 'pause' });
  const { saved } = source.do({ type: 'migration', incoming: false });
  const destination = new Bench(policy);
  destination.do({ type: 'launch' });
  destination.vmm.receive(saved!);
  destination.do({ type: 'migration', incoming: true });
  expect(destination.vmm.state.run).toBe('restored');
  destination.do({ type: 'resume' });
  expect(destination.vmm.state.run).toBe('running');
});

test('every policy says what it is and where its order is from', () => {
  for (const { title, source } of Object.values(VMM_POLICIES)) {
    expect(title.length).toBeGreaterThan(20);
    expect(source).toMatch(/QEMU|Linux|Firecracker|Cloud Hypervisor/);
  }
});
