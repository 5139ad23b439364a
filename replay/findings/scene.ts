import type { HostClock } from '../host-clock.ts';
import type { Vcpu, Vm } from '../identity/vm.ts';
import type { Finding, Scene } from './finding.ts';

/** The scene of something that happened at `ticks` to `vcpu`. */
export const sceneOf = (
  clock: HostClock,
  ticks: bigint,
  vcpu: Vcpu,
  visibility: Finding['visibility'],
): Scene => scene(clock, ticks, vcpu.vm, vcpu.id, visibility);

/** The scene of something at `ticks` that concerns a VM, or the host. */
export const sceneAt = (clock: HostClock, ticks: bigint, vm: Vm | undefined): Scene =>
  scene(clock, ticks, vm, undefined, undefined);

const scene = (
  clock: HostClock,
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
  visibility,
});
