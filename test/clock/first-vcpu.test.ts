import { describe, expect, test } from 'vitest';
import { MSRS } from '../../events/index.ts';
import { Rig, split } from '../selftests/rig.ts';

const PAGE = 0x8000n;
const ENABLE = 1n;

const { holds } = split(({ hvPage }) => hvPage !== 'none');

// `get_time_ref_counter()` takes `kvm_get_vcpu(kvm, 0)`: the first one created, whatever its id.
describe('a VM without a vCPU of id 0', () => {
  test.each(holds)('%s: TIME_REF_COUNT is what the reference TSC page says', (id) => {
    const rig = new Rig(id).createVm(0);
    rig.createVcpu(3);
    rig.wrmsr(3, MSRS.HV_X64_MSR_REFERENCE_TSC, PAGE | ENABLE);
    rig.settle();
    expect(rig.vm.hvTscPage).toBe('set');
    const before = rig.getClock().clock! / 100n;
    const ticks = rig.rdmsr(3, MSRS.HV_X64_MSR_TIME_REF_COUNT);
    const after = rig.getClock().clock! / 100n;
    expect(ticks >= before - 1n && ticks <= after + 1n, `${before} ${ticks} ${after}`).toBe(true);
  });
});
