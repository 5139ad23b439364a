import type { Vcpu, Vm } from '../identity/vm.ts';
import type { Finding, Scene } from './finding.ts';

/** Tells instants of a recording or a log otherwise. */
export interface InstantClock {
  /** Host TSC, cycles, by what `vm` tells; `undefined` where nothing tells it. */
  tsc(ticks: bigint, vm?: Vm): bigint | undefined;
  /** ns of the recording's clock, or since the host's TSC was 0. */
  ns(ticks: bigint): bigint | undefined;
  /** CLOCK_REALTIME, ns; left out or `undefined` where nothing tells it. */
  wallNs?(ticks: bigint): bigint | undefined;
}

/** The scene of something that happened at `ticks` to `vcpu`. */
export const sceneOf = (
  clock: InstantClock,
  ticks: bigint,
  vcpu: Vcpu,
  visibility: Finding['visibility'],
): Scene => scene(clock, ticks, vcpu.vm, vcpu.id, visibility);

/** The scene of something at `ticks` that concerns a VM, or the host. */
export const sceneAt = (clock: InstantClock, ticks: bigint, vm: Vm | undefined): Scene =>
  scene(clock, ticks, vm, undefined, undefined);

const scene = (
  clock: InstantClock,
  ticks: bigint,
  vm: Vm | undefined,
  vcpu: number | undefined,
  visibility: Finding['visibility'],
): Scene => ({
  vm,
  vcpu,
  timestamp: ticks,
  tsc: clock.tsc(ticks, vm),
  timeNs: clock.ns(ticks),
  wallNs: clock.wallNs?.(ticks),
  visibility,
});
