/** `xenRunstateClamp` and `xenRunstate`: a runstate that changes while the VM's clock is behind. */
import { describe, expect, test } from 'vitest';
import type { Switches } from '../../src/profiles/index.ts';
import { Rig, resultOf } from '../selftests/rig.ts';

const SECOND_NS = 1_000_000_000n;
const AREA = 0xb000n;

/** A Xen guest that ran for ten seconds, then had its clock set back by four. */
function setBack(xenRunstateClamp: Switches['xenRunstateClamp']): Rig {
  const rig = new Rig('v7.3', undefined, { xenRunstateClamp });
  rig.createVm(1);
  rig.do('KVM_XEN_HVM_CONFIG', { flags: 2, msr: 0x4000_0000 });
  rig.do('KVM_XEN_SET_LONG_MODE', { longMode: true });
  rig.ioctl(0, 'KVM_XEN_SET_RUNSTATE_ADDR', { gpa: AREA });
  rig.ioctl(0, 'KVM_XEN_SET_RUNSTATE_CURRENT', { state: 0n });
  rig.wait(10n * SECOND_NS);
  rig.ioctl(0, 'KVM_XEN_SET_RUNSTATE_CURRENT', { state: 2n });
  rig.setClock(6n * SECOND_NS);
  return rig;
}

const dataOf = (rig: Rig) =>
  resultOf(rig.ioctl(0, 'KVM_XEN_VCPU_GET_ATTR', { attr: 4 }), 'xen_attr');

describe('blocked, and running again with a clock 4 s behind', () => {
  test('none: the negative time is added, modulo 2^64', () => {
    const rig = setBack('none');
    rig.ioctl(0, 'KVM_XEN_SET_RUNSTATE_CURRENT', { state: 0n });
    const data = dataOf(rig);
    expect(BigInt.asIntN(64, data.blockedNs!)).toBeLessThan(-3_990_000_000n);
    expect(data.state).toBe(0n);
    expect(data.entryTimeNs).toBeLessThan(7n * SECOND_NS);
  });

  test('clamp: the state changes, and nothing is accounted', () => {
    const rig = setBack('clamp');
    const before = dataOf(rig);
    rig.ioctl(0, 'KVM_XEN_SET_RUNSTATE_CURRENT', { state: 0n });
    expect(dataOf(rig)).toEqual({ ...before, state: 0n });
  });

  test('skip: nothing changes', () => {
    const rig = setBack('skip');
    const before = dataOf(rig);
    rig.ioctl(0, 'KVM_XEN_SET_RUNSTATE_CURRENT', { state: 0n });
    expect(dataOf(rig)).toEqual(before);
  });
});

test('clamp: no more is stolen than has passed', () => {
  const rig = setBack('clamp');
  rig.setClock(20n * SECOND_NS);
  rig.ioctl(0, 'KVM_XEN_SET_RUNSTATE_CURRENT', { state: 0n });
  const before = dataOf(rig);
  const readings = { run_delay: 100n * SECOND_NS };
  rig.ioctl(0, 'KVM_XEN_SET_RUNSTATE_CURRENT', { state: 0n, readings });
  const after = dataOf(rig);
  expect(after.runningNs).toBe(before.runningNs);
  expect(after.runnableNs! - before.runnableNs!).toBe(after.entryTimeNs! - before.entryTimeNs!);
});

test('xenRunstate=false: there is no such attribute, and steal time is counted', () => {
  const rig = new Rig('v5.10');
  rig.createVm(1);
  const done = rig.ioctl(0, 'KVM_XEN_SET_RUNSTATE_CURRENT', { state: 0n });
  expect(resultOf(done, 'ioctl_result').ret).toBe(-22);
});

test('the guest is told of a change in two writes, the first marked as unfinished', () => {
  const rig = setBack('clamp');
  rig.observed.splice(0);
  rig.ioctl(0, 'KVM_XEN_SET_RUNSTATE_CURRENT', { state: 0n });
  const entryTimes = rig.observed.flatMap((seen) => {
    if (seen.type !== 'guest_write' || seen.what !== 'xen_runstate') return [];
    const { buffer, byteOffset, byteLength } = seen.bytes;
    // Behind the state and its padding.
    return [new DataView(buffer, byteOffset, byteLength).getBigUint64(8, true)];
  });
  expect(entryTimes.map((time) => time >> 63n)).toEqual([1n, 0n]);
  expect(BigInt.asUintN(63, entryTimes[0]!)).toBe(entryTimes[1]);
});
