import { describe, expect, test } from 'vitest';
import type { Composite } from '../../events/index.ts';
import {
  type PersistedVmm,
  persist,
  type SavedVm,
  VMM_POLICY_IDS,
  Vmm,
  type VmmPolicyId,
} from '../../src/engine/index.ts';
import { StructJsonError } from '../../src/num/index.ts';
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

  test.each([null, 5, 'x', {}, { vmm: null }])('does not receive %j', (json) => {
    const saved = json as unknown as SavedVm;
    expect(() => new Bench('qemu').vmm.receive(saved)).toThrow(StructJsonError);
    const { world } = new Bench('qemu');
    const from = saved as PersistedVmm;
    expect(() => new Vmm({ world, vm: 1, policy: 'qemu', from })).toThrow(StructJsonError);
  });

  test('does not receive vCPUs that are no list', () => {
    const { saved } = started('qemu').do({ type: 'migration', incoming: false });
    const hostile = { ...saved!, vcpus: {} } as unknown as SavedVm;
    expect(() => new Bench('qemu').vmm.receive(hostile)).toThrow(
      /^vcpus: expected an array, found an object$/,
    );
  });
});

describe('what is none', () => {
  test.each(['zzz', 'toString', undefined])('policy %s', (policy) => {
    const { world } = new Bench('qemu');
    const make = () => new Vmm({ world, vm: 1, policy: policy as VmmPolicyId });
    expect(make).toThrow(RangeError);
    expect(make).toThrow(/^policy: expected one of qemu, plain, .*, found/);
  });

  test.each(['nope', 'toString', undefined])('event %s', (type) => {
    const bench = new Bench('qemu');
    expect(() => bench.do({ type } as unknown as Composite)).toThrow(
      expect.objectContaining({
        name: 'InputError',
        code: 'unknown-input',
        expected: 'one of launch, hotplug, unplug, pause, resume, snapshot, migration',
      }),
    );
  });
});
