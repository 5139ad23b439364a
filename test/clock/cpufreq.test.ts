import { describe, expect, test } from 'vitest';
import { KERNELS, Rig } from '../selftests/rig.ts';

// `kvm_timer_init()` registers its cpufreq notifier only without X86_FEATURE_CONSTANT_TSC, also where
// (until v6.1) pages are made from the per-CPU copy of the frequency all the same.
describe('a host CPU that changes its frequency', () => {
  test.each(KERNELS)('%s: a constant TSC does not care', (id) => {
    const rig = new Rig(id).boot(1);
    const page = rig.page(0);
    rig.host('cpufreq', { cpu: 0, khz: 1_200_000 });
    expect(rig.vcpu(0).requests).toBe(0);
    rig.leave(0);
    rig.ioctl(0, 'KVM_KVMCLOCK_CTRL', {});
    rig.enter(0);
    expect(rig.page(0).version).not.toBe(page.version);
    expect(rig.page(0).tscToSystemMul).toBe(page.tscToSystemMul);
    expect(rig.page(0).tscShift).toBe(page.tscShift);
  });

  test.each(KERNELS)('%s: any other TSC runs at it from now on', (id) => {
    const rig = new Rig(id, { tscKhz: 2_500_000, constantTsc: false, hasTscControl: false }).boot(
      1,
    );
    const page = rig.page(0);
    rig.host('cpufreq', { cpu: 0, khz: 1_200_000 });
    rig.settle();
    expect(rig.page(0).tscToSystemMul).not.toBe(page.tscToSystemMul);
  });
});
