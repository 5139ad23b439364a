import { describe, expect, test } from 'vitest';
import { MSRS } from '../../events/index.ts';
import { KERNELS, Rig } from '../selftests/rig.ts';

const RECORD = 0x7000n;
const ENABLE = 1n;

// `kvm_vcpu_reset()`: `st.msr_val = 0` and `kvmclock_reset()`.
describe('a vCPU that is reset', () => {
  test.each(KERNELS)('%s: has neither kvmclock page nor steal time record', (id) => {
    const rig = new Rig(id).boot(1);
    rig.wrmsr(0, MSRS.MSR_KVM_STEAL_TIME, RECORD | ENABLE);
    rig.on(0, 'kvm_exit', {});
    rig.on(0, 'vcpu_reset', {});
    const { stealVersion } = rig.vcpu(0);
    expect(rig.on(0, 'rdmsr', { index: MSRS.MSR_KVM_STEAL_TIME }).observations).toContainEqual(
      expect.objectContaining({ type: 'msr_result', ok: true, data: 0n }),
    );
    rig.leave(0);
    const seen = rig.observed.length;
    rig.enter(0);
    const written = rig.observed.slice(seen).filter(({ type }) => type === 'guest_write');
    expect(written).toEqual([]);
    expect(rig.vcpu(0).stealVersion).toBe(stealVersion);
  });
});
