/** The guards and recipes of each machine by the names its config uses, whoever runs them. */
import { clockGuestRecipes, clockGuestVmGuards, clockGuestVmRecipes } from './clock-guest.ts';
import { hostTscRecipes } from './host-tsc.ts';
import { hypervGuards, hypervRecipes } from './hyperv-page.ts';
import { kvmclockGuards, kvmclockRecipes, kvmclockVmRecipes } from './kvmclock-msr.ts';
import { loadGuards, loadRecipes, loadVmRecipes } from './load.ts';
import { masterclockGuards, masterclockRecipes } from './masterclock.ts';
import { nestedGuards, nestedRecipes } from './nested.ts';
import { pvclockGuards, pvclockRecipes } from './pvclock-update.ts';
import { requestGuards, requestRecipes } from './requests.ts';
import { resultRecipes } from './results.ts';
import { stealTimeRecipes } from './steal-time.ts';
import { stimerRecipes } from './stimer.ts';
import { timekeeperGuards, timekeeperRecipes } from './timekeeper.ts';
import { tscGuards, tscRecipes } from './tsc.ts';
import { tscDeadlineGuards, tscDeadlineRecipes } from './tsc-deadline.ts';
import { tscStateRecipes } from './tsc-state.ts';
import { syncVcpuRecipes, syncVmGuards, syncVmRecipes } from './tsc-sync.ts';
import { trackingVcpuGuards, trackingVcpuRecipes, trackingVmRecipes } from './tsc-tracking.ts';
import { vmClockRecipes } from './vm-clock.ts';
import { vmWorkGuards, vmWorkRecipes } from './vm-work.ts';
import { wallClockRecipes } from './wall-clock.ts';
import { xenAttrRecipes } from './xen-attr.ts';
import { xenCpuidRecipes } from './xen-cpuid.ts';
import { xenGuards, xenRecipes, xenVmRecipes } from './xen-pages.ts';
import { xenRunstateGuards, xenRunstateRecipes } from './xen-runstate.ts';
import { xenTimerGuards, xenTimerRecipes } from './xen-timer.ts';

/** What the machine of a host asks. */
export const hostGuards = { ...timekeeperGuards };
/** What it does. */
export const hostRecipes = { ...timekeeperRecipes, ...hostTscRecipes };

/** What the machine of a VM asks. */
export const vmGuards = {
  ...syncVmGuards,
  ...masterclockGuards,
  ...hypervGuards,
  ...clockGuestVmGuards,
  ...vmWorkGuards,
};
/** What it does. */
export const vmRecipes = {
  ...vmClockRecipes,
  ...syncVmRecipes,
  ...trackingVmRecipes,
  ...clockGuestVmRecipes,
  ...masterclockRecipes,
  ...hypervRecipes,
  ...kvmclockVmRecipes,
  ...loadVmRecipes,
  ...wallClockRecipes,
  ...vmWorkRecipes,
  ...xenVmRecipes,
};

/** What the machine of a vCPU asks. */
export const vcpuGuards = {
  ...tscGuards,
  ...trackingVcpuGuards,
  ...loadGuards,
  ...pvclockGuards,
  ...kvmclockGuards,
  ...requestGuards,
  ...tscDeadlineGuards,
  ...nestedGuards,
  ...xenGuards,
  ...xenTimerGuards,
  ...xenRunstateGuards,
};
/** What it does. */
export const vcpuRecipes = {
  ...tscRecipes,
  ...syncVcpuRecipes,
  ...trackingVcpuRecipes,
  ...tscStateRecipes,
  ...clockGuestRecipes,
  ...loadRecipes,
  ...pvclockRecipes,
  ...kvmclockRecipes,
  ...requestRecipes,
  ...stealTimeRecipes,
  ...resultRecipes,
  ...tscDeadlineRecipes,
  ...nestedRecipes,
  ...stimerRecipes,
  ...xenRecipes,
  ...xenTimerRecipes,
  ...xenRunstateRecipes,
  ...xenAttrRecipes,
  ...xenCpuidRecipes,
};
