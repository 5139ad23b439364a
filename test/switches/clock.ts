/** The VM's clock: what it is counted from, how userspace reads and sets it. */
import { MSRS } from '../../events/index.ts';
import { baseAt, KVM_CLOCK_REALTIME, realtimeAt } from '../../src/clock/index.ts';
import { pageGpa, type Rig } from '../selftests/rig.ts';
import { DAY, moved, returnOf, SECOND, showing, steer } from './showing.ts';

const TWO_GHZ = { tscKhz: 2_000_000 };
/** The multiplier of 2 GHz has 23 bits, so that 20 ppm are 83 of 4194304. */
const STEERED_BY_20_PPM = (ns: bigint): bigint => (ns * 83n) / 4_194_304n;

/** How far a number is from what it should be, in units of some size, rounded down to 0. */
const about = (value: bigint, expected: bigint, unit: bigint): bigint => (value - expected) / unit;

/** A guest at 2.5 GHz on a host of 3.0, with kvmclock, for a day. */
function scaledDay(rig: Rig): void {
  rig.createVm(1);
  rig.ioctl(0, 'KVM_SET_TSC_KHZ', { khz: 2_500_000 });
  // The masterclock takes the ratio of the TSC that was written last.
  rig.setMsr(0, MSRS.IA32_TSC, 0n);
  rig.enableKvmclock(0);
  rig.setClock(SECOND);
  rig.wait(DAY);
}

export const CLOCK_SHOWINGS = [
  showing({
    name: 'masterBase',
    what: 'a hotplug after 30 days brings what NTP steered by +20 ppm: +51.84 s, were it exactly that',
    on: 'v4.19',
    host: TWO_GHZ,
    tell: (rig) => {
      rig.boot(1);
      steer(rig, 20n);
      rig.wait(30n * DAY);
      const jump = moved(rig, () => {
        rig.createVcpu(1);
        rig.enter(1);
        rig.settle();
      });
      return [about(jump, STEERED_BY_20_PPM(30n * DAY), 2000n) === 0n, jump / SECOND];
    },
    expected: [
      ['boottime', [true, 51n]],
      ['raw', [false, 0n]],
    ],
  }),
  showing({
    name: 'otherBase',
    what: 'KVM_GET_CLOCK without masterclock follows NTP, or does not',
    on: 'v5.5',
    host: TWO_GHZ,
    tell: (rig) => {
      rig.createVm(1);
      steer(rig, 20n);
      const before = rig.getClock().clock!;
      const at = rig.tsc;
      rig.wait(DAY);
      return rig.getClock().clock! - before - (rig.tsc - at) / 2n;
    },
    expected: [
      ['boottime', STEERED_BY_20_PPM(DAY)],
      ['raw', 0n],
    ],
  }),
  showing({
    name: 'kvmclockOffsetInit',
    what: 'the offset of a new VM, on a host whose two clocks are 100 s apart',
    on: 'v5.5',
    host: { ...TWO_GHZ, monotonicNs: 1000n * SECOND, monotonicRawNs: 900n * SECOND },
    tell: (rig) => rig.createVm().vm.kvmclockOffset,
    // The VM is created half a second later.
    expected: [
      ['zero', 0n],
      ['minus-base', -1_000_500_000_000n],
      ['minus-snapshot', -900_500_000_000n],
    ],
  }),
  showing({
    name: 'countsFromZero',
    what: 'vCPU 0 registers its page after an hour: the clock, s, and its flags',
    on: 'v4.4',
    host: { ...TWO_GHZ, monotonicNs: 3600n * SECOND },
    tell: (rig) => {
      rig.createVm(1);
      rig.enableKvmclock(0);
      return [rig.kvmclock(0) / SECOND, rig.page(0).flags];
    },
    expected: [
      [false, [3600n, 1]],
      [true, [0n, 5]],
    ],
  }),
  showing({
    name: 'getClock',
    what: 'a day after the reference, against what a guest of 2.5 on 3.0 GHz reads, ns',
    on: 'v7.3',
    with: { pvScaleUnit: 'hz' },
    host: { tscKhz: 3_000_000 },
    tell: (rig) => {
      scaledDay(rig);
      const { tsc } = rig;
      const found = rig.getClock().clock! - rig.kvmclockAt(0, tsc);
      return found === 1n || found === -1n ? 0n : found;
    },
    // RAW is 60.245 ppb slower than the guest's page, the host's own scale 0.873 ppb.
    expected: [
      ['base', -5_205_162n],
      ['host-scale', -75_437n],
      ['guest-scale', 0n],
    ],
  }),
  showing({
    name: 'getClock',
    what: 'against the page that v7.3 makes of whole kHz: −34,575,350 ns in a day',
    on: 'v7.3',
    host: { tscKhz: 3_000_000 },
    tell: (rig) => {
      scaledDay(rig);
      const { tsc } = rig;
      const found = rig.getClock().clock! - rig.kvmclockAt(0, tsc);
      return about(found, -34_575_350n, 50n) === 0n;
    },
    expected: [
      ['base', false],
      ['host-scale', true],
    ],
  }),
  showing({
    name: 'getClockRealtime',
    what: 'the flags of KVM_GET_CLOCK',
    on: 'v6.1',
    tell: (rig) => rig.boot(1).getClock().flags,
    expected: [
      [false, 2],
      [true, 14],
    ],
  }),
  showing({
    name: 'setClockOrder',
    what: 'a clock set to 1000 s a day after its reference, NTP at +100 ppm: how far it is off',
    on: 'v4.9',
    host: TWO_GHZ,
    tell: (rig) => {
      rig.boot(1);
      steer(rig, 100n);
      rig.wait(DAY);
      const at = rig.tsc;
      const base = baseAt(rig.world.host, at, 'boottime');
      // Each read of a clock is 500 ns after the one before.
      const readings = { 'setClock.ns': base - 500n, 'getClock.tsc': at + 1000n };
      rig.do('KVM_SET_CLOCK', { clock: 1000n * SECOND, flags: 0, readings });
      rig.settle();
      return rig.kvmclockAt(0, at) - 1000n * SECOND;
    },
    // 419 of 4194304 are what 100 ppm come to.
    expected: [
      ['base-then-update', 500n],
      ['now-then-update', (DAY * 419n) / 4_194_304n - 500n],
      ['update-then-now', -500n],
      ['update-then-reference', 0n],
    ],
  }),
  showing({
    name: 'setClockFlags',
    what: 'KVM_SET_CLOCK with KVM_CLOCK_REALTIME',
    on: 'v6.1',
    tell: (rig) => rig.boot(1).setClock(SECOND, KVM_CLOCK_REALTIME, 0n),
    expected: [
      [0, -22],
      [14, 0],
    ],
  }),
  showing({
    name: 'wallClock',
    what: 'the epoch a day after the reference, against realtime minus what the guest reads, ns',
    on: 'v7.3',
    with: { pvScaleUnit: 'hz' },
    host: { tscKhz: 3_000_000, offsReal: 1_700_000_000n * SECOND },
    tell: (rig) => {
      scaledDay(rig);
      rig.on(0, 'kvm_exit', {});
      const { tsc } = rig;
      const realtime = realtimeAt(rig.world.host, tsc);
      const readings = { 'wallClock.ns': realtime - 1000n };
      const index = MSRS.MSR_KVM_WALL_CLOCK_NEW;
      rig.on(0, 'wrmsr', { index, data: pageGpa(9), readings });
      const { wallClockSec, wallClockNsec } = rig.vm;
      const epoch = BigInt(wallClockSec) * SECOND + BigInt(wallClockNsec);
      const found = epoch - (realtime - rig.kvmclockAt(0, tsc));
      return found === 1n || found === -1n ? 0n : found;
    },
    // As KVM_GET_CLOCK is off; read apart, 1000 ns too early, the realtime counts too.
    expected: [
      ['boottime', 5_205_162n],
      ['real-minus-kvmclock', 74_438n],
      ['single-tsc', 75_438n],
      ['guest-scale', 0n],
    ],
  }),
  showing({
    name: 'clockGuestIoctls',
    what: 'reading the clock as a page; setting it by it, with padding, from the future; reading without masterclock',
    on: 'v7.3',
    tell: (rig) => {
      rig.boot(1);
      const { observations } = rig.ioctl(0, 'KVM_GET_CLOCK_GUEST', {});
      const page = rig.page(0);
      const set = (more: { pad?: number; tscTimestamp?: bigint }) =>
        returnOf(rig.ioctl(0, 'KVM_SET_CLOCK_GUEST', { ...fieldsOf(page), ...more }));
      const ahead = page.tscTimestamp + 1_000_000_000_000n;
      const sets = [set({}), set({ pad: 1 }), set({ tscTimestamp: ahead })];
      rig.wrmsr(0, MSRS.MSR_KVM_SYSTEM_TIME, pageGpa(0) | 1n);
      const without = rig.ioctl(0, 'KVM_GET_CLOCK_GUEST', {});
      return [returnOf({ observations }), ...sets, returnOf(without)];
    },
    expected: [
      ['none', [-22, -22, -22, -22, -22]],
      ['rfc-v3', [0, 0, 0, 0, -22]],
      ['v6', [0, 0, -22, -22, -22]],
      ['after-v6', [0, 0, -22, -22, -61]],
    ],
  }),
  showing({
    name: 'suspendStopsGuests',
    what: 'GUEST_STOPPED in the page after the host has slept',
    on: 'v5.15',
    tell: (rig) => {
      rig.boot(1);
      rig.leave(0);
      rig.host('suspend', {});
      rig.host('suspend_end', {});
      rig.enter(0);
      return rig.page(0).flags & 2;
    },
    expected: [
      [false, 0],
      [true, 2],
    ],
  }),
];

/** A page as KVM_SET_CLOCK_GUEST takes it. */
const fieldsOf = (page: ReturnType<Rig['page']>) => ({
  tscTimestamp: page.tscTimestamp,
  systemTime: page.systemTime,
  tscToSystemMul: page.tscToSystemMul,
  tscShift: page.tscShift,
});
