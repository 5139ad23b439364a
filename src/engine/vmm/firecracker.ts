/**
 * Firecracker: snapshots of a paused microVM.
 *
 * A pause tells every vCPU that it was stopped. Saving reads all vCPUs, then the clock; restoring
 * creates all vCPUs, writes their MSRs in the order of KVM_GET_MSR_INDEX_LIST, and the clock last.
 * The clock stands still unless `clock_realtime` is asked for. On hosts with Linux 5.16 and later it
 * went on up to v1.15 whether it was asked for or not: the flags that KVM_GET_CLOCK had returned
 * were handed back but for KVM_CLOCK_TSC_STABLE.
 *
 * Source: Firecracker, src/vmm/src/arch/x86_64/{vm,vcpu}.rs, src/vmm/src/{builder,lib}.rs,
 * src/vmm/src/vstate/vcpu.rs at 81b38b9dad60; the flag since a1fd537f9274 (v1.16.0).
 */
import { KVM_CLOCK_TSC_STABLE, type VmmCtx, vmmMsrs } from '../../clock/index.ts';
import type { VmmPhase, VmmRoute } from './phase.ts';
import { eachPlugged, eachSaved, ioctl, moment, vcpu, vmm, when } from './phase.ts';
import {
  CREATE_VCPU,
  GET_CLOCK,
  GET_TSC_KHZ,
  getMsrs,
  isRunning,
  KVMCLOCK_CTRL,
  PLUG,
  putMsrs,
  RESUME,
  routesOf,
  SET_CLOCK,
  SET_CLOCK_REALTIME,
  STOP,
  setClockAsRead,
  type VmmPolicy,
  ZERO_TSC,
} from './policy.ts';

/** In the order of KVM_GET_MSR_INDEX_LIST: what the hardware has, then what KVM emulates. */
export const INDEX_LIST = vmmMsrs(
  'IA32_TSC',
  'MSR_KVM_SYSTEM_TIME',
  'MSR_KVM_WALL_CLOCK',
  'MSR_KVM_SYSTEM_TIME_NEW',
  'MSR_KVM_WALL_CLOCK_NEW',
  'MSR_KVM_STEAL_TIME',
  'IA32_TSC_ADJUST',
);

const PAUSE: VmmRoute = [...STOP, eachPlugged(KVMCLOCK_CTRL)];

/** Parts per million by which a frequency may differ before it is set. */
const TOLERANCE_PPM = 250;

/** `is_tsc_scaling_required()`, asked of the first vCPU for all. */
const needsScaling = ({ vcpu: { tscKhz }, kvm }: VmmCtx): boolean =>
  Math.abs(kvm.virtualTscKhz - tscKhz) > Math.floor((tscKhz * TOLERANCE_PPM) / 1_000_000);

const PUT_TSC_KHZ: VmmPhase = when(
  needsScaling,
  ioctl((ctx) => ({ type: 'KVM_SET_TSC_KHZ', khz: ctx.vcpu.tscKhz })),
);

const routesWith = (setClock: VmmRoute): VmmPolicy['routes'] =>
  routesOf({
    hotplug: [...PLUG, ZERO_TSC],
    pause: PAUSE,
    resume: RESUME,
    save: [
      when(isRunning, ...PAUSE),
      moment('save-tscs'),
      eachPlugged(GET_TSC_KHZ, getMsrs(INDEX_LIST)),
      moment('save-clock'),
      GET_CLOCK,
      vmm('SAVE'),
      moment('save-memory'),
    ],
    restore: [
      eachSaved(vcpu('PLUG'), ...CREATE_VCPU),
      eachSaved(vcpu('RESTORE'), PUT_TSC_KHZ),
      moment('restore-tscs'),
      eachSaved(putMsrs(INDEX_LIST), KVMCLOCK_CTRL),
      moment('restore-clock'),
      ...setClock,
    ],
  });

const SOURCE = 'Firecracker src/vmm/src/arch/x86_64/vm.rs, vcpu.rs';

export const FIRECRACKER: VmmPolicy = {
  title: 'Firecracker: time stops while the microVM is away',
  tsc: 'freeze',
  kvmclock: 'freeze',
  source: `${SOURCE}; a1fd537f9274 (v1.16.0)`,
  routes: routesWith(SET_CLOCK),
};

export const FIRECRACKER_REALTIME: VmmPolicy = {
  title: 'Firecracker with clock_realtime: kvmclock goes on, TSCs do not',
  tsc: 'freeze',
  kvmclock: 'advance',
  source: `${SOURCE}; a1fd537f9274 (v1.16.0)`,
  needsRealtime: true,
  routes: routesWith(SET_CLOCK_REALTIME),
};

export const FIRECRACKER_1_15: VmmPolicy = {
  title: 'Firecracker up to v1.15: kvmclock goes on where the host is Linux 5.16 or later',
  tsc: 'freeze',
  kvmclock: 'advance',
  source: `${SOURCE}, before a1fd537f9274`,
  // With every flag but that one.
  routes: routesWith(setClockAsRead(~KVM_CLOCK_TSC_STABLE)),
};
