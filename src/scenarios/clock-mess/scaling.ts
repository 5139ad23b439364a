/** Patches 2, 6, 8, 9 and 10: from the host's TSC to the guest's, and from there to nanoseconds. */

import { MSRS } from '../../../events/index.ts';
import { baseAt, realtimeAt } from '../../clock/index.ts';
import { asS64, pvclockRead } from '../../num/index.ts';
import {
  aheadOfGetClock,
  ioctl,
  movedBy,
  pageOf,
  passWithSync,
  requestsOf,
  resultOf,
  settle,
  vmOf,
  writeTsc,
} from '../deeds.ts';
import type { SimulatedVm } from '../guest.ts';
import type { Simulation } from '../simulation.ts';
import type { History } from './history.ts';

const NSEC_PER_SEC = 1_000_000_000n;
/** Where the guest wants Hyper-V’s reference TSC page, and the bit that turns it on. */
const HV_PAGE = 0x20_0001n;
/** Where the guest wants the wall clock. */
const WALL_CLOCK_GPA = 0x18_0000n;

/** A page's multiplier is made of Hz instead of kHz. */
export const scaledHz: History = ({ params: { uptime, tscKhz, guestKhz }, host, tell }) => {
  const sim = host({ tscKhz });
  const vm = sim.vm();
  vm.start(1, guestKhz);
  const { pageShift, pageMul, hwTscHz } = vm.kvm(0);
  tell(sim, `the guest’s page has tsc_to_system_mul ${pageMul}, tsc_shift ${pageShift}`);
  const page = pageOf(vm.kvm(0));
  sim.host.pass(uptime);
  const cycles = vm.tsc(0) - page.tscTimestamp;
  const ideal = (cycles * 1_000_000n) / BigInt(guestKhz);
  const gained = pvclockRead(page, vm.tsc(0)) - page.systemTime - ideal;
  const getClock = -aheadOfGetClock(vm);
  const jump = movedBy(vm, 0, () => {
    vm.writeMsr(0, 'HV_X64_MSR_REFERENCE_TSC', HV_PAGE);
    vm.kick();
  });
  tell(sim, `the guest turns Hyper-V’s page on: a new reference moves its clock by ${jump} ns`);
  return [
    ['frequency of the TSC by KVM (Hz)', hwTscHz],
    ['tsc_shift', pageShift],
    ['tsc_to_system_mul', pageMul],
    ['kvmclock gains on its TSC (ns)', gained],
    ['KVM_GET_CLOCK less what the guest reads (ns)', getClock],
    ['a new reference moves kvmclock by (ns)', jump],
  ];
};

/** Hardware scaling is not offered where the TSC's frequency changes. */
export const constantTsc: History = ({ params: { tscKhz, guestKhz }, host, tell }) => {
  const sim = host({ tscKhz, constantTsc: false });
  const vm = sim.vm();
  vm.start(1);
  const { ret } = resultOf(ioctl(vm, 0, { type: 'KVM_SET_TSC_KHZ', khz: guestKhz }));
  tell(sim, `KVM_SET_TSC_KHZ to ${guestKhz} on a host without CONSTANT_TSC returns ${ret}`);
  const { l1TscScalingRatio, catchup } = vm.kvm(0);
  return [
    ['KVM_SET_TSC_KHZ returns', ret],
    ['ratio', l1TscScalingRatio],
    ['software catches up', catchup],
  ];
};

/**
 * Without the patch a 32-bit host's kvmclock follows CLOCK_BOOTTIME. It never has a masterclock; a
 * clocksource that is not the TSC stands for that.
 */
export const host32Bit: History = ({ params: { uptime, ntpPpm, tscKhz }, host, tell }) => {
  const sim = host({ tscKhz, vclockMode: 0 });
  const vm = sim.vm();
  vm.start(1);
  const first = pageOf(vm.kvm(0));
  sim.host.steer(ntpPpm);
  passWithSync(sim, vm, uptime);
  const jump = movedBy(vm, 0, () => {
    ioctl(vm, 0, { type: 'KVM_KVMCLOCK_CTRL' });
    vm.enter(0);
  });
  const moved = vm.kvmclock(0) - pvclockRead(first, vm.tsc(0));
  tell(sim, `its page is written again; since the first one its clock moved by ${moved} ns`);
  return [
    ['masterclock', vmOf(sim).masterclock],
    ['new pages have moved kvmclock by (ns)', moved],
    ['… of that, the last one (ns)', jump],
    ['NTP has steered the host by (ns)', (uptime * ntpPpm) / 1_000_000_000_000n],
  ];
};

/** The epoch written for the guest, less the one that its kvmclock would need, ns. */
function wallClockError(sim: Simulation, vm: SimulatedVm): bigint {
  vm.exit(0);
  const index = MSRS.MSR_KVM_WALL_CLOCK_NEW;
  vm.on(0, { type: 'wrmsr', index, data: WALL_CLOCK_GPA });
  const { wallClockSec, wallClockNsec } = vmOf(sim);
  const epoch = BigInt(wallClockSec) * NSEC_PER_SEC + BigInt(wallClockNsec);
  const error = epoch - (realtimeAt(sim.world.host, sim.host.tsc) - vm.kvmclock(0));
  vm.enter(0);
  return error;
}

/** KVM_GET_CLOCK goes the way that the guest goes: host TSC, guest TSC, ns. */
export const getClock: History = ({ params: { uptime, tscKhz, guestKhz }, host, tell }) => {
  const sim = host({ tscKhz });
  const vm = sim.vm();
  vm.start(1, guestKhz);
  // The masterclock takes the ratio of the TSC that was written last: what came before is unscaled.
  writeTsc(vm, 0, vm.tsc(0));
  vm.enter(0);
  vm.ioctl({ type: 'KVM_SET_CLOCK', clock: vm.kvmclock(0), flags: 0 });
  settle(sim, vm);
  sim.host.pass(uptime);
  const error = -aheadOfGetClock(vm);
  const wallClock = wallClockError(sim, vm);
  tell(sim, `KVM_GET_CLOCK is off from what the guest reads by ${error} ns`);
  sim.dispatch({ type: 'change_clocksource', vclockMode: 0 });
  const { flags = 0 } = resultOf(vm.ioctl({ type: 'KVM_GET_CLOCK' }));
  return [
    ['KVM_GET_CLOCK less what the guest reads (ns)', error],
    ['the wall clock’s epoch is late by (ns)', wallClock],
    ['flags once the clocksource has left the TSC', flags],
  ];
};

/** Software catches up with a TSC that should be faster than the host's. */
export const catchUp: History = ({ params, host, tell }) => {
  const { uptime, tscKhz, catchupKhz } = params;
  const sim = host({ tscKhz, hasTscControl: false });
  const vm = sim.vm();
  vm.start(1, catchupKhz);
  const asked = requestsOf(writeTsc(vm, 0, 0n), 'MASTERCLOCK_UPDATE');
  vm.enter(0);
  vm.ioctl({ type: 'KVM_SET_CLOCK', clock: vm.kvmclock(0), flags: 0 });
  vm.kick();
  const since = vmOf(sim).masterKernelNs;
  sim.host.pass(uptime);
  vm.kick();
  vm.kick();
  const { thisTscNsec, thisTscWrite } = vm.kvm(0);
  const ideal = thisTscWrite + ((since + uptime - thisTscNsec) * BigInt(catchupKhz)) / 1_000_000n;
  const lag = asS64(ideal - vm.tsc(0));
  const { host: clocks, switches } = sim.world;
  const passed = baseAt(clocks, sim.host.tsc, switches.otherBase) - since;
  tell(sim, `the reference is ${uptime} ns old; the guest’s TSC lags by ${lag} cycles`);
  return [
    ['the TSC lags by (cycles)', lag],
    ['in its own time (ns)', (lag * 1_000_000n) / BigInt(catchupKhz)],
    ['of that, CLOCK_MONOTONIC_RAW is late by (ns)', uptime - passed],
    ['references asked for by the write that began its generation', asked],
  ];
};
