/**
 * How KVM's clock works, concept by concept: the structs of a host, a VM and a vCPU, and the recipes
 * and guards that the machines are made of.
 *
 * @module
 */
export * from './context.ts';
export {
  type GuestCtx,
  type GuestWallClock,
  guestGuards,
  guestRecipes,
} from './guest-clock.ts';
export { GuestState } from './guest-state.ts';
export { HostState, MAX_HOST_CPUS } from './host-state.ts';
export { hostTscKhz, hostTscRecipes } from './host-tsc.ts';
export { asksForHvPage, hypervGuards, hypervRecipes } from './hyperv-page.ts';
export {
  bootVcpuChangesMsr,
  kvmclockGuards,
  kvmclockRecipes,
  kvmclockVmRecipes,
} from './kvmclock-msr.ts';
export {
  loadGuards,
  loadMatters,
  loadRecipes,
  loadSeesBackwardsTsc,
  loadTakesGlobalUpdate,
  loadVmRecipes,
} from './load.ts';
export { masterclockGuards, masterclockRecipes } from './masterclock.ts';
export { pageHz, pvclockGuards, pvclockRecipes } from './pvclock-update.ts';
export {
  isRequested,
  type Request,
  requestGuards,
  requestRecipes,
} from './requests.ts';
export { MSR_READERS, resultRecipes } from './results.ts';
export { stealTimeRecipes } from './steal-time.ts';
export {
  type BaseClock,
  baseAt,
  isTscMode,
  monotonicAt,
  monotonicRawAt,
  realtimeAt,
  timekeeperGuards,
  timekeeperRecipes,
} from './timekeeper.ts';
export { guestRdtsc, readL1Tsc, tscGuards, tscRecipes } from './tsc.ts';
export { tscDeadlineRecipes } from './tsc-deadline.ts';
export {
  syncVcpuGuards,
  syncVcpuRecipes,
  syncVmGuards,
  syncVmRecipes,
} from './tsc-sync.ts';
export { VcpuState } from './vcpu-state.ts';
export {
  clockAtHostTsc,
  KVM_CLOCK_REALTIME,
  KVM_CLOCK_TSC_STABLE,
  vmClockRecipes,
} from './vm-clock.ts';
export { VmState } from './vm-state.ts';
export { armsSyncWork, vmWorkRecipes } from './vm-work.ts';
export {
  KEPT_MSRS,
  type VmmCtx,
  vmmGuards,
  vmmRecipes,
  vmmVcpuRecipes,
} from './vmm-clock.ts';
export { VmmState, VmmVcpuState } from './vmm-state.ts';
export { wallClockRecipes } from './wall-clock.ts';
export { placesSharedInfo, xenGuards, xenRecipes, xenVmRecipes } from './xen-pages.ts';
