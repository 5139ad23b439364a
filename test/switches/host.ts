/** What KVM takes the host's TSC for, and what comes of it as vCPUs are made and loaded. */
import { MSRS } from '../../events/index.ts';
import { Rig, resultOf } from '../selftests/rig.ts';
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
  showing({
    name: 'newVcpuTscKhz',
    what: 'the frequency of a vCPU where KVM found 1 kHz less when it was loaded; and where the TSC is not constant',
    on: 'v6.1',
    host: { ...TWO_GHZ, maxTscKhz: 1_999_999 },
    tell: (rig) => {
      rig.createVm(1);
      const loose = new Rig(rig.world.switches, {
        ...TWO_GHZ,
        maxTscKhz: 2_100_000,
        constantTsc: false,
      }).createVm(1);
      return [rig.vcpu(0).virtualTscKhz, loose.vcpu(0).virtualTscKhz];
    },
    expected: [
      ['snapshot', [1_999_999, 2_100_000]],
      ['tsc-khz', [2_000_000, 2_100_000]],
    ],
  }),
  showing({
    name: 'protectedTscKhzRefused',
    what: 'half the frequency on a vCPU whose TSC is protected: the answer, and what it has',
    on: 'v6.19',
    host: TWO_GHZ,
    tell: (rig) => {
      rig.createVm();
      rig.createProtectedVcpu(0);
      const ret = returnOf(rig.ioctl(0, 'KVM_SET_TSC_KHZ', { khz: 1_000_000 }));
      return [ret, rig.vcpu(0).virtualTscKhz];
    },
    expected: [
      [false, [0, 1_000_000]],
      [true, [-22, 2_000_000]],
    ],
  }),
  showing({
    name: 'hostReadsL1Tsc',
    what: 'how much more than L1’s TSC userspace reads while L2 runs a million cycles ahead of it',
    on: 'v5.10',
    host: TWO_GHZ,
    tell: (rig) => {
      rig.boot(1);
      rig.exitFor(0, 'kvm_nested_vmenter', { tscOffset: 1_000_000n });
      rig.leave(0);
      rig.on(0, 'vcpu_load', { cpu: 0 });
      const { l1TscOffset } = rig.vcpu(0);
      const l1 = BigInt.asUintN(64, rig.tsc + l1TscOffset);
      const read = rig.on(0, 'KVM_GET_MSRS', { index: MSRS.IA32_TSC });
      return resultOf(read, 'msr_result').data! - l1;
    },
    expected: [
      [false, 1_000_000n],
      [true, 0n],
    ],
  }),
  showing({
    name: 'clockPairing',
    what: 'what the hypercall returns, and to a vCPU that is always pushed forward',
    on: 'v7.3',
    host: { ...TWO_GHZ, hasTscControl: false },
    tell: (rig) => {
      rig.boot(2);
      rig.ioctl(1, 'KVM_SET_TSC_KHZ', { khz: 2_500_000 });
      const ask = { gpa: 0x6000n, clockType: 0n };
      return [0, 1].map((vcpu) => returnOf(rig.exitFor(vcpu, 'clock_pairing', ask)));
    },
    expected: [
      ['none', [-1000, -1000]],
      ['any', [0, 0]],
      ['not-catching-up', [0, -95]],
    ],
  }),
  showing({
    name: 'createSetsKhz',
    what: 'the TSC that a new vCPU’s first offset makes, where the host’s is unstable: is it 0',
    on: 'v5.10',
    host: { ...TWO_GHZ, tscUnstable: true },
    tell: (rig) => {
      rig.createVm();
      const { tsc } = rig;
      const done = rig.on(0, 'KVM_CREATE_VCPU', { cpu: 0 });
      const { nextTscOffset } = resultOf(done, 'kvm_write_tsc_offset');
      return BigInt.asUintN(64, tsc + nextTscOffset) === 0n;
    },
    // Without a ratio KVM reckons with a TSC that stands still: the offset is 0.
    expected: [
      ['before-load', true],
      ['after-load', false],
    ],
  }),
  showing({
    name: 'destroyLoads',
    what: 'offsets written as a VM of two vCPUs ends, where the host’s TSC is unstable',
    on: 'v6.8',
    host: { ...TWO_GHZ, tscUnstable: true },
    tell: (rig) => {
      rig.createVm(2);
      const from = rig.observed.length;
      rig.do('destroy_vm', { cpu: 0 });
      return countSince(rig, from, 'kvm_write_tsc_offset');
    },
    expected: [
      [true, 2],
      [false, 0],
    ],
  }),
];
