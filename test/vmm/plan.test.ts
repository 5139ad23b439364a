import { describe, expect, test } from 'vitest';
import type { Composite } from '../../events/index.ts';
import { Bench, SECOND, started } from './bench.ts';

describe('a plan', () => {
  test('gives every input its instant; the last step of a list goes on', () => {
    const bench = new Bench('plain');
    bench.do({ type: 'launch' });
    const tsc = 10n * SECOND;
    const { inputs } = bench.do({ type: 'hotplug', vcpu: 0, cpu: 0 }, { tsc, step: [5n, 7n] });
    expect(inputs.map(({ input }) => input.tsc)).toEqual([tsc, tsc + 5n]);
    bench.do({ type: 'resume' });
    bench.run(0);
    const at = 20n * SECOND;
    const snapshot = bench.do({ type: 'snapshot' }, { tsc: at, step: [5n, 7n] });
    expect(snapshot.inputs.slice(0, 4).map(({ input }) => input.tsc - at)).toEqual([
      0n,
      5n,
      12n,
      19n,
    ]);
  });

  test('of ioctls: all inputs of one happen at one instant', () => {
    const bench = started('qemu');
    const tsc = 10n * SECOND;
    const plan = { tsc, step: 100n, steps: 'ioctls' } as const;
    const { inputs } = bench.do({ type: 'hotplug', vcpu: 2, cpu: 2 }, plan);
    expect(inputs.map(({ input }) => Number(input.tsc - tsc))).toEqual([
      ...[0, 100], // created
      ...[200, 200, 200], // its frequency
      ...[300, 300, 300, 300, 300, 300, 300], // its MSRs
    ]);
  });

  test('waits at the moments it names', () => {
    const bench = started('qemu');
    const tsc = bench.tsc;
    const waits = { 'save-tscs': 1000n, 'save-memory': 20_000n, 'save-clock': 300_000n };
    const { inputs } = bench.do({ type: 'snapshot' }, { tsc, step: 1n, steps: 'ioctls', waits });
    const at = (type: string) =>
      inputs.filter(({ input }) => input.type === type).map(({ input }) => Number(input.tsc - tsc));
    expect(at('kvm_exit')).toEqual([0, 2]);
    // Both TSCs and the clock; both vCPUs' other MSRs; the clock again.
    expect([...new Set(at('KVM_GET_MSRS'))]).toEqual([1004, 1005, 21_007, 21_008]);
    expect(at('KVM_GET_CLOCK')).toEqual([1006, 321_009]);
  });
});

describe('what cannot be', () => {
  const refused = (events: readonly Composite[], last: Composite) => {
    const bench = new Bench('qemu');
    for (const event of events) bench.do(event);
    const { count } = bench.world;
    expect(() => bench.do(last)).toThrow(expect.objectContaining({ code: 'wrong-order' }));
    expect(bench.world.count).toBe(count);
  };
  const launch: Composite = { type: 'launch' };
  const hotplug: Composite = { type: 'hotplug', vcpu: 0, cpu: 0 };

  test('is refused before anything is done', () => {
    refused([], hotplug);
    refused([launch], launch);
    refused([launch, hotplug], hotplug);
    refused([launch], { type: 'unplug', vcpu: 0 });
    refused([launch, hotplug], { type: 'pause' });
    refused([launch, hotplug, { type: 'resume' }], { type: 'resume' });
    refused([launch], { type: 'snapshot' });
    refused([launch], { type: 'migration', incoming: false });
    refused([launch], { type: 'migration', incoming: true });
  });

  test('by the plan: what was done before it stays in the log', () => {
    const bench = new Bench('qemu');
    bench.do(launch);
    const plan = { tsc: bench.tsc, step: [1000n, -2000n] };
    expect(() => bench.vmm.perform(hotplug, plan)).toThrow(
      expect.objectContaining({ code: 'tsc-backwards' }),
    );
    expect(bench.vmm.log.at(-1)!.inputs).toHaveLength(2);
  });
});
