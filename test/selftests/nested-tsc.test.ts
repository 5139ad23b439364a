/**
 * A guest hypervisor’s guest: what the kernel’s `nested_tsc_scaling_test` and `nested_tsc_adjust_test`
 * check. L2 runs at the frequency L1 gave it, L1 at its own before, during and after; and what L2
 * writes to its TSC moves L1’s and TSC_ADJUST.
 */
import { describe, expect, test } from 'vitest';
import { MSRS } from '../../events/index.ts';
import type { ProfileId } from '../../src/profiles/index.ts';
import { KERNELS, Rig, split } from './rig.ts';

const { IA32_TSC, IA32_TSC_ADJUST, MSR_AMD64_TSC_RATIO } = MSRS;
const HOST_KHZ = 3_000_000;
const L2_OFFSET = BigInt.asUintN(64, -33_125_236_320_908n);
const SECOND_NS = 1_000_000_000n;

/** Cycles in a second, by whoever runs. */
function frequency(rig: Rig): bigint {
  const before = rig.rdtsc(0);
  rig.wait(SECOND_NS);
  return BigInt.asUintN(64, rig.rdtsc(0) - before);
}

/** Within 1 %. */
const isNear = (hz: bigint, wanted: bigint): boolean =>
  hz * 100n > wanted * 99n && hz * 100n < wanted * 101n;

function scaling(id: ProfileId, vendor: 'vmx' | 'svm', k: number): void {
  const khz = Math.floor(HOST_KHZ / k);
  const rig = new Rig(id, { tscKhz: HOST_KHZ, vendor });
  rig.createVm(1);
  rig.ioctl(0, 'KVM_SET_TSC_KHZ', { khz });
  rig.enter(0);
  const l1Hz = BigInt(khz) * 1000n;
  expect(isNear(frequency(rig), l1Hz)).toBe(true);
  const four = vendor === 'vmx' ? { tscMultiplier: 4n << 48n } : {};
  if (vendor === 'svm') rig.wrmsr(0, MSR_AMD64_TSC_RATIO, 4n << 32n);
  rig.exitFor(0, 'kvm_nested_vmenter', { tscOffset: L2_OFFSET, ...four });
  expect(isNear(frequency(rig), 4n * l1Hz)).toBe(true);
  rig.exitFor(0, 'kvm_nested_vmexit', {});
  expect(isNear(frequency(rig), l1Hz)).toBe(true);
}

describe('nested_tsc_scaling: L1 at a half to a tenth of the host, L2 at four times L1', () => {
  const { holds: onVmx } = split((s) => s.nestedScaling !== 'none');
  test.each(onVmx)('%s on VMX', (id) => {
    for (let k = 2; k <= 10; k++) scaling(id, 'vmx', k);
  });
  const { holds: onSvm } = split((s) => s.nestedScaling === 'vmx-svm');
  test.each(onSvm)('%s on SVM', (id) => {
    for (let k = 2; k <= 10; k++) scaling(id, 'svm', k);
  });
});

const STEP = 1n << 32n;
const FAR_OFFSET = BigInt.asUintN(64, -(1n << 48n));
const s64 = (value: bigint): bigint => BigInt.asIntN(64, value);
/** What passes between two things done, in cycles. */
const isMoment = (cycles: bigint): boolean => s64(cycles) >= 0n && s64(cycles) < 20_000n;

describe.each(KERNELS)('nested_tsc_adjust: %s', (id) => {
  test.each(['vmx', 'svm'] as const)('%s', (vendor) => {
    const rig = new Rig(id, { tscKhz: HOST_KHZ, vendor });
    rig.createVm(1);
    // A synchronisation within a second would take the write for its own.
    rig.wait(10n * SECOND_NS);
    const adjust = (): bigint => s64(rig.rdmsr(0, IA32_TSC_ADJUST));
    rig.wrmsr(0, IA32_TSC, BigInt.asUintN(64, rig.rdtsc(0) - STEP));
    expect(adjust()).toBeLessThanOrEqual(-STEP);
    rig.exitFor(0, 'kvm_nested_vmenter', { tscOffset: FAR_OFFSET });
    const inL1 = rig.tscAt(0, rig.tsc) - FAR_OFFSET;
    // What L2 writes becomes L1’s TSC; L2 reads it with its own offset still added.
    const written = BigInt.asUintN(64, rig.rdtsc(0) - STEP);
    rig.wrmsr(0, IA32_TSC, written);
    expect(adjust()).toBeLessThanOrEqual(-2n * STEP);
    expect(isMoment(rig.rdtsc(0) - written - FAR_OFFSET)).toBe(true);
    rig.exitFor(0, 'kvm_nested_vmexit', {});
    expect(adjust()).toBeLessThanOrEqual(-2n * STEP);
    expect(s64(rig.rdtsc(0) - inL1)).toBeLessThan(-STEP);
    expect(rig.vcpu(0).tscOffset).toBe(rig.vcpu(0).l1TscOffset);
  });

  test('L2’s write of TSC_ADJUST moves it and L1 alike', () => {
    const rig = new Rig(id, { tscKhz: HOST_KHZ });
    rig.createVm(1);
    rig.exitFor(0, 'kvm_nested_vmenter', { tscOffset: FAR_OFFSET });
    const before = rig.rdtsc(0);
    rig.wrmsr(0, IA32_TSC_ADJUST, STEP);
    expect(isMoment(rig.rdtsc(0) - before - STEP)).toBe(true);
    rig.exitFor(0, 'kvm_nested_vmexit', {});
    expect(isMoment(rig.rdtsc(0) + FAR_OFFSET - before - STEP)).toBe(true);
  });
});
