/** What KVM takes the host's TSC for, and what comes of it as vCPUs are made and loaded. */
import type { Rig } from '../selftests/rig.ts';
import { countSince, DAY, requestsSince, returnOf, showing } from './showing.ts';

const TWO_GHZ = { tscKhz: 2_000_000 };
/** VDSO_CLOCKMODE_HVCLOCK. */
const HVCLOCK = 3;

/** TSC offsets written while a vCPU goes to another CPU. */
const writesOfLoad = (rig: Rig): number => {
  const from = rig.observed.length;
  rig.on(0, 'vcpu_load', { cpu: 2 });
  return countSince(rig, from, 'kvm_write_tsc_offset');
};

export const HOST_SHOWINGS = [
  showing({
    name: 'hvclockIsTsc',
    what: 'the masterclock on a host that counts by Hyper-V’s page, and STABLE',
    on: 'v7.3',
    host: { ...TWO_GHZ, vclockMode: HVCLOCK },
    tell: (rig) => {
      rig.boot(1);
      return [rig.vm.masterclock, rig.page(0).flags, rig.world.host.clocksource];
    },
    expected: [
      [false, ['off.hostClock', 0, 'other']],
      [true, ['on', 1, 'tsc']],
    ],
  }),
  showing({
    name: 'hvclockIsTsc',
    what: 'there, with a TSC called unstable: offsets written by a load, and whether it and that of a new vCPU are what they were',
    on: 'v7.3',
    host: { tscKhz: 2_500_000, vclockMode: HVCLOCK, tscUnstable: true },
    tell: (rig) => {
      rig.boot(1);
      rig.leave(0);
      rig.wait(DAY);
      const before = rig.vcpu(0).l1TscOffset;
      const written = writesOfLoad(rig);
      rig.createVcpu(1);
      return [written, rig.vcpu(0).l1TscOffset === before, rig.vcpu(1).l1TscOffset === before];
    },
    // An unstable TSC stands still while its vCPU is away, and who joins it gets what the clock says.
    expected: [
      [false, [1, false, false]],
      [true, [0, true, true]],
    ],
  }),
  showing({
    name: 'setTscKhzUnscaled',
    what: 'a frequency that is 100 ppm off, on a host that does not scale: the answer, and what the vCPU has',
    on: 'v7.3',
    host: { ...TWO_GHZ, hasTscControl: false },
    tell: (rig) => {
      rig.boot(1);
      const ret = returnOf(rig.ioctl(0, 'KVM_SET_TSC_KHZ', { khz: 2_000_200 }));
      return [ret, rig.vcpu(0).virtualTscKhz];
    },
    expected: [
      [false, [-22, 2_000_000]],
      [true, [0, 2_000_200]],
    ],
  }),
  ...(['vmx', 'svm'] as const).map((vendor) =>
    showing({
      name: 'vmxCreateSetsCpu',
      what: `requests at the creation of a second vCPU, ${vendor}`,
      on: 'v5.10',
      host: { ...TWO_GHZ, vendor },
      tell: (rig) => {
        rig.boot(1);
        const from = rig.observed.length;
        rig.on(1, 'KVM_CREATE_VCPU', { cpu: 1 });
        return requestsSince(rig, from, 1).filter((name) => name !== 'STEAL_UPDATE');
      },
      expected: [
        [false, ['GLOBAL_CLOCK_UPDATE', 'MIGRATE_TIMER']],
        [true, vendor === 'vmx' ? [] : ['GLOBAL_CLOCK_UPDATE', 'MIGRATE_TIMER']],
      ],
    }),
  ),
];
