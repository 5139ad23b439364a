/**
 * How KVM's clock works, concept by concept: the structs of a host, a VM and a vCPU, and the recipes
 * and guards that the machines are made of.
 *
 * @module
 */
export { isPageOutdated, isPageRefused } from './clock-guest.ts';
export {
  hostGuards,
  hostRecipes,
  vcpuGuards,
  vcpuRecipes,
  vmGuards,
  vmRecipes,
} from './code.ts';
export * from './context.ts';
export {
  type GuestCtx,
  type GuestWallClock,
  guestGuards,
  guestRecipes,
} from './guest-clock.ts';
export { GuestState, MAX_GUEST_CPUS } from './guest-state.ts';
export { guestStealGuards, guestStealRecipes } from './guest-steal.ts';
export { guestTscSyncGuards, guestTscSyncRecipes } from './guest-tsc-sync.ts';
export { HostState, MAX_HOST_CPUS } from './host-state.ts';
export { hasTscControl, hostTscKhz } from './host-tsc.ts';
export { asksForHvPage } from './hyperv-page.ts';
export { bootVcpuChangesMsr, bootVcpuWrites, restartsClock } from './kvmclock-msr.ts';
export {
  loadMatters,
  loadSeesBackwardsTsc,
  loadTakesGlobalUpdate,
} from './load.ts';
export { ignoresTscRatio, refusesTscRatio } from './nested.ts';
export { isVmx } from './nested-tsc.ts';
export { pageHz } from './pvclock-update.ts';
export {
  isRequested,
  REQUEST_BIT,
  type Request,
  requestMask,
} from './requests.ts';
export { MSR_READERS } from './results.ts';
export {
  type BaseClock,
  baseAt,
  checkTscUnstable,
  gtodIsBasedOnTsc,
  isTscMode,
  monotonicAt,
  monotonicRawAt,
  realtimeAt,
} from './timekeeper.ts';
export {
  guestRdtsc,
  hasTscHostAccess,
  isTscProtected,
  l1Rdtsc,
  reachesFrequency,
  readL1Tsc,
  setsFrequency,
} from './tsc.ts';
export { STIMERS, VcpuState } from './vcpu-state.ts';
export {
  clockAtGuestTsc,
  clockAtHostTsc,
  KVM_CLOCK_HOST_TSC,
  KVM_CLOCK_REALTIME,
  KVM_CLOCK_TSC_STABLE,
} from './vm-clock.ts';
export { UPDATES_PER_SECOND, VmState } from './vm-state.ts';
export { armsSyncWork, updateArmsSyncWork } from './vm-work.ts';
export {
  type KeptMsr,
  realtimeHere,
  type VmmCtx,
  vmmGuards,
  vmmMsrs,
  vmmRecipes,
  vmmVcpuRecipes,
} from './vmm-clock.ts';
export { VmmState, VmmVcpuState } from './vmm-state.ts';
export { xenAttrErrno } from './xen-attr.ts';
export { cpuidAsksForClock } from './xen-cpuid.ts';
export { changesXenTscUnstable, placesSharedInfo } from './xen-pages.ts';
export {
  adjustNamesState,
  countsRunstate,
  putChangesRunstate,
  refusesRunstate,
  runstateMoves,
} from './xen-runstate.ts';
export { startsXenTimer, stopsXenTimer } from './xen-timer.ts';
