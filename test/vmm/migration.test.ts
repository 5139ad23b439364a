import { describe, expect, test } from 'vitest';
import { MSRS } from '../../events/index.ts';
import { Bench, KHZ, names, SECOND, started } from './bench.ts';

describe('migration', () => {
  test.each(['qemu', 'plain'] as const)('with policy %s: TSCs and clock arrive', (policy) => {
    const source = started(policy);
    source.tsc += 20n * SECOND;
    const out = source.do({ type: 'migration', incoming: false });
    expect(source.vmm.state.run).toBe('saved');
    const stream = JSON.stringify(out.saved);
    const { clock } = source.vmm.state;
    const tscs = [0, 1].map((id) => source.vmm.vcpus.get(id)!.tsc);

    const destination = new Bench(policy, 'v7.3', { tsc: 7_000_000_000_000n, tscKhz: KHZ });
    destination.do({ type: 'launch' });
    destination.vmm.receive(JSON.parse(stream));
    const into = destination.do({ type: 'migration', incoming: true }, { step: 2500n });
    expect(names(into).filter((name) => name === 'KVM_CREATE_VCPU')).toHaveLength(2);
    expect(names(into).includes('KVM_KVMCLOCK_CTRL')).toBe(policy === 'qemu');
    expect(destination.vmm.state.run).toBe('running');

    destination.goOn(0);
    destination.goOn(1);
    const set = into.inputs.find(({ input }) => input.type === 'KVM_SET_CLOCK')!.input;
    expect(set).toMatchObject({ clock, flags: 0 });
    for (const id of [0, 1]) {
      const write = into.inputs.findLast(
        ({ input }) =>
          input.type === 'KVM_SET_MSRS' && input.vcpu === id && input.index === MSRS.IA32_TSC,
      )!.input;
      expect(write).toMatchObject({ data: tscs[id] });
    }
    // Each TSC was read and is written at an instant of its own: with the first write honoured to
    // the cycle and the second within its window, both run by the first one's offset.
    expect(destination.masterclock()).toBe('on');
    expect(destination.guestTsc(1)).toBe(destination.guestTsc(0));
    // The masterclock comes back after KVM_SET_CLOCK: the same clock, of a later reference.
    const since = ((destination.tsc - set.tsc) * 1_000_000n) / BigInt(KHZ);
    const late = destination.kvmclock(0) - (clock + since);
    expect(late === 0n || late === -1n).toBe(true);
    expect(destination.kvm(0).kvmclock).toBe('old');
  });

  test('of a paused guest: it does not run at the destination until resumed', () => {
    const source = started('qemu');
    source.do({ type: 'pause' });
    const { saved } = source.do({ type: 'migration', incoming: false });
    const destination = new Bench('qemu');
    destination.do({ type: 'launch' });
    destination.vmm.receive(saved!);
    destination.do({ type: 'migration', incoming: true });
    expect(destination.vmm.state.run).toBe('restored');
    expect(names(destination.do({ type: 'resume' }))).toContain('KVM_SET_CLOCK');
  });

  test('leaves parked vCPUs behind', () => {
    const source = started('qemu');
    source.do({ type: 'unplug', vcpu: 1 });
    const { saved } = source.do({ type: 'migration', incoming: false });
    expect(saved!.vcpus).toHaveLength(1);
  });
});
