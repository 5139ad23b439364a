import { expect, test } from 'vitest';
import { MSRS } from '../../events/index.ts';
import { Rig } from '../selftests/rig.ts';

test('a guest’s write to a protected TSC moves neither it nor TSC_ADJUST (v6.15+)', () => {
  const rig = new Rig('v6.15').createVm();
  rig.createProtectedVcpu(0);
  const { l1TscOffset } = rig.vcpu(0);
  expect(rig.wrmsr(0, MSRS.IA32_TSC, 1n << 40n)).toBe(true);
  expect(rig.vcpu(0).guestTscProtected).toBe(true);
  expect(rig.vcpu(0).l1TscOffset).toBe(l1TscOffset);
  expect(rig.vcpu(0).ia32TscAdjust).toBe(0n);
});
