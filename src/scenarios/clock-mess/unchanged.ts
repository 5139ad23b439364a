/** Patches 4, 5, 11 and 12, which change no behaviour: what they touch is seen to stay as it is. */
import { encodePvclockPage, PVCLOCK_PAGE_BYTES, timeScale } from '../../num/index.ts';
import { pageOf, writeTsc } from '../deeds.ts';
import type { History } from './history.ts';

const NSEC_PER_SEC = 1_000_000_000n;

/** The page's layout, which moved to another header. */
export const pageLayout: History = ({ params: { tscKhz, guestKhz, uptime }, host, tell }) => {
  const sim = host({ tscKhz });
  const vm = sim.vm();
  vm.start(1, guestKhz);
  sim.host.pass(uptime);
  vm.ioctl({ type: 'KVM_SET_CLOCK', clock: vm.kvmclock(0), flags: 0 });
  vm.kick();
  const { pageVersion: version, pageFlags: flags } = vm.kvm(0);
  const bytes = new Uint8Array(PVCLOCK_PAGE_BYTES);
  encodePvclockPage({ version, ...pageOf(vm.kvm(0)), flags }, bytes);
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  tell(sim, `the guest’s page is ${hex}`);
  return [
    ['size of a page (bytes)', bytes.length],
    ['its bytes', hex],
  ];
};

/** What pvclock_test does without ioctls of its own: a clock is set to what it reads. */
export const correction: History = ({ params: { tscKhz, guestKhz, uptime }, host, tell }) => {
  const sim = host({ tscKhz });
  const vm = sim.vm();
  vm.start(1, guestKhz);
  sim.host.pass(uptime);
  const before = vm.kvmclock(0);
  vm.ioctl({ type: 'KVM_SET_CLOCK', clock: before, flags: 0 });
  vm.kick();
  const corrected = vm.kvmclock(0) - before;
  tell(sim, `KVM_SET_CLOCK to what the guest reads: corrected − before is ${corrected} ns`);
  return [['corrected − before (ns)', corrected]];
};

/** kvm_get_time_scale() is written down in other words. */
export const timeScaleWords: History = ({ params: { tscKhz, guestKhz }, host, tell }) => {
  const sim = host({ tscKhz });
  const vm = sim.vm();
  vm.start(1, guestKhz);
  const { pageMul, pageShift } = vm.kvm(0);
  tell(sim, `the guest’s page has tsc_to_system_mul ${pageMul}, tsc_shift ${pageShift}`);
  const back = timeScale(BigInt(guestKhz) * 1000n, NSEC_PER_SEC);
  return [
    ['cycles to ns: shift', pageShift],
    ['cycles to ns: mul', pageMul],
    ['ns to cycles: shift', back.shift],
    ['ns to cycles: mul', back.mul],
  ];
};

/** kvm_compute_l1_tsc_offset() is told the TSC instead of reading it. */
export const offsetOfWrite: History = ({ params: { tscKhz, guestKhz, uptime }, host, tell }) => {
  const sim = host({ tscKhz });
  const vm = sim.vm();
  vm.start(1, guestKhz);
  sim.host.pass(uptime);
  const data = vm.tsc(0) / 2n;
  writeTsc(vm, 0, data);
  const { l1TscOffset } = vm.kvm(0);
  vm.enter(0);
  tell(sim, `the VMM writes ${data} to the TSC: its offset is ${l1TscOffset}`);
  return [
    ['l1_tsc_offset', l1TscOffset],
    ['the TSC, less what was written (cycles)', vm.tsc(0) - data],
  ];
};
