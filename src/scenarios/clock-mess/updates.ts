/** Patches 1 and 17 to 19: references and pages that are renewed without need. */

import type { Performed } from '../../engine/index.ts';
import { HOST_CPUS, movedBy, requestsOf, settle, vmOf } from '../deeds.ts';
import type { SimulatedVm } from '../guest.ts';
import type { Simulation } from '../simulation.ts';
import type { History } from './history.ts';

const SHARED_INFO_GPA = 0x30_0000n;

/** A Xen guest's shared_info page is placed. */
export const sharedInfo: History = ({ params, host, tell }) => {
  const { uptime, tscKhz, guestKhz } = params;
  const sim = host({ tscKhz });
  const vm = sim.vm();
  vm.start(1, guestKhz);
  sim.host.pass(uptime);
  const { masterCycleNow } = vmOf(sim);
  const jump = movedBy(vm, 0, () => {
    vm.ioctl({ type: 'KVM_XEN_SET_SHARED_INFO', gpa: SHARED_INFO_GPA });
    vm.kick();
  });
  tell(sim, `the VMM places shared_info; the guest’s clock moves by ${jump} ns`);
  return [
    ['the reference moves by (host cycles)', vmOf(sim).masterCycleNow - masterCycleNow],
    ['kvmclock moves by (ns)', jump],
  ];
};

/** By how much the version of a vCPU's page moves meanwhile. */
function versions(vm: SimulatedVm, vcpu: number, meanwhile: () => void): number {
  const { pageVersion } = vm.kvm(vcpu);
  meanwhile();
  return vm.kvm(vcpu).pageVersion - pageVersion;
}

/** A vCPU registers its page, again and again. */
export const systemTimeMsr: History = ({ params: { tscKhz, times }, host, tell }) => {
  const sim = host({ tscKhz });
  const vm = sim.vm();
  vm.start(2);
  settle(sim, vm);
  const moved = versions(vm, 1, () => {
    for (let i = 0; i < times; i++) {
      vm.registerKvmclock(0);
      settle(sim, vm);
    }
  });
  const last = versions(vm, 1, () => {
    vm.writeMsr(0, 'MSR_KVM_SYSTEM_TIME_NEW', 0n);
    settle(sim, vm);
  });
  tell(sim, `vCPU 0 registers its page ${times} times: the version of vCPU 1’s moves by ${moved}`);
  return [
    ['vCPU 1’s page: its version moves by', moved],
    ['… when vCPU 0 gives its page up', last],
  ];
};

/** Whether a new vCPU's first load, which is in its creation, asks for something. */
const firstLoadAsks = ({ inputs }: Performed, name: string): boolean =>
  inputs.some(
    ({ input, dispatched }) => input.type === 'KVM_CREATE_VCPU' && requestsOf(dispatched, name) > 0,
  );

/** vCPUs are plugged in while the masterclock is on. */
export const vcpuLoad: History = ({ params: { tscKhz, times }, host, tell }) => {
  const sim = host({ tscKhz });
  const vm = sim.vm();
  vm.start(1);
  settle(sim, vm);
  const plugged: Performed[] = [];
  const moved = versions(vm, 0, () => {
    for (let i = 1; i <= times; i++) {
      const cpu = i % HOST_CPUS;
      plugged.push(vm.perform({ type: 'hotplug', vcpu: i, cpu }));
      vm.on(i, { type: 'vcpu_load', cpu });
      vm.enter(i);
      settle(sim, vm);
    }
  });
  const asks = (name: string): number => plugged.filter((it) => firstLoadAsks(it, name)).length;
  tell(sim, `${times} vCPUs are plugged in: the version of vCPU 0’s page moves by ${moved}`);
  const { pvclockTscMul } = vm.kvm(times);
  return [
    ['masterclock', vmOf(sim).masterclock],
    ['vCPU 0’s page: its version moves by', moved],
    ['new vCPUs whose first load asks for all pages', asks('GLOBAL_CLOCK_UPDATE')],
    ['… for their own alone', asks('CLOCK_UPDATE')],
    ['the last one’s tsc_to_system_mul when it has run', pvclockTscMul],
  ];
};

/** `KVMCLOCK_SYNC_PERIOD`. */
const PERIOD_NS = 300_000_000_000n;

/** Time passes; the work of each period is done. */
function passPeriods(sim: Simulation, vm: SimulatedVm, uptime: bigint): void {
  for (let left = uptime; left >= PERIOD_NS; left -= PERIOD_NS) {
    sim.host.pass(PERIOD_NS);
    if (vmOf(sim).syncWork !== 'armed') continue;
    vm.ioctl({ type: 'kvmclock_sync_work' });
    if (vmOf(sim).updateWork === 'queued') vm.ioctl({ type: 'kvmclock_update_work' });
    vm.kick();
  }
}

/** All pages are written every 300 s. */
export const periodicSync: History = ({ params: { uptime, tscKhz }, host, tell }) => {
  const sim = host({ tscKhz });
  const vm = sim.vm();
  vm.start(1);
  settle(sim, vm);
  const moved = versions(vm, 0, () => {
    passPeriods(sim, vm, uptime);
  });
  const { masterclock, syncWork } = vmOf(sim);
  tell(
    sim,
    `${uptime / PERIOD_NS} periods of 300 s: the version of vCPU 0’s page moves by ${moved}`,
  );
  vm.writeMsr(0, 'MSR_KVM_SYSTEM_TIME', OLD_PAGE);
  settle(sim, vm);
  const unlocked = versions(vm, 0, () => {
    passPeriods(sim, vm, uptime);
  });
  return [
    ['masterclock', masterclock],
    ['the work is', syncWork],
    ['vCPU 0’s page: its version moves by', moved],
    ['… in as long a time without masterclock', unlocked],
  ];
};

/** A page at 1 MiB, enabled by the old MSR. */
const OLD_PAGE = 0x10_0001n;
