/** A guest that uses Xen's interface: a page in its vcpu_info, and the timer that KVM has for its vCPU. */
import type { ObservationOf } from '../../../events/index.ts';
import { bootVm } from '../deeds.ts';
import type { SimulatedVm } from '../guest.ts';
import type { Simulation } from '../simulation.ts';

/** KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL. */
export const INTERCEPT_HCALL = 2;
/** Beyond the pages of kvmclock. */
const VCPU_INFO_GPA = 0x30_0000n;
const TIMER_PORT = 5;

/** Xen's hypercalls, and what of vcpu_op. */
export const SET_TIMER_OP = 15;
export const VCPU_OP = 24;
export const SET_PERIODIC_TIMER = 6;
export const SET_SINGLESHOT_TIMER = 8;
export const STOP_SINGLESHOT_TIMER = 9;

/** A booted guest with Xen's interface, its timer KVM's where the kernel has one. */
export function startXenGuest(sim: Simulation, tscKhz?: number): SimulatedVm {
  const vm = bootVm(sim, 1, tscKhz);
  vm.ioctl({ type: 'KVM_XEN_HVM_CONFIG', flags: INTERCEPT_HCALL });
  vm.exit(0);
  vm.on(0, { type: 'KVM_XEN_SET_VCPU_INFO', gpa: VCPU_INFO_GPA });
  vm.on(0, { type: 'KVM_XEN_SET_TIMER', port: TIMER_PORT, expiresNs: 0n });
  vm.enter(0);
  return vm;
}

/** A hypercall, without its instant. */
export interface Call {
  readonly nr: number;
  readonly cmd?: number;
  readonly timeoutNs?: bigint;
  readonly flags?: number;
}

/** What became of a hypercall about the timer. */
export interface Called {
  /** False: it is left to the VMM. */
  readonly handled: boolean;
  /** 0 or minus errno. */
  readonly ret: number;
  readonly armed: ObservationOf<'timer_armed'> | undefined;
  readonly fired: ObservationOf<'timer_fired'> | undefined;
}

/**
 * The guest calls Xen, and goes on.
 *
 * @param gapNs - from where the kernel reads the guest's clock to where it reads the timer's, if it
 * reads two.
 */
export function call(sim: Simulation, vm: SimulatedVm, what: Call, gapNs = 0n): Called {
  vm.exit(0);
  const readings = { 'timer.tsc': sim.host.tsc + sim.host.cycles(gapNs) };
  const { observations } = vm.on(0, { type: 'xen_hypercall', ...what, readings });
  vm.enter(0);
  const its = <T extends (typeof observations)[number]['type']>(type: T) =>
    observations.find((seen) => seen.type === type) as ObservationOf<T> | undefined;
  const result = its('xen_hypercall_result');
  return {
    handled: result?.handled ?? false,
    ret: result?.ret ?? 0,
    armed: its('timer_armed'),
    fired: its('timer_fired'),
  };
}

/** A guest that sleeps by the timer. */
export interface Asleep {
  /** When it asked, by its own clock, ns. */
  readonly fromNs: bigint;
  /** Nothing was set where it was to be woken at once. */
  readonly armed: ObservationOf<'timer_armed'> | undefined;
}

/** A sleep by the timer, in ns of the guest's clock. */
export interface Slept {
  readonly latencyNs: bigint;
  /** By how much the guest's clock was ahead of what KVM took for it. */
  readonly clockNs: bigint;
  /** Between two readings that KVM took for one. */
  readonly gapNs: bigint;
}

/** The guest falls asleep for so long; `undefined` where the VMM has to see to it. */
export function fallAsleep(
  sim: Simulation,
  vm: SimulatedVm,
  sleepNs: bigint,
  gapNs = 0n,
): Asleep | undefined {
  const fromNs = vm.kvmclock(0);
  const what = { nr: VCPU_OP, cmd: SET_SINGLESHOT_TIMER, timeoutNs: fromNs + sleepNs };
  const { handled, armed } = call(sim, vm, what, gapNs);
  return handled ? { fromNs, armed } : undefined;
}

/** Its timer fires now; the guest takes the interrupt. */
export function wake(vm: SimulatedVm, { fromNs, armed }: Asleep): Slept {
  if (armed !== undefined) {
    vm.exit(0);
    vm.on(0, { type: 'xen_timer' });
    vm.enter(0);
  }
  return {
    latencyNs: vm.kvmclock(0) - fromNs,
    clockNs: armed?.errorNs ?? 0n,
    gapNs: armed?.gapNs ?? 0n,
  };
}

/** The guest sleeps for so long, as timerlat does; `undefined` where the VMM has to see to it. */
export function sleep(
  sim: Simulation,
  vm: SimulatedVm,
  sleepNs: bigint,
  gapNs = 0n,
): Slept | undefined {
  const asleep = fallAsleep(sim, vm, sleepNs, gapNs);
  if (asleep === undefined) return undefined;
  if (asleep.armed !== undefined) sim.host.passMonotonic(asleep.armed.delayNs);
  return wake(vm, asleep);
}
