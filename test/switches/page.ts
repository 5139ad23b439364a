/** What is written for guests: pvclock pages, Hyper-V's page, Xen's pages. */
import { MSRS } from '../../events/index.ts';
import { InputError } from '../../src/engine/index.ts';
import { pageGpa, type Rig } from '../selftests/rig.ts';
import { returnOf, SECOND, showing } from './showing.ts';

const HV_PAGE = 0x20_0000n;
const XEN_PAGE = 0x30_0000n;
const ENABLE = 1n;

const enableHvPage = (rig: Rig, vcpu: number): void => {
  rig.wrmsr(vcpu, MSRS.HV_X64_MSR_REFERENCE_TSC, HV_PAGE | ENABLE);
};

/** What setting 1 kHz comes to at the next entry. */
function atOneKhz(rig: Rig): string {
  rig.ioctl(0, 'KVM_SET_TSC_KHZ', { khz: 1 });
  try {
    rig.setClock(SECOND);
    rig.enter(0);
    return 'enters';
  } catch (error) {
    if (error instanceof InputError) return error.code;
    throw error;
  }
}

export const PAGE_SHOWINGS = [
  showing({
    name: 'pvScaleUnit',
    what: 'the multiplier at 2.5 GHz on 3.0; then what an entry with 1 kHz does',
    on: 'v7.3',
    host: { tscKhz: 3_000_000, vendor: 'svm' },
    tell: (rig) => {
      rig.createVm(1);
      rig.ioctl(0, 'KVM_SET_TSC_KHZ', { khz: 2_500_000 });
      rig.enableKvmclock(0);
      return [rig.page(0).tscToSystemMul, atOneKhz(rig)];
    },
    expected: [
      ['user-khz', [3_435_973_836, 'enters']],
      ['khz', [3_435_975_211, 'kernel-hangs']],
      ['khz-nonzero', [3_435_975_211, 'enters']],
      ['hz-u32', [3_435_973_839, 'enters']],
      ['hz', [3_435_973_839, 'enters']],
    ],
  }),
  showing({
    name: 'pvScaleUnit',
    what: 'of 5 GHz: the multiplier, and the frequency that is remembered',
    on: 'v7.3',
    host: { tscKhz: 5_000_000 },
    tell: (rig) => {
      rig.boot(1);
      return [rig.page(0).tscToSystemMul, rig.vcpu(0).hwTscHz];
    },
    expected: [
      ['hz-u32', [3_435_973_836, 705_032_704n]],
      ['hz', [3_435_973_836, 5_000_000_000n]],
    ],
  }),
  showing({
    name: 'pvPageWrite',
    what: 'the version after the page is written twice',
    on: 'v6.1',
    tell: (rig) => {
      rig.boot(1);
      const { version } = rig.page(0);
      rig.setClock(SECOND);
      return rig.page(0).version - version;
    },
    expected: [
      ['three-writes', 2],
      ['or-one', 2],
    ],
  }),
  showing({
    name: 'pvTraceVersionParity',
    what: 'the version traced, and the page’s',
    on: 'v6.1',
    tell: (rig) => {
      rig.boot(1);
      const last = rig.observed.findLast((o) => o.type === 'kvm_pvclock_update');
      return rig.page(0).version - (last?.type === 'kvm_pvclock_update' ? last.version : 0);
    },
    expected: [
      ['odd', 1],
      ['even', 0],
    ],
  }),
  showing({
    name: 'pvStoppedInCache',
    what: 'GUEST_STOPPED in Xen’s page, after KVM_KVMCLOCK_CTRL',
    on: 'v6.8',
    tell: (rig) => {
      rig.boot(1);
      rig.ioctl(0, 'KVM_XEN_SET_VCPU_TIME_INFO', { gpa: XEN_PAGE });
      rig.enter(0);
      rig.ioctl(0, 'KVM_KVMCLOCK_CTRL', {});
      rig.enter(0);
      return [rig.page(0).flags & 2, rig.vcpu(0).xenPageFlags.get(1) & 2];
    },
    expected: [
      [true, [2, 2]],
      [false, [2, 0]],
    ],
  }),
  showing({
    name: 'hvPage',
    what: 'the sequence once the page is set, and after each of two clock updates more',
    on: 'v7.3',
    tell: (rig) => {
      rig.boot(1);
      enableHvPage(rig, 0);
      const sequences = [rig.vm.hvTscSequence];
      for (let i = 0; i < 2; i += 1) {
        rig.ioctl(0, 'KVM_KVMCLOCK_CTRL', {});
        rig.enter(0);
        sequences.push(rig.vm.hvTscSequence);
      }
      return sequences;
    },
    expected: [
      ['none', [0, 0, 0]],
      ['sequence', [1, 2, 3]],
      ['status', [1, 1, 1]],
    ],
  }),
  showing({
    name: 'hvPageFrom',
    what: 'the page is set once vCPU 1 has served its request, or when vCPU 0 runs too',
    on: 'v6.1',
    tell: (rig) => {
      rig.boot(2);
      rig.leave(0);
      enableHvPage(rig, 1);
      const first = rig.vm.hvTscPage;
      rig.enter(0);
      return [first, rig.vm.hvTscPage];
    },
    expected: [
      ['vcpu0', ['guestChanged', 'set']],
      ['any', ['set', 'set']],
    ],
  }),
  showing({
    name: 'hvPageBeforeXen',
    what: 'the order in which pages are written',
    on: 'v6.15',
    tell: (rig) => {
      rig.boot(1);
      rig.ioctl(0, 'KVM_XEN_SET_VCPU_TIME_INFO', { gpa: XEN_PAGE });
      const from = rig.observed.length;
      enableHvPage(rig, 0);
      const written = rig.observed
        .slice(from)
        .flatMap((o) => (o.type === 'guest_write' ? [o.what] : []));
      const last = (what: string) => written.lastIndexOf(what);
      return last('hv_tsc_page') < last('xen_pvclock');
    },
    expected: [
      [false, false],
      [true, true],
    ],
  }),
  showing({
    name: 'xenTscUnstableFlag',
    what: 'STABLE in the kvmclock page and in Xen’s, where the VMM does not want it there',
    on: 'v6.8',
    tell: (rig) => {
      rig.boot(1);
      rig.do('KVM_XEN_HVM_CONFIG', { flags: 128 });
      rig.ioctl(0, 'KVM_XEN_SET_VCPU_TIME_INFO', { gpa: pageGpa(9) });
      rig.enter(0);
      return [rig.page(0).flags & 1, rig.vcpu(0).xenPageFlags.get(1) & 1];
    },
    expected: [
      [false, [1, 1]],
      [true, [1, 0]],
    ],
  }),
  showing({
    name: 'xenUnstableTraced',
    what: 'STABLE there in what is traced of the two pages, and in Xen’s',
    on: 'v6.8',
    tell: (rig) => {
      rig.boot(1);
      rig.do('KVM_XEN_HVM_CONFIG', { flags: 128 });
      rig.ioctl(0, 'KVM_XEN_SET_VCPU_TIME_INFO', { gpa: pageGpa(9) });
      const from = rig.observed.length;
      rig.enter(0);
      const traced = rig.observed
        .slice(from)
        .flatMap((o) => (o.type === 'kvm_pvclock_update' ? [o.flags & 1] : []));
      return [traced, rig.vcpu(0).xenPageFlags.get(1) & 1];
    },
    expected: [
      [false, [[1, 1], 0]],
      [true, [[1, 0], 0]],
    ],
  }),
  showing({
    name: 'xenAttributes',
    what: 'what placing vcpu_info, reading where it is and reading the runstate return',
    on: 'v7.3',
    with: { xenRunstate: false },
    tell: (rig) => {
      rig.boot(1);
      const placed = rig.ioctl(0, 'KVM_XEN_SET_VCPU_INFO', { gpa: XEN_PAGE });
      const read = (attr: number) => returnOf(rig.ioctl(0, 'KVM_XEN_VCPU_GET_ATTR', { attr }));
      return [returnOf(placed), read(0), read(3)];
    },
    expected: [
      [false, [-22, -22, -22]],
      [true, [0, 0, -2]],
    ],
  }),
  showing({
    name: 'hvStimerByHost',
    what: 'the VMM writes the count of a timer that its count enables: is it on?',
    on: 'v7.3',
    tell: (rig) => {
      rig.boot(1);
      rig.setMsr(0, MSRS.HV_X64_MSR_STIMER0_CONFIG, 0x2_0008n);
      rig.setMsr(0, MSRS.HV_X64_MSR_STIMER0_COUNT, SECOND);
      return rig.vcpu(0).stimerConfig.get(0);
    },
    expected: [
      [false, 0x2_0008n],
      [true, 0x2_0009n],
    ],
  }),
];
