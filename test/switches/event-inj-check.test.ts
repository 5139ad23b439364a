/** `eventInjCheck`: which EVENTINJ nested SVM's VMRUN refuses. */
import { describe, expect, test } from 'vitest';
import type { Switches } from '../../src/profiles/index.ts';
import { Rig, resultOf } from '../selftests/rig.ts';

const VALID = 0x8000_0000;
const L2_OFFSET = 1n << 40n;

const inject = (type: number, vector: number): number => (VALID | (type << 8) | vector) >>> 0;

/** Whether L2 was entered, and that a refusal leaves the TSC alone. */
function enters(eventInjCheck: Switches['eventInjCheck'], eventInj: number): boolean {
  const rig = new Rig('v7.3', { tscKhz: 2_500_000, vendor: 'svm' }, { eventInjCheck });
  rig.createVm(1);
  rig.enter(0);
  const before = rig.vcpu(0).tscOffset;
  const done = rig.exitFor(0, 'kvm_nested_vmenter', { tscOffset: L2_OFFSET, eventInj });
  const { outcome, code } = resultOf(done, 'nested_result');
  const entered = outcome === 'entered';
  expect([outcome, code]).toEqual(entered ? ['entered', 0n] : ['VMEXIT_INVALID', -1n]);
  expect(rig.vcpu(0).level).toBe(entered ? 'l2' : 'l1');
  expect(rig.vcpu(0).tscOffset).toBe(BigInt.asUintN(64, before + (entered ? L2_OFFSET : 0n)));
  return entered;
}

const vectorsRefused = (check: Switches['eventInjCheck']): number[] =>
  Array.from({ length: 34 }, (_, vector) => vector).filter((v) => !enters(check, inject(3, v)));

describe.each([
  ['none', []],
  ['posted-2020', [2, 32, 33]],
  ['merged', [2, 9, 15, 20, 21, 22, 23, 24, 25, 26, 27, 29, 31, 32, 33]],
] as const)('%s', (check, refused) => {
  test('exceptions by vector', () => {
    expect(vectorsRefused(check)).toEqual(refused);
  });

  test('types', () => {
    const types = [0, 1, 2, 3, 4, 5, 6, 7].filter((type) => !enters(check, inject(type, 0)));
    expect(types).toEqual(check === 'none' ? [] : [1, 5, 6, 7]);
  });

  test('other types take any vector, and what is not valid is not looked at', () => {
    expect(enters(check, inject(0, 200))).toBe(true);
    expect(enters(check, inject(2, 2))).toBe(true);
    expect(enters(check, inject(7, 2) & ~VALID)).toBe(true);
  });
});
