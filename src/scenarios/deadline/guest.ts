/** A guest whose timer is the TSC deadline, and the host timer that KVM sets for it. */
import type { ObservationOf } from '../../../events/index.ts';
import { MSRS } from '../../../events/index.ts';
import type { Dispatched } from '../../engine/index.ts';
import type { SimulatedVm } from '../guest.ts';
import type { Simulation } from '../simulation.ts';

const { IA32_TSC_DEADLINE: index } = MSRS;

/** Cycles of a guest's TSC in so many ns, by the frequency it was told. */
export const guestCycles = (vm: SimulatedVm, ns: bigint): bigint =>
  (ns * BigInt(vm.kvm(0).virtualTscKhz)) / 1_000_000n;

const its = <T extends 'timer_armed' | 'timer_fired' | 'kvm_hv_timer_state'>(
  { observations }: Dispatched,
  type: T,
) => observations.find((seen) => seen.type === type) as ObservationOf<T> | undefined;

/** A host timer. */
export interface Armed {
  readonly delayNs: bigint;
  /** VMX's preemption timer, which counts the TSC; else an hrtimer, which counts CLOCK_MONOTONIC. */
  readonly byHardware: boolean;
  /** When it is due, by the clock that it counts, ns. */
  readonly dueNs: bigint;
  /** It fired at once: by how much late, in the guest's time. */
  readonly lateNs?: bigint;
}

/** What was set, if anything was. */
export function armedBy({ host }: Simulation, done: Dispatched): Armed | undefined {
  const { lateNs } = its(done, 'timer_fired') ?? {};
  if (lateNs !== undefined) return { delayNs: 0n, byHardware: false, dueNs: 0n, lateNs };
  const armed = its(done, 'timer_armed');
  if (armed === undefined) return undefined;
  const { delayNs } = armed;
  const byHardware = its(done, 'kvm_hv_timer_state')?.hvTimerInUse === 1;
  return { delayNs, byHardware, dueNs: (byHardware ? host.timeNs : host.monotonicNs) + delayNs };
}

/**
 * The guest writes a deadline so far ahead of its TSC and goes on. It does not halt: a halted vCPU's
 * timer is an hrtimer.
 */
export function askFor(vm: SimulatedVm, aheadNs: bigint): Dispatched {
  const data = vm.tsc(0) + guestCycles(vm, aheadNs);
  vm.exit(0);
  const done = vm.on(0, { type: 'wrmsr', index, data: BigInt.asUintN(64, data) });
  vm.enter(0);
  return done;
}

/** By how much late the timer fires, in the guest's time; negative: early. */
export function fire(sim: Simulation, vm: SimulatedVm, armed: Armed | undefined): bigint {
  if (armed === undefined) return 0n;
  const { host } = sim;
  const { byHardware, dueNs, lateNs } = armed;
  if (lateNs !== undefined) return lateNs;
  if (byHardware && dueNs > host.timeNs) host.pass(dueNs - host.timeNs);
  if (!byHardware && dueNs > host.monotonicNs) host.passMonotonic(dueNs - host.monotonicNs);
  vm.exit(0);
  const fired = its(vm.on(0, { type: 'tsc_deadline' }), 'timer_fired');
  return fired?.lateNs ?? 0n;
}
