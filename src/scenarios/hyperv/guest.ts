/** A guest that reads time as Windows does: by Hyper-V's reference TSC page, or the MSR where it is off. */
import { hvReferenceTime } from '../../num/index.ts';
import type { SimulatedVm } from '../guest.ts';
import type { Simulation } from '../simulation.ts';

/** Where the page is; bit 0 turns it on. */
export const HV_PAGE_GPA = 0x20_0000n;
const ENABLE = 1n;

/** ns of a unit of reference time. */
export const TICK_NS = 100n;

/** The guest turns the page on. */
export function enablePage(vm: SimulatedVm): void {
  vm.writeMsr(0, 'HV_X64_MSR_REFERENCE_TSC', HV_PAGE_GPA | ENABLE);
  vm.kick();
}

/** A VM whose guest has kvmclock and the page. */
export function startHvGuest(sim: Simulation, vcpus: number, tscKhz?: number): SimulatedVm {
  const vm = sim.vm();
  vm.start(vcpus, tscKhz);
  enablePage(vm);
  return vm;
}

/** Reference time by the page, now; `undefined` while the guest must not use it. */
export function pageTime({ world }: Simulation, vm: SimulatedVm): bigint | undefined {
  const its = world.vms.get(0)!.cell.state;
  const isOn = its.hvTscSequence !== 0 && (its.hvReferenceTsc & ENABLE) !== 0n;
  return isOn ? hvReferenceTime(vm.tsc(0), its.hvTscScale, its.hvTscOffset) : undefined;
}
