/**
 * Cloud Hypervisor: the clock is read when the VM is paused and set when it is resumed, whether it
 * was away or not; the TSCs are read when it is saved, after the last of the memory was sent.
 *
 * A pause tells every vCPU that it was stopped. Each vCPU is created and at once gets its frequency
 * and MSRs, before the next one is created. Since v53 the TSC offset of the first is then given to
 * all, and the clock is set with all flags that KVM_GET_CLOCK returned, so that it goes on; a host
 * that does not tell the time of its clock gets it filled in. Up to v52 the clock was set without flags.
 *
 * Source: Cloud Hypervisor, hypervisor/src/kvm/mod.rs, vmm/src/{vm,cpu,lib}.rs at ae44c2971c83;
 * 56e891a4057a (the clock goes on) and 993ac5c90 (TSC offsets), both v53.0.
 */
import { INDEX_LIST } from './firecracker.ts';
import type { VmmPhase, VmmRoute } from './phase.ts';
import { eachPlugged, eachSaved, ioctl, moment, vcpu, vmm, when } from './phase.ts';
import {
  CREATE_VCPU,
  GET_CLOCK,
  GET_TSC_KHZ,
  GET_TSC_OFFSET,
  getMsrs,
  isBoot,
  isRunning,
  KVMCLOCK_CTRL,
  PLUG,
  PUT_TSC_KHZ,
  putMsrs,
  RESUME,
  routesOf,
  SET_CLOCK,
  STOP,
  setClockAsRead,
  type VmmPolicy,
  ZERO_TSC,
} from './policy.ts';

/** The clock is read here; where KVM tells no time with it, the VMM's own reading is filled in. */
const PAUSE: VmmRoute = [
  ...STOP,
  eachPlugged(KVMCLOCK_CTRL),
  moment('save-clock'),
  GET_CLOCK,
  vmm('FILL_REALTIME'),
];

/** With every flag. */
const SET_CLOCK_AS_READ: VmmRoute = setClockAsRead(~0);

/** `synchronize_tsc_offsets()`; nothing is done where KVM has no such attribute. */
const SYNCHRONIZE_TSC_OFFSETS: VmmPhase = when(
  (ctx) => ctx.switches.tscOffsetAttr,
  eachPlugged(when(isBoot, GET_TSC_OFFSET)),
  eachPlugged(
    ioctl(({ bootVcpu }) => ({ type: 'KVM_SET_TSC_OFFSET', offset: bootVcpu.tscOffset })),
  ),
);

const routesWith = (align: VmmRoute, setClock: VmmRoute): VmmPolicy['routes'] =>
  routesOf({
    hotplug: [...PLUG, ZERO_TSC],
    pause: PAUSE,
    resume: [
      when((ctx) => ctx.vmm.clockDevice === 'valid', moment('restore-clock'), ...setClock),
      ...RESUME,
    ],
    save: [
      when(isRunning, ...PAUSE),
      moment('save-memory'),
      moment('save-tscs'),
      eachPlugged(getMsrs(INDEX_LIST), GET_TSC_KHZ),
      vmm('SAVE'),
    ],
    restore: [
      moment('restore-tscs'),
      eachSaved(vcpu('PLUG'), ...CREATE_VCPU, vcpu('RESTORE'), PUT_TSC_KHZ, putMsrs(INDEX_LIST)),
      ...align,
    ],
  });

const SOURCE = 'Cloud Hypervisor hypervisor/src/kvm/mod.rs, vmm/src/vm.rs, cpu.rs';

export const CLOUD_HYPERVISOR: VmmPolicy = {
  title: 'Cloud Hypervisor: kvmclock goes on, TSCs do not but agree',
  tsc: 'freeze',
  kvmclock: 'advance',
  source: `${SOURCE}; 56e891a4057a, 993ac5c90 (v53.0)`,
  routes: routesWith([SYNCHRONIZE_TSC_OFFSETS], SET_CLOCK_AS_READ),
};

export const CLOUD_HYPERVISOR_52: VmmPolicy = {
  title: 'Cloud Hypervisor up to v52: time stops while the VM is away',
  tsc: 'freeze',
  kvmclock: 'freeze',
  source: `${SOURCE}, before 56e891a4057a`,
  routes: routesWith([], SET_CLOCK),
};
