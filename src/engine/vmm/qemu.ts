/**
 * QEMU: its kvmclock device stops the clock while the guest does not run, and a TSC is written but
 * after reset, at hotplug and at the destination of a migration.
 *
 * vCPUs that are there from the start are reset when all are created; one plugged in later is at once.
 * At a stop all TSCs are read once and stay as they are until the guest runs; the clock is read
 * after them. Of a migration it is read again at the last moment, when all memory has been sent, so
 * that the clock has counted what the TSCs have not.
 *
 * Source: QEMU, hw/i386/kvm/clock.c, target/i386/kvm/kvm.c, accel/kvm/kvm-all.c,
 * system/cpus.c, migration/savevm.c; the kvmclock device since 09360a048bd7.
 */
import type { VmmCtx } from '../../clock/index.ts';
import type { VmmPhase, VmmRoute } from './phase.ts';
import { eachPlugged, eachSaved, moment, vcpu, vmm, when } from './phase.ts';
import {
  CLOCK_MSRS,
  CREATE_VCPU,
  CREATE_VM,
  GET_CLOCK,
  GET_TSC,
  GET_TSC_KHZ,
  getMsrs,
  isRunning,
  KVMCLOCK_CTRL,
  OTHER_MSRS,
  PLUG,
  PUT_TSC_KHZ,
  putMsrs,
  RESUME,
  routesOf,
  SET_CLOCK,
  STOP,
  type VmmPolicy,
} from './policy.ts';

/** How a vCPU's clock is read and put back: in what `x-precise-tsc` differs. */
export interface QemuVcpu {
  /** `kvm_get_tsc()`. */
  readonly getTsc: VmmPhase;
  /** `kvm_get_msrs()`, but for the TSC. */
  readonly getMsrs: VmmPhase;
  /** At the levels of reset and of the full state. */
  readonly put: VmmRoute;
}

const PLAIN_VCPU: QemuVcpu = {
  getTsc: GET_TSC,
  getMsrs: getMsrs(OTHER_MSRS),
  put: [putMsrs(CLOCK_MSRS)],
};

/** Parts per million by which frequencies count as one that NTP has corrected. */
const TOLERANCE_PPM = 250;

/** `freq_within_bounds()`. */
function isWithinBounds(khz: number, target: number): boolean {
  const tolerance = Math.floor((khz * TOLERANCE_PPM) / 1_000_000);
  return target >= khz - tolerance && target <= khz + tolerance;
}

/** `kvm_arch_set_tsc_khz()`: what KVM could not do by scaling is not asked of it. */
const SET_TSC_KHZ: VmmPhase = when(
  ({ tscControl, kvm, vcpu: its }) => tscControl || isWithinBounds(kvm.virtualTscKhz, its.tscKhz),
  PUT_TSC_KHZ,
);

const isLaunched = (ctx: VmmCtx): boolean => ctx.vmm.run === 'launched';

/** `kvmclock_vm_state_change()`, stopped: the clock is read once, after the TSCs. */
const stopClock = ({ getTsc }: QemuVcpu): VmmPhase =>
  when(
    (ctx) => ctx.vmm.clockDevice === 'invalid',
    moment('save-tscs'),
    eachPlugged(getTsc),
    GET_CLOCK,
  );

/** `kvmclock_vm_state_change()`, running; KVM_KVMCLOCK_CTRL may fail where no page is in use. */
const START_CLOCK: VmmRoute = [vmm('READ_PAGE'), ...SET_CLOCK, eachPlugged(KVMCLOCK_CTRL)];

/**
 * What travels: a TSC that is valid is not read again, a clock that the user did not stop counts
 * until the last moment.
 */
const save = ({ getTsc, getMsrs: others }: QemuVcpu): VmmRoute => [
  moment('save-memory'),
  eachPlugged(
    others,
    when((ctx) => ctx.vcpu.tscKept === 'no', getTsc),
  ),
  moment('save-clock'),
  when((ctx) => ctx.vmm.stoppedBy !== 'user', GET_CLOCK),
  vmm('SAVE'),
];

/** QEMU's routes, with vCPUs as told. */
export function qemuRoutes(its: QemuVcpu): VmmPolicy['routes'] {
  /** `qemu_system_reset()`: the vCPUs that were there from the start, one after another. */
  const reset = eachPlugged(...its.put);
  return routesOf({
    launch: [...CREATE_VM, GET_CLOCK],
    hotplug: [...PLUG, GET_TSC_KHZ, when((ctx) => !isLaunched(ctx), ...its.put)],
    pause: [...STOP, stopClock(its)],
    resume: [when(isLaunched, reset), moment('restore-clock'), ...START_CLOCK, ...RESUME],
    save: [when(isRunning, ...STOP, stopClock(its)), ...save(its)],
    // All vCPUs are there before the first TSC is written: the creation of one is recorded as a 0
    // written just then (§5.9 of the project's notes), which a restored value would be far from.
    restore: [
      eachSaved(vcpu('PLUG'), ...CREATE_VCPU, GET_TSC_KHZ),
      reset,
      moment('restore-tscs'),
      eachSaved(vcpu('RESTORE'), SET_TSC_KHZ, ...its.put),
    ],
  });
}

export const QEMU: VmmPolicy = {
  title: 'QEMU: time stops while the guest does not run',
  tsc: 'freeze',
  kvmclock: 'freeze',
  source: 'QEMU hw/i386/kvm/clock.c, target/i386/kvm/kvm.c; 09360a048bd7',
  tolerates: ['KVM_SET_TSC_KHZ'],
  routes: qemuRoutes(PLAIN_VCPU),
};
