/** Guests' TSCs: frequency and scaling, writes, and what userspace reads and puts back. */
import { MSRS } from '../../events/index.ts';
import type { Rig } from '../selftests/rig.ts';
import { resultOf } from '../selftests/rig.ts';
import { requestsSince, returnOf, SECOND, showing } from './showing.ts';

const TWO_GHZ = { tscKhz: 2_000_000 };
const HZ = 2_000_000_000n;

/** How far a vCPU's TSC moves over something, cycles. */
function moves(rig: Rig, vcpu: number, something: () => void): bigint {
  const before = rig.vcpu(vcpu).l1TscOffset;
  something();
  return BigInt.asIntN(64, rig.vcpu(vcpu).l1TscOffset - before);
}

export const TSC_SHOWINGS = [
  showing({
    name: 'tscKhzSource',
    what: 'the multiplier where KVM’s copy of 2,000,000 kHz is 2 kHz low',
    on: 'v6.1',
    host: { ...TWO_GHZ, cpuTscKhz: 1_999_998 },
    tell: (rig) => rig.boot(1).page(0).tscToSystemMul,
    // 2^31 · 2,000,000 / 1,999,998.
    expected: [
      ['per-cpu', 2_147_485_795],
      ['tsc-khz', 2_147_483_648],
    ],
  }),
  showing({
    name: 'tscWriteByGuest',
    what: 'a guest writes half a second more than its TSC: is it taken as told? of a protected TSC?',
    on: 'v6.15',
    with: { syncWindow: 'cycles' },
    host: TWO_GHZ,
    tell: (rig) => {
      rig.createVm(1);
      rig.createProtectedVcpu(1);
      return [0, 1].map((vcpu) => {
        rig.enter(vcpu);
        const data = rig.tscAt(vcpu, rig.tsc) + HZ / 2n;
        const by = moves(rig, vcpu, () => {
          rig.wrmsr(vcpu, MSRS.IA32_TSC, data);
        });
        return by > HZ / 3n;
      });
    },
    expected: [
      ['sync', [false, false]],
      ['offset', [true, true]],
      ['offset-unless-protected', [true, false]],
    ],
  }),
  showing({
    name: 'tscAdjustRaisesClockUpdate',
    what: 'the guest’s clock after TSC_ADJUST of 2^32 cycles, ns off',
    on: 'v7.3',
    host: TWO_GHZ,
    tell: (rig) => {
      rig.boot(1);
      const { tsc } = rig;
      const before = rig.kvmclockAt(0, tsc);
      rig.wrmsr(0, MSRS.IA32_TSC_ADJUST, 1n << 32n);
      return rig.kvmclockAt(0, tsc) - before;
    },
    expected: [
      [false, 1n << 31n],
      [true, 0n],
    ],
  }),
  showing({
    name: 'tscOffsetAttr',
    what: 'asking for the attribute',
    on: 'v6.1',
    tell: (rig) => returnOf(rig.boot(1).ioctl(0, 'KVM_HAS_TSC_OFFSET', {})),
    expected: [
      [false, -22],
      [true, 0],
    ],
  }),
  ...[true, false].map((hasTscControl) =>
    showing({
      name: 'tscScaleAttr',
      what: `asking for, reading and setting the attribute, hardware scales: ${hasTscControl}`,
      on: 'v7.3',
      host: { ...TWO_GHZ, hasTscControl },
      tell: (rig) => {
        rig.boot(1);
        const types = ['KVM_HAS_TSC_SCALE', 'KVM_GET_TSC_SCALE', 'KVM_SET_TSC_SCALE'] as const;
        return types.map((type) => {
          const { ret, ratio } = resultOf(rig.ioctl(0, type, {}), 'ioctl_result');
          return ratio ?? ret;
        });
      },
      expected: [
        ['none', [-6, -6, -6]],
        ['always', [0, 1n << 48n, -22]],
        ['with-scaling', hasTscControl ? [0, 1n << 48n, -22] : [-6, -6, -6]],
      ],
    }),
  ),
  showing({
    name: 'vmTscKhz',
    what: 'setting the VM’s frequency before there is a vCPU, and then',
    on: 'v7.3',
    tell: (rig) => {
      rig.createVm();
      const set = () => returnOf(rig.do('KVM_SET_VM_TSC_KHZ', { khz: 2_000_000 }));
      const before = set();
      rig.createVcpu(0);
      return [before, set()];
    },
    expected: [
      ['none', [-25, -25]],
      ['always', [0, 0]],
      ['before-vcpus', [0, -22]],
    ],
  }),
  showing({
    name: 'catchupFormula',
    what: 'a guest of 3.5 GHz on 3.0 without scaling, 100 s after the reference: cycles it lags; the page’s TSC, too high by',
    on: 'v7.3',
    host: { tscKhz: 3_000_000, hasTscControl: false, tsc: 1n },
    tell: (rig) => {
      rig.createVm(1);
      rig.ioctl(0, 'KVM_SET_TSC_KHZ', { khz: 3_500_000 });
      rig.setMsr(0, MSRS.IA32_TSC, 0n);
      rig.enableKvmclock(0);
      rig.setClock(0n);
      const reference = rig.vm.masterKernelNs;
      rig.wait(100n * SECOND);
      const { tsc } = rig;
      rig.enter(0);
      rig.on(0, 'kvm_exit', {});
      rig.on(0, 'kvm_entry', {});
      const { thisTscNsec, thisTscWrite } = rig.vcpu(0);
      const ideal = (ns: bigint) => thisTscWrite + ((ns - thisTscNsec) * 7n) / 2n;
      const now = reference + 100n * SECOND;
      const near = (value: bigint) => (value + 50_000n) / 100_000n;
      return [
        near(ideal(now) - rig.tscAt(0, tsc)) * 100_000n,
        near(rig.page(0).tscTimestamp - ideal(reference)) * 100_000n,
      ];
    },
    // (3.5 − 3.0 GHz) · 100 s.
    expected: [
      ['reference', [50_000_000_000n, 0n]],
      ['two-points', [0n, 0n]],
      ['now', [0n, 50_000_000_000n]],
    ],
  }),
  showing({
    name: 'scalingNeedsConstantTsc',
    what: 'half the frequency on a host whose TSC is not constant',
    on: 'v7.3',
    host: { ...TWO_GHZ, constantTsc: false },
    tell: (rig) => returnOf(rig.createVm(1).ioctl(0, 'KVM_SET_TSC_KHZ', { khz: 1_000_000 })),
    expected: [
      [false, 0],
      [true, -22],
    ],
  }),
  showing({
    name: 'tscStateIoctls',
    what: 'a TSC put back by a time a second ago, and one in the future, with v2’s flag: seconds it is moved by',
    on: 'v5.10',
    host: { ...TWO_GHZ, offsReal: 1_700_000_000n * SECOND },
    tell: (rig) => {
      rig.boot(1);
      const state = resultOf(rig.ioctl(0, 'KVM_GET_TSC_STATE', {}), 'ioctl_result');
      if (state.ret !== 0) return state.ret;
      return [-1n, 1n].map((seconds) => {
        const nsec = 1_700_000_000n * SECOND + nowNs(rig) + seconds * SECOND;
        const fields = { flags: 1, nsec, guestTsc: 100n * HZ, tscAdjust: 0n };
        rig.ioctl(0, 'KVM_SET_TSC_STATE', fields);
        return (rig.tscAt(0, rig.tsc) - 90n * HZ + HZ / 2n) / HZ - 10n;
      });
    },
    expected: [
      ['none', -22],
      ['v1', [1n, 0n]],
      ['v2', [1n, -1n]],
    ],
  }),
  showing({
    name: 'hvTimer',
    what: 'a deadline in 1 ms with an advance of 10 µs: who runs it, and ns less than asked for',
    on: 'v7.3',
    host: { ...TWO_GHZ, preemptionTimerRate: 5, timerAdvanceNs: 10_000 },
    tell: (rig) => {
      rig.boot(1);
      rig.wait(SECOND);
      rig.on(0, 'kvm_exit', {});
      const data = rig.tscAt(0, rig.tsc) + HZ / 1000n;
      const done = rig.on(0, 'wrmsr', { index: MSRS.IA32_TSC_DEADLINE, data });
      const state = done.observations.find((o) => o.type === 'kvm_hv_timer_state');
      return [state?.hvTimerInUse, 1_000_000n - resultOf(done, 'timer_armed').delayNs];
    },
    expected: [
      ['none', [undefined, 10_000n]],
      ['exact', [1, 0n]],
      ['advanced', [1, 10_000n]],
    ],
  }),
  showing({
    name: 'tscHostAccessQuirk',
    what: 'without the quirk, userspace writes a TSC a second on: cycles that TSC_ADJUST moves',
    on: 'v5.10',
    host: TWO_GHZ,
    tell: (rig) => {
      rig.boot(1);
      rig.do('KVM_CAP_DISABLE_QUIRKS', { quirks: 32 });
      rig.leave(0);
      rig.setMsr(0, MSRS.IA32_TSC, rig.tscAt(0, rig.tsc + 250n) + HZ);
      return rig.vcpu(0).ia32TscAdjust;
    },
    expected: [
      [false, 0n],
      [true, HZ],
    ],
  }),
  showing({
    name: 'tscAdjustSynchronizes',
    what: 'a guest adjusts one of two TSCs: is a masterclock update asked for, and what comes of it',
    on: 'v7.3',
    tell: (rig) => {
      rig.boot(2);
      const from = rig.observed.length;
      rig.wrmsr(1, MSRS.IA32_TSC_ADJUST, 1_000_000n);
      rig.enterAll();
      const asked = requestsSince(rig, from).includes('MASTERCLOCK_UPDATE');
      const apart = [asked, rig.vm.masterclock, rig.vcpu(1).ia32TscAdjust];
      rig.wrmsr(0, MSRS.IA32_TSC_ADJUST, 1_000_000n);
      rig.enterAll();
      return [...apart, rig.vm.masterclock];
    },
    expected: [
      [false, [false, 'on', 1_000_000n, 'on']],
      [true, [true, 'off.unmatched', 1_000_000n, 'on']],
    ],
  }),
];

/** Time since the host booted, ns: its TSC started with it. */
const nowNs = (rig: Rig): bigint => (rig.tsc * 1_000_000n) / BigInt(rig.world.host.tscKhz);
