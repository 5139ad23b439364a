/** What a policy is made of, and the steps that policies share. */
import type { CompositeType, InputType } from '../../../events/index.ts';
import { type KeptMsr, KVM_CLOCK_REALTIME, type VmmCtx, vmmMsrs } from '../../clock/index.ts';
import {
  callVcpu,
  callVm,
  eachPlugged,
  eachSaved,
  ioctl,
  type MakeCall,
  moment,
  type VmmPhase,
  type VmmRoute,
  vcpu,
  vmm,
  when,
} from './phase.ts';

/** Whether time that passes while the guest does not run counts for it. */
export type Intent = 'freeze' | 'advance';

/** What a VMM does at each composite event. */
export interface VmmPolicy {
  /** What it is, in a line. */
  readonly title: string;
  /** What becomes of time for which the guest is away: of its TSCs, and of its kvmclock. */
  readonly tsc: Intent;
  readonly kvmclock: Intent;
  /** Where the order of its ioctls is from. */
  readonly source: string;
  /** Ioctls that may fail without it giving up, beside KVM_KVMCLOCK_CTRL. */
  readonly tolerates?: readonly InputType[];
  /** It gives up where KVM_GET_CLOCK told no time to go by. */
  readonly needsRealtime?: true;
  readonly routes: Readonly<Record<CompositeType, VmmRoute>>;
}

/** The parts in which policies differ. */
interface PolicyParts {
  readonly launch?: VmmRoute;
  readonly hotplug: VmmRoute;
  /** The user stops the guest. */
  readonly pause: VmmRoute;
  readonly resume: VmmRoute;
  /** Stops the guest if it runs, and saves. */
  readonly save: VmmRoute;
  /** From the creation of vCPUs to the last value put back. */
  readonly restore: VmmRoute;
}

export const isRunning = (ctx: VmmCtx): boolean => ctx.vmm.run === 'running';
const isRestored = (ctx: VmmCtx): boolean => ctx.vmm.run === 'restored';
export const isBoot = ({ vcpu: its, bootVcpu }: VmmCtx): boolean => its.vcpuId === bootVcpu.vcpuId;
const isIncoming = ({ event }: VmmCtx): boolean => event.type === 'migration' && event.incoming;

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

export const STOP: VmmRoute = [eachPlugged(...STOP_THREAD), vmm('PAUSE')];

export const RESUME: VmmRoute = [eachPlugged(vcpu('RUN')), vmm('RESUME')];

export const CREATE_VM: VmmRoute = [callVm(() => ({ type: 'KVM_CREATE_VM' })), vmm('LAUNCH')];

export const GET_CLOCK: VmmPhase = callVm(() => ({ type: 'KVM_GET_CLOCK' }), 'KEEP_CLOCK');

/** The MSRs of a vCPU's clocks, in the order of QEMU's `kvm_put_msrs()`. */
export const CLOCK_MSRS = vmmMsrs(
  'IA32_TSC_ADJUST',
  'IA32_TSC',
  'MSR_KVM_SYSTEM_TIME',
  'MSR_KVM_WALL_CLOCK',
  'MSR_KVM_STEAL_TIME',
);

/** All that is not the TSC itself. */
export const OTHER_MSRS = CLOCK_MSRS.filter(({ field }) => field !== 'tsc');

/** `KVM_GET_MSRS`. */
export const getMsrs = (msrs: readonly KeptMsr[]): VmmPhase =>
  ioctl(
    msrs.map(
      ({ index }): MakeCall =>
        () => ({ type: 'KVM_GET_MSRS', index }),
    ),
    'KEEP',
  );

/** `KVM_SET_MSRS` of a vCPU's MSRs as the VMM has them: as after reset, or as restored. */
export const putMsrs = (msrs: readonly KeptMsr[]): VmmPhase =>
  ioctl(
    msrs.map(
      ({ index, field }): MakeCall =>
        (ctx) => ({ type: 'KVM_SET_MSRS', index, data: BigInt.asUintN(64, ctx.vcpu[field]) }),
    ),
  );

/** The TSC alone, from when it is read valid until the guest runs. */
export const GET_TSC: VmmPhase = ioctl(
  vmmMsrs('IA32_TSC').map(
    ({ index }): MakeCall =>
      () => ({ type: 'KVM_GET_MSRS', index }),
  ),
  'KEEP_TSC',
);

/** The TSC is written as 0 before a new vCPU runs. */
export const ZERO_TSC: VmmPhase = putMsrs(vmmMsrs('IA32_TSC'));

export const GET_TSC_OFFSET: VmmPhase = ioctl(() => ({ type: 'KVM_GET_TSC_OFFSET' }), 'KEEP');

export const KVMCLOCK_CTRL: VmmPhase = ioctl(() => ({ type: 'KVM_KVMCLOCK_CTRL' }));

export const GET_TSC_KHZ: VmmPhase = ioctl(() => ({ type: 'KVM_GET_TSC_KHZ' }), 'KEEP');

/** The frequency that a vCPU had where it was saved. */
export const PUT_TSC_KHZ: VmmPhase = when(
  (ctx) => ctx.vcpu.tscKhz !== 0,
  ioctl((ctx) => ({ type: 'KVM_SET_TSC_KHZ', khz: ctx.vcpu.tscKhz })),
);

/** The frequency that the user asked for. */
const PUT_USER_TSC_KHZ: VmmPhase = when(
  (ctx) => ctx.vmm.tscKhz !== 0,
  ioctl((ctx) => ({ type: 'KVM_SET_TSC_KHZ', khz: ctx.vmm.tscKhz })),
);

/** A vCPU of the frequency that its VM has. */
export const NEW_VCPU: VmmRoute = [
  callVcpu((ctx) => ({ type: 'KVM_CREATE_VCPU', cpu: ctx.vcpu.cpu })),
  callVcpu(() => ({ type: 'vcpu_postcreate' })),
];

export const CREATE_VCPU: VmmRoute = [...NEW_VCPU, PUT_USER_TSC_KHZ];

/** A vCPU that KVM has already is used again. */
export const PLUG: VmmRoute = [
  when((ctx) => ctx.vcpu.life === 'parked', vcpu('PLUG'), PUT_USER_TSC_KHZ),
  when((ctx) => ctx.vcpu.life === 'absent', vcpu('PLUG'), ...CREATE_VCPU),
];

/** KVM_SET_CLOCK of the clock as the VMM has it, whatever passed since. */
export const SET_CLOCK: VmmRoute = [
  callVm((ctx) => ({ type: 'KVM_SET_CLOCK', clock: ctx.vmm.clock, flags: 0 })),
  vmm('CLOCK_SET'),
];

/** KVM_SET_CLOCK with what KVM_GET_CLOCK told: the time of it, and of its flags those of a mask. */
export const setClockAsRead = (mask: number): VmmRoute => [
  callVm((ctx) => ({
    type: 'KVM_SET_CLOCK',
    clock: ctx.vmm.clock,
    flags: ctx.vmm.clockFlags & mask,
    realtime: ctx.vmm.clockRealtime,
  })),
  vmm('CLOCK_SET'),
];

/** KVM_SET_CLOCK with what passed since, as far as KVM_GET_CLOCK told the time of it. */
export const SET_CLOCK_REALTIME: VmmRoute = setClockAsRead(KVM_CLOCK_REALTIME);

/** TSCs are saved and put back one vCPU after another, and the clock after them. */
export const tscsThenClock = (its: {
  readonly get: VmmRoute;
  readonly put: VmmRoute;
  readonly setClock: VmmRoute;
}): VmmPolicy['routes'] =>
  routesOf({
    hotplug: PLUG,
    pause: STOP,
    resume: [when(isRestored, moment('restore-clock'), ...its.setClock), ...RESUME],
    save: [
      when(isRunning, ...STOP),
      moment('save-tscs'),
      eachPlugged(...its.get),
      moment('save-memory'),
      moment('save-clock'),
      GET_CLOCK,
      vmm('SAVE'),
    ],
    restore: [
      eachSaved(vcpu('PLUG'), ...CREATE_VCPU),
      moment('restore-tscs'),
      eachSaved(vcpu('RESTORE'), PUT_TSC_KHZ, ...its.put),
    ],
  });

/** What each event comes to, of the parts. */
export function routesOf(parts: PolicyParts): VmmPolicy['routes'] {
  const { launch = CREATE_VM, hotplug, pause, resume, save, restore } = parts;
  return {
    launch,
    hotplug,
    unplug: [...STOP_THREAD, vcpu('PARK')],
    pause,
    resume,
    snapshot: [...save, when((ctx) => ctx.vmm.stoppedBy !== 'user', ...resume)],
    migration: [
      when((ctx) => !isIncoming(ctx), ...save),
      when(
        isIncoming,
        vmm('RESTORE'),
        ...restore,
        when((ctx) => ctx.saved?.stoppedBy !== 'user', ...resume),
      ),
    ],
  };
}
