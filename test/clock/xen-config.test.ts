/** What a VMM sets of Xen's interface, where it touches clocks. */
import { expect, test } from 'vitest';
import { Rig, resultOf } from '../selftests/rig.ts';

const isAsked = (rig: Rig): boolean => rig.vcpu(0).requests !== 0;

test.each([
  ['v6.1', false],
  ['v6.8', true],
] as const)('%s: a change of PVCLOCK_TSC_UNSTABLE has pages written anew: %s', (id, asks) => {
  const rig = new Rig(id).boot(1);
  rig.enter(0);
  rig.do('KVM_XEN_HVM_CONFIG', { flags: 2 });
  expect(isAsked(rig)).toBe(false);
  rig.do('KVM_XEN_HVM_CONFIG', { flags: 130 });
  expect(isAsked(rig)).toBe(asks);
  rig.settle();
  rig.do('KVM_XEN_HVM_CONFIG', { flags: 130 });
  expect(isAsked(rig)).toBe(false);
});

test('the wall clock lies where the guest’s mode has it', () => {
  for (const [longMode, at] of [
    [true, 0x4c00n],
    [false, 0x4900n],
  ] as const) {
    const rig = new Rig('v7.3', { tscKhz: 2_500_000, offsReal: (1n << 33n) * 1_000_000_000n });
    rig.createVm(1);
    rig.do('KVM_XEN_SET_LONG_MODE', { longMode });
    const { observations } = rig.do('KVM_XEN_SET_SHARED_INFO', { gpa: 0x4000n });
    const writes = observations.flatMap((o) => (o.type === 'guest_write' ? [o.gpa] : []));
    const secHi = longMode ? 0x4c0cn : 0x4924n;
    expect(writes).toEqual([at, at, secHi, at]);
    const high = observations.find((o) => o.type === 'guest_write' && o.gpa === secHi);
    expect(high).toMatchObject({ bytes: Uint8Array.of(2, 0, 0, 0) });
  }
});

test('attributes read back, and what is not placed reads as nowhere', () => {
  const rig = new Rig('v7.3').boot(1);
  const read = (attr: number) => rig.ioctl(0, 'KVM_XEN_VCPU_GET_ATTR', { attr });
  const none = (1n << 64n) - 1n;
  expect(resultOf(read(0), 'xen_attr').gpa).toBe(none);
  rig.ioctl(0, 'KVM_XEN_SET_VCPU_INFO', { gpa: 0x9000n });
  rig.ioctl(0, 'KVM_XEN_SET_VCPU_TIME_INFO', { gpa: 0xa000n });
  expect(resultOf(read(0), 'xen_attr').gpa).toBe(0x9000n);
  expect(resultOf(read(1), 'xen_attr').gpa).toBe(0xa000n);
  expect(resultOf(read(2), 'ioctl_result').ret).toBe(-2);
  rig.ioctl(0, 'KVM_XEN_SET_RUNSTATE_ADDR', { gpa: 0xb000n });
  expect(resultOf(read(2), 'xen_attr').gpa).toBe(0xb000n);
  rig.ioctl(0, 'KVM_XEN_SET_RUNSTATE_ADDR', { gpa: none });
  expect(resultOf(read(2), 'ioctl_result').ret).toBe(-2);
  expect(resultOf(read(5), 'ioctl_result').ret).toBe(-22);
});

test('L1’s fields of the other vendor, and timers that are not there, cannot be', () => {
  const rig = new Rig('v7.3', { tscKhz: 2_500_000, vendor: 'svm' });
  rig.createVm(1);
  rig.on(0, 'vcpu_load', { cpu: 0 });
  const enter = (fields: object) => () =>
    rig.on(0, 'kvm_nested_vmenter', { tscOffset: 0n, ...fields });
  expect(enter({ tscMultiplier: 1n })).toThrow('expected no tscMultiplier on SVM, found one');
  expect(enter({ badGuestState: true })).toThrow('expected no badGuestState on SVM, found true');
  expect(() => rig.on(0, 'kvm_nested_vmexit', {})).toThrow('expected L2, found l1');
  enter({})();
  expect(enter({})).toThrow('expected L1, found l2');
  expect(() => rig.on(0, 'xen_timer', {})).toThrow('expected Xen’s timer armed, found off');
  const timer = { timer: 4 };
  expect(() => rig.on(0, 'kvm_hv_stimer_callback', timer)).toThrow('expected a timer below 4');
});
