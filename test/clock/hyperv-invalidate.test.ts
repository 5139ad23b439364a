import { describe, expect, test } from 'vitest';
import { MSRS } from '../../events/index.ts';
import { pageGpa, Rig } from '../selftests/rig.ts';

const PAGE = 0x8000n;
const ENABLE = 1n;

/** Sequence and scale that were written to the page since. */
function sequences(rig: Rig, since: number): number[] {
  return rig.observed.slice(since).flatMap((seen) => {
    if (seen.type !== 'guest_write' || seen.what !== 'hv_tsc_page') return [];
    return [new DataView(seen.bytes.buffer, seen.bytes.byteOffset).getUint32(0, true)];
  });
}

function withPage(id: 'v5.15' | 'v6.8'): Rig {
  const rig = new Rig(id).boot(2);
  rig.wrmsr(0, MSRS.HV_X64_MSR_REFERENCE_TSC, PAGE | ENABLE);
  rig.settle();
  return rig;
}

// `kvm_hv_invalidate_tsc_page()` (e880c6ea55b9, v5.12), gone with 42dcbe7d8bac (v5.18).
describe('a masterclock update with a reference TSC page', () => {
  test('v5.15: writes sequence 0 at once; the page comes back with vCPU 0, as sequence 1', () => {
    const rig = withPage('v5.15');
    const since = rig.observed.length;
    rig.do('KVM_SET_CLOCK', { clock: 5_000_000_000n, flags: 0, realtime: 0n });
    expect(sequences(rig, since)).toEqual([0]);
    expect(rig.vm.hvTscPage).toBe('hostChanged');
    rig.settle();
    expect(sequences(rig, since)).toEqual([0, 0, 0, 1]);
    expect(rig.vm.hvTscPage).toBe('set');
  });

  test('v6.8: leaves the page until it is written anew, with the next sequence', () => {
    const rig = withPage('v6.8');
    const before = rig.vm.hvTscSequence;
    const since = rig.observed.length;
    rig.do('KVM_SET_CLOCK', { clock: 5_000_000_000n, flags: 0, realtime: 0n });
    expect(sequences(rig, since)).toEqual([]);
    rig.settle();
    expect(sequences(rig, since)).toEqual([0, 0, before + 1]);
  });
});

describe('a clock update of vCPU 0 without a masterclock update', () => {
  const written = (id: 'v5.15' | 'v6.8'): number[] => {
    const rig = withPage(id);
    const since = rig.observed.length;
    rig.ioctl(0, 'KVM_KVMCLOCK_CTRL', {});
    rig.enter(0);
    expect(rig.vcpu(0).pageGpa).toBe(pageGpa(0));
    return sequences(rig, since);
  };

  test('v5.15: writes the page again; v6.8 does not', () => {
    expect(written('v5.15')).toHaveLength(3);
    expect(written('v6.8')).toEqual([]);
  });
});
