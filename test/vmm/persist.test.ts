import { describe, expect, test } from 'vitest';
import type { Composite } from '../../events/index.ts';
import { persist, VMM_POLICY_IDS } from '../../src/engine/index.ts';
import { Bench, started } from './bench.ts';

describe('a VMM in JSON', () => {
  const story: readonly Composite[] = [
    { type: 'launch', tscKhz: 2_000_000 },
    { type: 'hotplug', vcpu: 0, cpu: 0 },
    { type: 'hotplug', vcpu: 1, cpu: 1 },
    { type: 'resume' },
    { type: 'unplug', vcpu: 1 },
    { type: 'snapshot' },
    { type: 'hotplug', vcpu: 1, cpu: 3 },
    { type: 'pause' },
    { type: 'migration', incoming: false },
    { type: 'resume' },
  ];

  test.each(VMM_POLICY_IDS)('goes on as it would have, policy %s', (policy) => {
    const play = (persists: boolean) => {
      const bench = new Bench(policy);
      for (const event of story) {
        bench.do(event);
        if (persists) bench.persist();
      }
      return { vmm: bench.vmm.persist(), world: persist(bench.world) };
    };
    expect(play(true)).toEqual(play(false));
  });

  test('keeps what it received', () => {
    const source = started('qemu');
    const { saved } = source.do({ type: 'migration', incoming: false });
    const destination = new Bench('qemu');
    destination.do({ type: 'launch' });
    destination.vmm.receive(saved!);
    destination.persist();
    destination.do({ type: 'migration', incoming: true });
    expect(destination.vmm.state.run).toBe('running');
  });

  test('does not receive a page that no KVM wrote', () => {
    const source = started('qemu');
    const { saved } = source.do({ type: 'migration', incoming: false });
    const hostile = { ...saved!, vmm: { ...saved!.vmm, pageShift: -64 } };
    expect(() => new Bench('qemu').vmm.receive(hostile)).toThrow(RangeError);
  });
});
