import { describe, expect, test } from 'vitest';
import { PROFILES } from '../../src/profiles/index.ts';
import { KERNELS, Rig } from '../selftests/rig.ts';

const NONE = 0xffff_ffff_ffff_ffffn;
const PAGE = 0x5000n;
const requestsOf = (rig: Rig): number => rig.vcpu(0).requests;

// `kvm_xen_vcpu_set_attr()` and `kvm_xen_shared_info_init()` ask only for what they have placed.
describe('Xen’s pages', () => {
  test.each(['KVM_XEN_SET_VCPU_INFO', 'KVM_XEN_SET_VCPU_TIME_INFO'] as const)(
    '%s asks for a clock update when it places the page, not when it takes it away',
    (type) => {
      const rig = new Rig('v6.8').boot(1);
      const asks = (gpa: bigint): boolean => {
        const done = rig.ioctl(0, type, { gpa });
        rig.enter(0);
        return done.observations.some(
          (seen) => seen.type === 'request' && seen.name === 'CLOCK_UPDATE',
        );
      };
      expect(asks(PAGE)).toBe(true);
      expect(asks(NONE)).toBe(false);
    },
  );

  const asking = KERNELS.filter((id) => PROFILES[id].switches.mclkUpdateOnXenSharedInfo);
  test.each(asking)('%s: shared_info taken away leaves the masterclock alone', (id) => {
    const rig = new Rig(id).boot(1);
    rig.enter(0);
    const away = rig.do('KVM_XEN_SET_SHARED_INFO', { gpa: NONE });
    expect(requestsOf(rig)).toBe(0);
    expect(away.masterclock.decision).toBe('kept');
    const placed = rig.do('KVM_XEN_SET_SHARED_INFO', { gpa: PAGE });
    expect(requestsOf(rig)).not.toBe(0);
    expect(placed.masterclock.decision).toBe('requested');
  });
});
