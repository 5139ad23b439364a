/** A guest whose timer is the TSC deadline, and the host timer that KVM sets for it. */
import type { ObservationOf } from '../../../events/index.ts';
import { MSRS } from '../../../events/index.ts';
import type { Dispatched, HostOptions } from '../../engine/index.ts';
import { booted, guestKhz, tscKhz } from '../common.ts';
import type { SimulatedVm } from '../guest.ts';
import { duration } from '../params.ts';
import type { Simulation } from '../simulation.ts';

const { IA32_TSC_DEADLINE: index } = MSRS;

/** Parameters of every scenario of deadlines: the frequencies, and what the host's timers are set by. */
export const deadlineParams = (khz?: string) => ({
  tscKhz: tscKhz(khz),
  guestKhz: guestKhz(),
  advance: duration('0', 'lapic_timer_advance_ns: how much earlier KVM sets its timers', {
    least: '0',
    most: '1s',
  }),
});

/** What they mean, for a scenario's page. */
export const ABOUT_ADVANCE =
  '`--advance` (lapic_timer_advance_ns) sets the host’s timer so much earlier, the preemption timer from c5ce8235cffa (v4.18) on; what is nearer fires at once. KVM then waits before it enters the guest for what is left of it, at most the advance (`wait_lapic_expire()`), so that the guest has its interrupt no sooner for it. The columns are of the host’s timer.';

/** A host with such timers. */
export const deadlineHost = (
  params: { readonly tscKhz: number; readonly advance: bigint },
  more: Partial<HostOptions> = {},
): HostOptions => booted(params.tscKhz, { timerAdvanceNs: Number(params.advance), ...more });

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
  /** It fired at once: by how much late, by the guest's TSC at that moment. */
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

/** How far the guest's TSC is past a deadline now, ns by the frequency it was told; negative: before it. */
export const pastBy = (vm: SimulatedVm, deadline: bigint): bigint =>
  ((vm.tsc(0) - deadline) * 1_000_000n) / BigInt(vm.kvm(0).virtualTscKhz);

/** What a timer does that fires so much late. */
export const firesText = (lateNs: bigint, text: (ns: bigint) => string): string =>
  lateNs < 0n ? `fires ${text(-lateNs)} early` : `fires ${text(lateNs)} late`;

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
