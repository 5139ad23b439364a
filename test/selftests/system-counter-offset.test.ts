/**
 * KVM_VCPU_TSC_OFFSET: the guest's TSC is the host's plus the offset.
 *
 * What the kernel's `system_counter_offset_test` and the stable-bit check of the KVM clock series'
 * `pvclock_test` check. The attribute exists since v5.16 (`tscOffsetAttr`).
 *
 * In every merged kernel one vCPU with an offset of its own takes the masterclock from all: the
 * criterion is equal offsets (`mclkCriterion: offsets`). The posted series keeps the masterclock and
 * only clears the STABLE bit; its `masterclock_offset_test` holds there alone.
 */
import { describe, expect, test } from 'vitest';
import { PVCLOCK_TSC_STABLE_BIT } from '../../src/num/index.ts';
import { PROFILES, type ProfileId } from '../../src/profiles/index.ts';
import { Rig, resultOf, split } from './rig.ts';

const { holds, fails } = split(({ tscOffsetAttr }) => tscOffsetAttr);

const setOffset = (rig: Rig, vcpu: number, offset: bigint): number =>
  resultOf(
    rig.ioctl(vcpu, 'KVM_SET_TSC_OFFSET', { offset: BigInt.asUintN(64, offset) }),
    'ioctl_result',
  ).ret;

describe.each(holds)('%s', (id) => {
  test.each([0n, 180_000_000_000n, -180_000_000_000n])('offset %d', (offset) => {
    const rig = new Rig(id).createVm(1);
    expect(resultOf(rig.ioctl(0, 'KVM_HAS_TSC_OFFSET', {}), 'ioctl_result').ret).toBe(0);
    expect(setOffset(rig, 0, offset)).toBe(0);
    const got = resultOf(rig.ioctl(0, 'KVM_GET_TSC_OFFSET', {}), 'ioctl_result').offset!;
    expect(BigInt.asIntN(64, got)).toBe(offset);
    rig.enter(0);
    const start = rig.tsc + offset;
    const guest = BigInt.asIntN(64, rig.rdtsc(0));
    const end = rig.tsc + offset;
    expect(start <= guest && guest <= end).toBe(true);
  });

  const { mclkCriterion, stableBit } = PROFILES[id].switches;
  const takes = mclkCriterion === 'offsets';

  test(`an offset of its own on one vCPU ${takes ? 'takes' : 'leaves'} the masterclock`, () => {
    const rig = new Rig(id).boot(3);
    expect(rig.vm.masterclock).toBe('on');
    for (const vcpu of rig.vcpuIds) expect(rig.page(vcpu).flags & PVCLOCK_TSC_STABLE_BIT).toBe(1);
    const offset = BigInt.asIntN(64, rig.vcpu(1).l1TscOffset) + 12_345_678n;
    expect(setOffset(rig, 1, offset)).toBe(0);
    rig.enterAll();
    expect(rig.vm.masterclock).toBe(takes ? 'off.unmatched' : 'on');
    const stable = !takes && stableBit === 'masterclock' ? 1 : 0;
    for (const vcpu of rig.vcpuIds) {
      expect(rig.page(vcpu).flags & PVCLOCK_TSC_STABLE_BIT).toBe(stable);
    }
    expect(rig.getClock().flags).toBe(takes ? 0 : 14);
  });

  test('the same offset on all brings it back', () => {
    const rig = new Rig(id).boot(3);
    const offset = BigInt.asIntN(64, rig.vcpu(1).l1TscOffset) + 12_345_678n;
    setOffset(rig, 1, offset);
    rig.enterAll();
    for (const vcpu of [0, 2]) setOffset(rig, vcpu, offset);
    rig.enterAll();
    expect(rig.vm.masterclock).toBe('on');
    for (const vcpu of rig.vcpuIds) {
      expect(rig.page(vcpu).flags & PVCLOCK_TSC_STABLE_BIT).toBe(1);
      expect(rig.kvmclockAt(vcpu, rig.tsc)).toBe(rig.kvmclockAt(0, rig.tsc));
    }
  });
});

test.each(fails)('%s has no attributes of vCPUs at all: EINVAL', (id: ProfileId) => {
  const rig = new Rig(id).createVm(1);
  expect(resultOf(rig.ioctl(0, 'KVM_HAS_TSC_OFFSET', {}), 'ioctl_result').ret).toBe(-22);
  expect(setOffset(rig, 0, 0n)).toBe(-22);
});

// masterclock_offset_test, of the posted series: vCPUs whose TSCs are apart have one clock.
const byFrequency = split(({ mclkCriterion }) => mclkCriterion !== 'offsets').holds;

test.each(byFrequency)('%s: TSCs apart, clocks are not', (id) => {
  const rig = new Rig(id).boot(3);
  const apart = (): bigint => rig.kvmclockAt(1, rig.tsc) - rig.kvmclockAt(0, rig.tsc);
  setOffset(rig, 1, BigInt.asIntN(64, rig.vcpu(1).l1TscOffset) + 12_345_678n);
  rig.enterAll();
  // The RFC asks for no update: vCPU 1 reads its new TSC by its old page, 12,345,678 cycles ahead.
  const isStale = PROFILES[id].switches.mclkRequestOnTrack === 'toggle';
  expect(apart()).toBe(isStale ? 4_938_272n : 0n);
  rig.setClock(3_600_000_000_000n);
  expect(apart()).toBe(0n);
});
