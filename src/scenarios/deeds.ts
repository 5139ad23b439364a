/** What scenarios do to a VM over and over, and what they look at. */
import { MSRS, type Observation } from '../../events/index.ts';
import type { VcpuState, VmState } from '../clock/index.ts';
import type { Dispatched } from '../engine/index.ts';
import { asS64, type PvclockReference, pvclockRead, subU64 } from '../num/index.ts';
import type { SimulatedVm } from './guest.ts';
import type { Simulation } from './simulation.ts';

/** What KVM has of a simulation's VM. */
export function vmOf({ world }: Simulation, id = 0): Readonly<VmState> {
  const found = world.vms.get(id);
  if (found === undefined) throw new RangeError(`expected a VM, found none with id ${id}`);
  return found.cell.state;
}

/** The page that a vCPU's guest reads. */
export const pageOf = (vcpu: Readonly<VcpuState>): PvclockReference => ({
  tscTimestamp: vcpu.pageTscTimestamp,
  systemTime: vcpu.pageSystemTime,
  tscToSystemMul: vcpu.pageMul,
  tscShift: vcpu.pageShift,
});

/** How far a vCPU's clock moves over something that takes no time, ns. */
export function movedBy(vm: SimulatedVm, vcpu: number, something: () => void): bigint {
  const before = pageOf(vm.kvm(vcpu));
  something();
  return asS64(subU64(vm.kvmclock(vcpu), pvclockRead(before, vm.tsc(vcpu))));
}

type VcpuDeed = Parameters<SimulatedVm['on']>[1];

/** An ioctl of the VMM on a vCPU, which is out of the guest for it. */
export function ioctl(vm: SimulatedVm, vcpu: number, deed: VcpuDeed): Dispatched {
  vm.exit(vcpu);
  if (vm.kvm(vcpu).run === 'unloaded') vm.on(vcpu, { type: 'vcpu_load', cpu: vcpu % HOST_CPUS });
  return vm.on(vcpu, deed);
}

/** CPUs of a simulated host. */
export const HOST_CPUS = 4;

type Result = Extract<Observation, { type: 'ioctl_result' }>;

/** What an ioctl returned: `ret` is 0, a number or minus errno. */
export function resultOf({ observations }: Dispatched): Result {
  const found = observations.find(
    (o): o is Result & (typeof observations)[number] => o.type === 'ioctl_result',
  );
  if (found === undefined) throw new RangeError('expected an ioctl, found no result');
  return found;
}

/** By how much the guest's clock is ahead of what KVM_GET_CLOCK answers the VMM now, ns. */
export function aheadOfGetClock(vm: SimulatedVm): bigint {
  const { clock = 0n } = resultOf(vm.ioctl({ type: 'KVM_GET_CLOCK' }));
  return asS64(subU64(vm.kvmclock(0), clock));
}

/** How often something was asked of vCPUs. */
export const requestsOf = ({ observations }: Dispatched, name: string): number =>
  observations.filter((o) => o.type === 'request' && o.name === name).length;

/** 100 ms after a global clock update was asked for, its work asks the other vCPUs. */
export function settle(sim: Simulation, vm: SimulatedVm): void {
  vm.kick();
  sim.host.pass(UPDATE_DELAY_NS);
  if (vmOf(sim).updateWork === 'queued') vm.ioctl({ type: 'kvmclock_update_work' });
  vm.kick();
}

/** `KVMCLOCK_UPDATE_DELAY`. */
export const UPDATE_DELAY_NS = 100_000_000n;

/** `KVMCLOCK_SYNC_PERIOD`; the timer wheel makes it up to a ninth longer, which is left out here. */
const SYNC_PERIOD_NS = 300_000_000_000n;

/** KVM's periodic work, where there is any: every page is written anew. */
function renewPages(sim: Simulation, vm: SimulatedVm): void {
  if (vmOf(sim).syncWork !== 'armed') return;
  vm.ioctl({ type: 'kvmclock_sync_work' });
  if (vmOf(sim).updateWork === 'queued') vm.ioctl({ type: 'kvmclock_update_work' });
  vm.kick();
}

/**
 * Time passes, and with each 300 s since the simulation's one VM was made, which was at its beginning,
 * KVM's periodic work is done; what falls due at the end is not done yet.
 */
export function passWithSync(sim: Simulation, vm: SimulatedVm, ns: bigint): void {
  const { host } = sim;
  const end = host.timeNs + ns;
  for (;;) {
    const due = (host.timeNs / SYNC_PERIOD_NS + 1n) * SYNC_PERIOD_NS;
    if (due >= end) break;
    host.pass(due - host.timeNs);
    renewPages(sim, vm);
  }
  host.pass(end - host.timeNs);
}

/** The VMM writes a TSC. */
export const writeTsc = (vm: SimulatedVm, vcpu: number, data: bigint): Dispatched =>
  ioctl(vm, vcpu, { type: 'KVM_SET_MSRS', index: MSRS.IA32_TSC, data: BigInt.asUintN(64, data) });

/**
 * A VM whose guest has booted. Where a kernel takes a frequency for the VM (v5.19+), it is given before
 * there is a vCPU, so that TSC and masterclock begin with it; else TSCs are brought together again.
 */
export function bootVm(sim: Simulation, vcpus: number, tscKhz?: number): SimulatedVm {
  const vm = sim.vm();
  if (tscKhz !== undefined && sim.world.switches.vmTscKhz !== 'none') {
    vm.perform({ type: 'launch' });
    vm.ioctl({ type: 'KVM_SET_VM_TSC_KHZ', khz: tscKhz });
    vm.bootOn(vcpus);
    return vm;
  }
  vm.start(vcpus, tscKhz);
  if (tscKhz === undefined || vcpus === 1) return vm;
  for (let vcpu = 0; vcpu < vcpus; vcpu++) writeTsc(vm, vcpu, 0n);
  for (let vcpu = 0; vcpu < vcpus; vcpu++) vm.enter(vcpu);
  vm.kick();
  return vm;
}
