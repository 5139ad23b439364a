/** `xenCpuidLeaf`: who fills in the TSC's frequency in Xen's CPUID leaf, and when. */
import { describe, expect, test } from 'vitest';
import type { Switches } from '../../src/profiles/index.ts';
import { Rig, resultOf } from '../selftests/rig.ts';

const GIVEN = { mul: 12_345, shift: -3, khz: 1_111_111 } as const;

function guest(xenCpuidLeaf: Switches['xenCpuidLeaf']): Rig {
  const rig = new Rig('v7.3', { tscKhz: 3_000_000 }, { xenCpuidLeaf });
  rig.createVm(1);
  rig.ioctl(0, 'KVM_SET_CPUID2', GIVEN);
  rig.enableKvmclock(0);
  return rig;
}

const read = (rig: Rig) => {
  const [scale, frequency] = [1, 2].map((subleaf) =>
    resultOf(rig.exitFor(0, 'cpuid', { subleaf }), 'cpuid_result'),
  );
  return { mul: scale!.ecx, shift: scale!.edx | 0, khz: frequency!.eax };
};

/** 3.0 GHz and, scaled, 2.5 GHz as KVM has it: cut to kHz. */
const AT_3_GHZ = { mul: 2_863_311_530, shift: -1, khz: 3_000_000 };
const AT_2_5_GHZ = { mul: 3_435_975_211, shift: -1, khz: 2_499_999 };

describe('a guest reads its leaf, then gets another frequency', () => {
  test('none: it reads what the VMM gave', () => {
    const rig = guest('none');
    expect(read(rig)).toEqual(GIVEN);
    rig.ioctl(0, 'KVM_SET_TSC_KHZ', { khz: 2_500_000 });
    expect(read(rig)).toEqual(GIVEN);
  });

  test('at-update: the next clock update tells it', () => {
    const rig = guest('at-update');
    expect(read(rig)).toEqual(AT_3_GHZ);
    rig.ioctl(0, 'KVM_SET_TSC_KHZ', { khz: 2_500_000 });
    expect(read(rig)).toEqual(AT_3_GHZ);
    rig.ioctl(0, 'KVM_KVMCLOCK_CTRL', {});
    expect(read(rig)).toEqual(AT_2_5_GHZ);
  });

  test('at-update: a leaf given later stays until the scale changes', () => {
    const rig = guest('at-update');
    rig.ioctl(0, 'KVM_SET_CPUID2', GIVEN);
    rig.ioctl(0, 'KVM_KVMCLOCK_CTRL', {});
    expect(read(rig)).toEqual(GIVEN);
  });

  test('at-read: a pending clock update is made for it', () => {
    const rig = guest('at-read');
    rig.ioctl(0, 'KVM_SET_CPUID2', GIVEN);
    expect(read(rig)).toEqual(AT_3_GHZ);
    rig.enter(0);
    rig.on(0, 'kvm_exit', {});
    rig.on(0, 'KVM_SET_TSC_KHZ', { khz: 2_500_000 });
    rig.on(0, 'KVM_KVMCLOCK_CTRL', {});
    const done = rig.on(0, 'cpuid', { subleaf: 2 });
    expect(resultOf(done, 'cpuid_result').eax).toBe(AT_2_5_GHZ.khz);
    expect(done.observations.some(({ type }) => type === 'kvm_pvclock_update')).toBe(true);
  });
});
