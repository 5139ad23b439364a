/** `nestedScaling`: whose L2 has its TSC scaled, and how offset and ratio are composed. */
import { describe, expect, test } from 'vitest';
import { MSRS } from '../../events/index.ts';
import { nestedMultiplier, nestedOffset } from '../../src/num/index.ts';
import type { Switches } from '../../src/profiles/index.ts';
import { Rig, resultOf } from '../selftests/rig.ts';

type Vendor = 'vmx' | 'svm';

const FRAC = { vmx: 48, svm: 32 } as const;
const L2_OFFSET = BigInt.asUintN(64, -33_125_236_320_908n);

/** L1 at half the host's frequency. */
function l1(nestedScaling: Switches['nestedScaling'], vendor: Vendor): Rig {
  const rig = new Rig('v7.3', { tscKhz: 3_000_000, vendor }, { nestedScaling });
  rig.do('KVM_CREATE_VM', {});
  rig.do('KVM_SET_VM_TSC_KHZ', { khz: 1_500_000 });
  rig.createVcpu(0);
  rig.wait(1_000_000_000n);
  return rig;
}

/** L2 at four times L1's; what became of it. */
function enter(rig: Rig, vendor: Vendor): string {
  const four = 4n << BigInt(FRAC[vendor]);
  const ratioSet = vendor === 'vmx' || rig.wrmsr(0, MSRS.MSR_AMD64_TSC_RATIO, four);
  const multiplier = vendor === 'vmx' ? { tscMultiplier: four } : {};
  const done = rig.exitFor(0, 'kvm_nested_vmenter', { tscOffset: L2_OFFSET, ...multiplier });
  return `${resultOf(done, 'nested_result').outcome}${ratioSet ? '' : ', #GP at TSC_RATIO'}`;
}

describe.each([
  ['none', 'vmx', 'VMfailValid'],
  ['none', 'svm', 'entered, #GP at TSC_RATIO'],
  ['vmx', 'vmx', 'entered'],
  ['vmx', 'svm', 'entered, #GP at TSC_RATIO'],
  ['vmx-svm', 'vmx', 'entered'],
  ['vmx-svm', 'svm', 'entered'],
] as const)('%s on %s', (value, vendor, outcome) => {
  test(`L2 at four times L1’s frequency: ${outcome}`, () => {
    const rig = l1(value, vendor);
    expect(enter(rig, vendor)).toBe(outcome);
    const v = rig.vcpu(0);
    const [fracBits, four] = [FRAC[vendor], 4n << BigInt(FRAC[vendor])];
    if (outcome === 'entered') {
      expect(v.tscScalingRatio).toBe(nestedMultiplier(v.l1TscScalingRatio, four, fracBits));
      expect(v.tscOffset).toBe(nestedOffset(v.l1TscOffset, L2_OFFSET, four, fracBits));
    } else {
      const offset = v.level === 'l2' ? L2_OFFSET : 0n;
      expect(v.tscScalingRatio).toBe(v.l1TscScalingRatio);
      expect(v.tscOffset).toBe(BigInt.asUintN(64, v.l1TscOffset + offset));
    }
  });

  test('L1 has its own TSC back when L2 leaves', () => {
    const rig = l1(value, vendor);
    if (!enter(rig, vendor).startsWith('entered')) return;
    rig.exitFor(0, 'kvm_nested_vmexit', {});
    const { level, tscOffset, l1TscOffset, tscScalingRatio, l1TscScalingRatio } = rig.vcpu(0);
    expect([level, tscOffset, tscScalingRatio]).toEqual(['l1', l1TscOffset, l1TscScalingRatio]);
  });
});

describe('entries that VMX refuses or that fail', () => {
  test('a multiplier of 0: no entry, and no TSC change', () => {
    const rig = l1('vmx-svm', 'vmx');
    const fields = { tscOffset: L2_OFFSET, tscMultiplier: 0n };
    const done = rig.exitFor(0, 'kvm_nested_vmenter', fields);
    expect(resultOf(done, 'nested_result')).toMatchObject({ outcome: 'VMfailValid', code: 7n });
    expect(rig.vcpu(0).tscOffset).toBe(rig.vcpu(0).l1TscOffset);
  });

  test.each([
    ['unscaled', undefined, true],
    ['scaled', 4n << 48n, false],
  ] as const)('a failed entry, L2 %s: KVM’s numbers are L1’s again: %s', (_how, mult, whole) => {
    const rig = l1('vmx-svm', 'vmx');
    const before = rig.tscAt(0, rig.tsc);
    const fields = { tscOffset: L2_OFFSET, badGuestState: true };
    const multiplier = mult === undefined ? {} : { tscMultiplier: mult };
    rig.exitFor(0, 'kvm_nested_vmenter', { ...fields, ...multiplier });
    const v = rig.vcpu(0);
    expect(v.tscOffset === v.l1TscOffset && v.tscScalingRatio === v.l1TscScalingRatio).toBe(whole);
    // The hardware runs on with vmcs01.
    expect(rig.rdtsc(0) - before).toBeLessThan(10_000n);
    // An emulated read goes by the numbers, until they are next written.
    const emulated = rig.rdmsr(0, MSRS.IA32_TSC) - before;
    expect(emulated < 10_000n).toBe(whole);
    rig.setMsr(0, MSRS.IA32_TSC_ADJUST, 0n);
    rig.ioctl(0, 'KVM_SET_TSC_KHZ', { khz: 1_500_000 });
    rig.ioctl(0, 'KVM_SET_TSC_OFFSET', { offset: rig.vcpu(0).l1TscOffset });
    expect(rig.rdmsr(0, MSRS.IA32_TSC) - before).toBeLessThan(50_000n);
  });

  test('without offsetting neither offset nor multiplier counts', () => {
    const rig = l1('vmx-svm', 'vmx');
    const fields = { tscOffset: L2_OFFSET, tscMultiplier: 4n << 48n, noTscOffsetting: true };
    rig.exitFor(0, 'kvm_nested_vmenter', fields);
    expect(rig.vcpu(0).tscOffset).toBe(rig.vcpu(0).l1TscOffset);
    expect(rig.vcpu(0).tscScalingRatio).toBe(rig.vcpu(0).l1TscScalingRatio);
  });
});

describe('MSR_AMD64_TSC_RATIO', () => {
  test('reserved bits are #GP; while L2 runs only its ratio changes', () => {
    const rig = l1('vmx-svm', 'svm');
    expect(rig.wrmsr(0, MSRS.MSR_AMD64_TSC_RATIO, 1n << 40n)).toBe(false);
    expect(rig.getMsr(0, MSRS.MSR_AMD64_TSC_RATIO)).toBe(1n << 32n);
    rig.exitFor(0, 'kvm_nested_vmenter', { tscOffset: L2_OFFSET });
    const { tscOffset } = rig.vcpu(0);
    rig.wrmsr(0, MSRS.MSR_AMD64_TSC_RATIO, 2n << 32n);
    expect(rig.vcpu(0).tscScalingRatio).toBe(2n * rig.vcpu(0).l1TscScalingRatio);
    expect(rig.vcpu(0).tscOffset).toBe(tscOffset);
  });

  test('without the feature the VMM may write 0 or what is there, which changes nothing', () => {
    const rig = new Rig('v7.3', { tscKhz: 3_000_000, vendor: 'svm', hasTscControl: false });
    rig.createVm(1);
    const set = (data: bigint): boolean => {
      const done = rig.ioctl(0, 'KVM_SET_MSRS', { index: MSRS.MSR_AMD64_TSC_RATIO, data });
      return resultOf(done, 'msr_result').ok;
    };
    expect([set(0n), set(1n << 32n), set(2n << 32n)]).toEqual([true, true, false]);
    expect(rig.getMsr(0, MSRS.MSR_AMD64_TSC_RATIO)).toBe(1n << 32n);
    expect(rig.wrmsr(0, MSRS.MSR_AMD64_TSC_RATIO, 1n << 32n)).toBe(false);
  });
});
