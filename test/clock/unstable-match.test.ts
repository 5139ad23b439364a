import { describe, expect, test } from 'vitest';
import { MSRS } from '../../events/index.ts';
import { nsecToCycles } from '../../src/num/index.ts';
import { PROFILES, type ProfileId } from '../../src/profiles/index.ts';
import { Rig } from '../selftests/rig.ts';

const SECOND = 1_000_000_000n;

/** What a write that matches on an unstable TSC adds to its value, and the time since the last. */
function added(id: ProfileId): { cycles: bigint; ns: bigint; due: (ns: bigint) => bigint } {
  const rig = new Rig(id).boot(1);
  rig.host('mark_tsc_unstable', {});
  rig.setMsr(0, MSRS.IA32_TSC, 1n << 50n);
  const since = rig.vm.lastTscNsec;
  rig.wait(SECOND / 2n);
  const value = (1n << 50n) + 1_250_000_000n;
  rig.setMsr(0, MSRS.IA32_TSC, value);
  const { virtualTscMult, virtualTscShift } = rig.vcpu(0);
  return {
    cycles: rig.vm.lastTscWrite - value,
    ns: rig.vm.lastTscNsec - since,
    due: (ns) => nsecToCycles(ns, virtualTscMult, virtualTscShift),
  };
}

// `kvm_write_tsc()` until v4.11: do_div() leaves microseconds in `elapsed`, which are taken for ns.
describe('a write that matches while the TSC is unstable', () => {
  test.each(['v4.4', 'v4.9'] as const)('%s: adds a thousandth of the cycles since', (id) => {
    const { cycles, ns, due } = added(id);
    expect(PROFILES[id].switches.syncWindow).toBe('usdiff');
    expect(cycles).toBe(due(ns / 1000n));
  });

  test.each(['v4.19', 'v5.10', 'v6.1', 'v7.3'] as const)('%s: adds the cycles since', (id) => {
    const { cycles, ns, due } = added(id);
    expect(cycles).toBe(due(ns));
  });
});
