/** Patches 13 to 16: which TSCs are of one generation, and what the masterclock asks of them. */
import { asS64 } from '../../num/index.ts';
import { ioctl, requestsOf, resultOf, vmOf, writeTsc } from '../deeds.ts';
import type { SimulatedVm } from '../guest.ts';
import type { Simulation } from '../simulation.ts';
import type { History, Seen } from './history.ts';

/** vCPU 0's TSC is written as it is, so that KVM knows that userspace sets TSCs. */
function writeAsItIs(vm: SimulatedVm, vcpu: number): void {
  writeTsc(vm, vcpu, vm.tsc(vcpu));
}

/** The vCPUs that are out of the guest enter it, and all requests are served. */
function resume(vm: SimulatedVm, vcpus: readonly number[]): void {
  for (const id of vcpus) if (vm.kvm(id).run !== 'guest') vm.enter(id);
  vm.kick();
}

/** A 0 that joined is remembered as the generation's value, or it is not. */
export const syncRecord: History = ({ params: { uptime, tscKhz, pause }, host, tell }) => {
  const sim = host({ tscKhz });
  const vm = sim.vm();
  vm.start(2);
  writeAsItIs(vm, 0);
  writeAsItIs(vm, 1);
  resume(vm, [0, 1]);
  sim.host.pass(uptime);
  const right = vm.tsc(0);
  writeTsc(vm, 1, 0n);
  const joined = vm.tsc(1) === right;
  tell(
    sim,
    `the VMM writes 0 to vCPU 1’s TSC, which ${joined ? 'joins vCPU 0’s' : 'is apart now'}`,
  );
  sim.host.pass(pause);
  const { curTscGeneration, lastTscNsec, curTscNsec } = vmOf(sim);
  writeAsItIs(vm, 1);
  const joins = vmOf(sim).curTscGeneration === curTscGeneration;
  tell(
    sim,
    `${pause} ns later it writes the value that vCPU 1 has: ${joins ? 'it joins' : 'a new generation'}`,
  );
  resume(vm, [0, 1]);
  return [
    ['a 0 joins the TSC there is', joined],
    ['it counts as written, after the generation began (ns)', lastTscNsec - curTscNsec],
    ['the right value joins, after it', joins],
    ['masterclock', vmOf(sim).masterclock],
  ];
};

/** How long that host has been up when the VM is created. */
const HOST_UPTIME_NS = 1_000_000_000_000n;

/** What is left of a generation when the TSC went backwards. */
export const syncStore: History = ({ params: { uptime, pause, tscKhz }, host, tell }) => {
  const sim = host({ tscKhz, monotonicNs: HOST_UPTIME_NS, monotonicRawNs: HOST_UPTIME_NS });
  const [vm, other] = [sim.vm(), sim.vm()];
  vm.start(2);
  other.start(1);
  writeAsItIs(other, 0);
  resume(other, [0]);
  sim.host.pass(uptime);
  for (const vcpu of [0, 1]) vm.leave(vcpu);
  other.leave(0);
  sim.host.sleep(pause, 'restarts');
  vm.perform({ type: 'hotplug', vcpu: 2, cpu: 2 });
  const { thisTscNsec, thisTscWrite, l1TscOffset } = vm.kvm(2);
  tell(sim, 'the host has slept, its TSC began anew; vCPU 2 is plugged in');
  resume(vm, [0, 1, 2]);
  const behind = asS64(vm.kvm(0).l1TscOffset - l1TscOffset);
  const { curTscGeneration } = vmOf(sim, 1);
  resume(other, [0]);
  writeTsc(other, 0, other.tsc(0) + sim.host.cycles(pause));
  const joins = vmOf(sim, 1).curTscGeneration === curTscGeneration;
  return [
    ['vCPU 2’s generation has this_tsc_nsec', thisTscNsec],
    ['… this_tsc_write', asS64(thisTscWrite)],
    ['vCPU 2’s TSC is behind vCPU 0’s by (cycles)', behind],
    ['in another VM, a TSC written on by the sleep joins', joins],
  ];
};

/** A second at 1 GHz, as in masterclock_offset_test. */
const APART = 1_000_000_000n;
const HOUR_NS = 3_600_000_000_000n;
const STABLE = 1;

/** vCPUs whose TSCs are apart have a masterclock all the same. */
export const offsets: History = ({ params: { uptime, tscKhz, guestKhz }, host, tell }) => {
  const sim = host({ tscKhz });
  const vm = sim.vm();
  vm.start(3);
  const offset = BigInt.asUintN(64, vm.kvm(0).l1TscOffset + APART);
  ioctl(vm, 2, { type: 'KVM_SET_TSC_OFFSET', offset });
  vm.enter(2);
  vm.kick();
  const { masterclock } = vmOf(sim);
  tell(sim, `vCPU 2’s TSC is set ${APART} cycles ahead; masterclock: ${masterclock}`);
  const { flags = 0 } = resultOf(vm.ioctl({ type: 'KVM_GET_CLOCK' }));
  const atOnce = asS64(vm.kvmclock(2) - vm.kvmclock(0));
  vm.ioctl({ type: 'KVM_SET_CLOCK', clock: vm.kvmclock(0), flags: 0 });
  vm.kick();
  const stable = [0, 2].map((id) => vm.kvm(id).pageFlags & STABLE);
  sim.host.pass(uptime);
  vm.leave(2);
  vm.on(2, { type: 'vcpu_load', cpu: 3 });
  vm.enter(2);
  const apart = asS64(vm.kvmclock(2) - vm.kvmclock(0));
  tell(sim, `vCPU 2 has moved to another CPU; its clock is ${apart} ns ahead of vCPU 0’s`);
  vm.ioctl({ type: 'KVM_SET_CLOCK', clock: vm.kvmclock(0) + HOUR_NS, flags: 0 });
  vm.kick();
  const later = asS64(vm.kvmclock(2) - vm.kvmclock(0));
  const asked = followBoth(vm, vm.kvm(2).l1TscOffset);
  tell(sim, `the others’ TSCs follow vCPU 2’s; references asked for: ${asked}`);
  const frequency = otherFrequency(sim, vm, guestKhz);
  return [
    ['masterclock with TSCs apart', masterclock],
    ['flags of KVM_GET_CLOCK', flags],
    ['STABLE in the page of vCPU 0', stable[0] ?? 0],
    ['… of vCPU 2', stable[1] ?? 0],
    ['vCPU 2’s clock less vCPU 0’s at once (ns)', atOnce],
    ['… after KVM_SET_CLOCK and a load on another CPU', apart],
    ['… after KVM_SET_CLOCK, an hour on', later],
    ['references asked for when the TSCs are one again', asked],
    ...frequency,
    ...oneFrequency(sim, guestKhz),
  ];
};

/** vCPUs 0 and 1 get the offset that vCPU 2 has. @returns how many references are asked for */
function followBoth(vm: SimulatedVm, offset: bigint): number {
  let asked = 0;
  for (const vcpu of [0, 1]) {
    const done = ioctl(vm, vcpu, { type: 'KVM_SET_TSC_OFFSET', offset });
    asked += requestsOf(done, 'MASTERCLOCK_UPDATE');
  }
  resume(vm, [0, 1]);
  return asked;
}

/** vCPU 2 gets another frequency than the others have. */
function otherFrequency(sim: Simulation, vm: SimulatedVm, khz: number): readonly Seen[] {
  vm.exit(2);
  const tsc = vm.tsc(2);
  ioctl(vm, 2, { type: 'KVM_SET_TSC_KHZ', khz });
  const jump = asS64(vm.tsc(2) - tsc);
  resume(vm, [2]);
  const { masterclock } = vmOf(sim);
  writeAsItIs(vm, 2);
  resume(vm, [2]);
  return [
    ['KVM_SET_TSC_KHZ moves vCPU 2’s TSC by (cycles)', jump],
    ['masterclock with another frequency', masterclock],
    ['… and after a write of that TSC', vmOf(sim).masterclock],
  ];
}

/** A new VM gets two vCPUs of a frequency. @returns 0 or minus errno */
type Boot = (vm: SimulatedVm, khz: number) => number;

/** In which order a VMM creates vCPUs and sets their frequency. */
const FREQUENCY_SET: readonly (readonly [order: string, boot: Boot])[] = [
  [
    'masterclock of a VM whose vCPUs get one frequency, each when it is created',
    (vm, khz) => {
      vm.start(2, khz);
      return 0;
    },
  ],
  [
    '… each when all are created',
    (vm, khz) => {
      vm.start(2);
      const rets = [0, 1].map((id) => resultOf(ioctl(vm, id, { type: 'KVM_SET_TSC_KHZ', khz })));
      resume(vm, [0, 1]);
      return rets[0]?.ret ?? 0;
    },
  ],
  [
    '… by the VM’s ioctl, before there are vCPUs',
    (vm, khz) => {
      vm.perform({ type: 'launch' });
      const { ret } = resultOf(vm.ioctl({ type: 'KVM_SET_VM_TSC_KHZ', khz }));
      vm.bootOn(2);
      return ret;
    },
  ],
];

/**
 * All vCPUs of a VM get one frequency. Series v6 counts those that were synchronised since a
 * frequency last changed. A vCPU begins with its VM's; setting another on each as it is created
 * begins the count anew each time, and those before it are counted only if their TSCs are written.
 */
function oneFrequency(sim: Simulation, khz: number): readonly Seen[] {
  return FREQUENCY_SET.map(([order, boot], i) => {
    const ret = boot(sim.vm(), khz);
    return [order, ret === 0 ? vmOf(sim, i + 1).masterclock : `refused: ${ret}`];
  });
}

/** A guest of SUSE 2.6.16 uses the old MSR, which rules a masterclock out, yet it is asked for. */
export const useMasterclock: History = ({ params: { tscKhz, times }, host, tell }) => {
  const sim = host({ tscKhz });
  const vm = sim.vm();
  vm.start(1);
  vm.writeMsr(0, 'MSR_KVM_SYSTEM_TIME', OLD_PAGE);
  vm.kick();
  let asked = 0;
  for (let i = 0; i < times; i++) {
    const done = writeTsc(vm, 0, vm.tsc(0));
    asked += requestsOf(done, 'MASTERCLOCK_UPDATE');
    vm.enter(0);
  }
  const { masterclock } = vmOf(sim);
  tell(sim, `the VMM writes a TSC ${times} times, and ${asked} references are asked for`);
  return [
    ['masterclock', masterclock],
    ['references asked for', asked],
  ];
};

/** A page at 1 MiB, enabled. */
const OLD_PAGE = 0x10_0001n;
