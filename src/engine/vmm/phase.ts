/**
 * The vocabulary of a VMM's policies: how a composite event becomes inputs.
 *
 * As in the routes of the kernel (`phase.ts`), a list of phases is walked in order. A phase makes
 * one input, or an ioctl on a vCPU, which is several; or it steps the VMM's machines; or it holds
 * others that happen under a condition or for each vCPU; or it is a moment at which a plan may wait.
 */
import type { InputOf, InputType } from '../../../events/index.ts';
import type { VmmSignal, VmmVcpuSignal } from '../../../machines/index.ts';
import type { VmmCtx } from '../../clock/index.ts';

/** An input of the VM or of a vCPU, to which the VMM adds the names and the instant. */
export type Call = {
  [T in InputType]: Omit<InputOf<T>, 'tsc' | 'vm' | 'vcpu' | 'readings'>;
}[InputType];

/** Makes a call from what the VMM knows when its turn comes. */
export type MakeCall = (ctx: VmmCtx) => Call;

/** Whether a phase happens; asked when its turn comes. */
type VmmCondition = (ctx: VmmCtx) => boolean;

/** Moments of saving and restoring a VM at which time may pass, in the usual order. */
export const VMM_MOMENTS = {
  'save-tscs': 'before the first TSC is read',
  'save-memory': 'while the last of the memory is saved',
  'save-clock': 'before the VM’s clock is read',
  'restore-tscs': 'before the first TSC is written',
  'restore-clock': 'before the VM’s clock is set',
} as const;

/** Name of a moment. */
export type VmmMoment = keyof typeof VMM_MOMENTS;

/** One step of a policy. */
export type VmmPhase =
  | { readonly vmm: VmmSignal }
  | { readonly vcpu: VmmVcpuSignal }
  | { readonly callVm: MakeCall; readonly then?: VmmSignal }
  | { readonly callVcpu: MakeCall }
  | { readonly ioctl: readonly MakeCall[]; readonly then?: VmmVcpuSignal }
  | { readonly when: VmmCondition; readonly phases: VmmRoute }
  | { readonly each: 'plugged' | 'saved'; readonly phases: VmmRoute }
  | { readonly moment: VmmMoment };

/** What a composite event comes to. */
export type VmmRoute = readonly VmmPhase[];

/** Steps the VMM's machine. */
export const vmm = (signal: VmmSignal): VmmPhase => ({ vmm: signal });

/** Steps the machine of the vCPU whose turn it is. */
export const vcpu = (signal: VmmVcpuSignal): VmmPhase => ({ vcpu: signal });

/** An ioctl on the VM; the VMM's machine then gets its result with a signal. */
export const callVm = (make: MakeCall, then?: VmmSignal): VmmPhase => ({
  callVm: make,
  ...(then === undefined ? {} : { then }),
});

/** Something done to the vCPU by itself. */
export const callVcpu = (make: MakeCall): VmmPhase => ({ callVcpu: make });

/**
 * An ioctl on the vCPU, for which its thread takes it onto its CPU and off again. One that takes
 * several MSRs is as many inputs; the vCPU's machine gets the result of each with a signal.
 */
export const ioctl = (make: MakeCall | readonly MakeCall[], then?: VmmVcpuSignal): VmmPhase => ({
  ioctl: typeof make === 'function' ? [make] : make,
  ...(then === undefined ? {} : { then }),
});

/** These phases, if the condition holds when their turn comes. */
export const when = (condition: VmmCondition, ...phases: VmmRoute): VmmPhase => ({
  when: condition,
  phases,
});

/** These phases for each vCPU that is plugged in, in order of their first plugging. */
export const eachPlugged = (...phases: VmmRoute): VmmPhase => ({ each: 'plugged', phases });

/** These phases for each vCPU of the saved state. */
export const eachSaved = (...phases: VmmRoute): VmmPhase => ({ each: 'saved', phases });

/** A moment at which a plan may let time pass. */
export const moment = (name: VmmMoment): VmmPhase => ({ moment: name });
