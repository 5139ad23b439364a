import { describe, expect, test } from 'vitest';
import { Rig } from '../selftests/rig.ts';

// `kvm_guest_time_update()` until v4.8 returns before it makes the scale while there is no page.
describe('a frequency set after the first entry, before there is a page', () => {
  test.each(['v4.4', 'v4.9', 'v6.1'] as const)('%s: the page has its scale', (id) => {
    const rig = new Rig(id, { tscKhz: 3_000_000 }).createVm(1);
    rig.enter(0);
    rig.ioctl(0, 'KVM_SET_TSC_KHZ', { khz: 1_500_000 });
    rig.enableKvmclock(0);
    expect(rig.page(0).tscToSystemMul).toBe(2_863_311_530);
    expect(rig.page(0).tscShift).toBe(0);
  });
});
