/**
 * The policies of VMMs: what each composite event comes to, in order.
 *
 * `qemu` stops the clock while the guest does not run (its kvmclock device) and never writes a TSC
 * but after reset, at hotplug and at the destination of a migration. `plain` does no more than it
 * must: a clock runs on through a pause, and a restored VM gets its TSCs and its clock.
 *
 * Source: QEMU, hw/i386/kvm/clock.c, target/i386/kvm/kvm.c, accel/kvm/kvm-all.c,
 * system/cpus.c, migration/savevm.c; the kvmclock device since 09360a048bd7.
 */
import type { CompositeType } from '../../events/index.ts';
import { KEPT_MSRS, type VmmCtx } from '../clock/index.ts';
import {
  callVcpu,
  callVm,
  eachPlugged,
  eachSaved,
  ioctl,
  ioctls,
  type MakeCall,
  type VmmRoute,
  vcpu,
  vmm,
  when,
} from './vmm-phase.ts';

/** What a VMM does at each composite event. */
export type VmmPolicy = Readonly<Record<CompositeType, VmmRoute>>;

const isRunning = (ctx: VmmCtx): boolean => ctx.vmm.run === 'running';

/** A thread that runs its vCPU leaves the guest and then its CPU. */
const STOP_THREAD: VmmRoute = [
  when(
    ({ kvm }) => kvm.run === 'guest',
    callVcpu(() => ({ type: 'kvm_exit' })),
  ),
  when(
    ({ kvm }) => kvm.run === 'loaded',
    callVcpu(() => ({ type: 'vcpu_put' })),
  ),
];

const STOP: VmmRoute = [eachPlugged(...STOP_THREAD), vmm('PAUSE')];

const GET_CLOCK = callVm(() => ({ type: 'KVM_GET_CLOCK' }), 'KEEP_CLOCK');

const getMsr =
  (index: number): MakeCall =>
  () => ({ type: 'KVM_GET_MSRS', index });

const TSC = KEPT_MSRS.filter(({ field }) => field === 'tsc');

const GET_TSCS = eachPlugged(
  ...ioctls(
    TSC.map(({ index }) => getMsr(index)),
    'KEEP_MSR',
  ),
);

/** All MSRs of all vCPUs. */
const GET_MSRS = eachPlugged(
  ...ioctls(
    KEPT_MSRS.map(({ index }) => getMsr(index)),
    'KEEP_MSR',
  ),
);

/** A vCPU's MSRs as the VMM has them: as after reset, or as restored. */
const PUT_MSRS: VmmRoute = ioctls(
  KEPT_MSRS.map(
    ({ index, field }): MakeCall =>
      (ctx) => ({ type: 'KVM_SET_MSRS', index, data: BigInt.asUintN(64, ctx.vcpu[field]) }),
  ),
);

const PUT_FREQUENCY = when(
  (ctx) => ctx.vmm.tscKhz !== 0,
  ...ioctl((ctx) => ({ type: 'KVM_SET_TSC_KHZ', khz: ctx.vmm.tscKhz })),
);

const CREATE: VmmRoute = [
  callVcpu((ctx) => ({ type: 'KVM_CREATE_VCPU', cpu: ctx.vcpu.cpu })),
  callVcpu(() => ({ type: 'vcpu_postcreate' })),
  PUT_FREQUENCY,
];

/** A vCPU that KVM has already is used again. */
const PLUG: VmmRoute = [
  when((ctx) => ctx.vcpu.life === 'parked', vcpu('PLUG'), PUT_FREQUENCY),
  when((ctx) => ctx.vcpu.life === 'absent', vcpu('PLUG'), ...CREATE),
];

/** What QEMU does with every vCPU it has plugged in. */
const RESET: VmmRoute = [...ioctl(() => ({ type: 'KVM_GET_TSC_KHZ' })), ...PUT_MSRS];

const SET_CLOCK: VmmRoute = [
  callVm((ctx) => ({ type: 'KVM_SET_CLOCK', clock: ctx.vmm.clock, flags: 0 })),
  vmm('CLOCK_SET'),
];

/** `kvmclock_vm_state_change()`, stopped: the clock is read once, after the TSCs. */
const STOP_CLOCK: VmmRoute = [
  when((ctx) => ctx.vmm.clockDevice === 'invalid', GET_TSCS, GET_CLOCK),
];

/** `kvmclock_vm_state_change()`, running; KVM_KVMCLOCK_CTRL may fail where no page is in use. */
const START_CLOCK: VmmRoute = [
  vmm('READ_PAGE'),
  ...SET_CLOCK,
  eachPlugged(...ioctl(() => ({ type: 'KVM_KVMCLOCK_CTRL' }))),
];

/** What travels; a clock that the user did not stop counts until the last moment. */
const SAVE: VmmRoute = [
  GET_MSRS,
  when((ctx) => ctx.vmm.stoppedBy !== 'user', GET_CLOCK),
  vmm('SAVE'),
];

// Where a VM is restored, all vCPUs are created before the first TSC is written: the creation of one
// is recorded as a 0 written just then (§5.9 of the project's notes), which a restored value would be
// far from.

const QEMU_STOP: VmmRoute = [when(isRunning, ...STOP, ...STOP_CLOCK)];
const QEMU_RESUME: VmmRoute = [...START_CLOCK, vmm('RESUME')];
const QEMU_SAVE: VmmRoute = [...QEMU_STOP, ...SAVE];

const QEMU: VmmPolicy = {
  launch: [callVm(() => ({ type: 'KVM_CREATE_VM' })), vmm('LAUNCH'), GET_CLOCK],
  hotplug: [...PLUG, ...RESET],
  unplug: [...STOP_THREAD, vcpu('PARK')],
  pause: [...STOP, ...STOP_CLOCK],
  resume: QEMU_RESUME,
  snapshot: [...QEMU_SAVE, when((ctx) => ctx.vmm.stoppedBy !== 'user', ...QEMU_RESUME)],
  migration: [
    when((ctx) => ctx.event.type === 'migration' && !ctx.event.incoming, ...QEMU_SAVE),
    when(
      (ctx) => ctx.event.type === 'migration' && ctx.event.incoming,
      vmm('RESTORE'),
      eachSaved(vcpu('PLUG'), ...CREATE, ...RESET),
      eachSaved(vcpu('RESTORE'), ...PUT_MSRS),
      when((ctx) => ctx.saved?.stoppedBy !== 'user', ...QEMU_RESUME),
    ),
  ],
};

const PLAIN_SAVE: VmmRoute = [when(isRunning, ...STOP), GET_MSRS, GET_CLOCK, vmm('SAVE')];

const PLAIN: VmmPolicy = {
  launch: [callVm(() => ({ type: 'KVM_CREATE_VM' })), vmm('LAUNCH')],
  hotplug: PLUG,
  unplug: [...STOP_THREAD, vcpu('PARK')],
  pause: STOP,
  resume: [when((ctx) => ctx.vmm.run === 'restored', ...SET_CLOCK), vmm('RESUME')],
  snapshot: [...PLAIN_SAVE, when((ctx) => ctx.vmm.stoppedBy !== 'user', vmm('RESUME'))],
  migration: [
    when((ctx) => ctx.event.type === 'migration' && !ctx.event.incoming, ...PLAIN_SAVE),
    when(
      (ctx) => ctx.event.type === 'migration' && ctx.event.incoming,
      vmm('RESTORE'),
      eachSaved(vcpu('PLUG'), ...CREATE),
      eachSaved(vcpu('RESTORE'), ...PUT_MSRS),
      when((ctx) => ctx.saved?.stoppedBy !== 'user', ...SET_CLOCK, vmm('RESUME')),
    ),
  ],
};

/** Every policy by its name. */
export const VMM_POLICIES = { qemu: QEMU, plain: PLAIN } as const;

/** Name of a policy. */
export type VmmPolicyId = keyof typeof VMM_POLICIES;
