/**
 * The vocabulary of a VMM's policies: how a composite event becomes inputs.
 *
 * As in the routes of the kernel (`phase.ts`), a list of phases is walked in order. A phase makes
 * one input, or steps the VMM's machines, or holds others that happen under a condition or for each
 * vCPU.
 */
import type { InputOf, InputType } from '../../events/index.ts';
import type { VmmSignal, VmmVcpuSignal } from '../../machines/index.ts';
import type { VmmCtx } from '../clock/index.ts';

/** An input of the VM or of a vCPU, to which the VMM adds the names and the instant. */
export type Call = {
  [T in InputType]: Omit<InputOf<T>, 'tsc' | 'vm' | 'vcpu' | 'readings'>;
}[InputType];

/** Makes a call from what the VMM knows when its turn comes. */
export type MakeCall = (ctx: VmmCtx) => Call;

/** Whether a phase happens; asked when its turn comes. */
type VmmCondition = (ctx: VmmCtx) => boolean;

/** One step of a policy. */
export type VmmPhase =
  | { readonly vmm: VmmSignal }
  | { readonly vcpu: VmmVcpuSignal }
  | { readonly callVm: MakeCall; readonly then?: VmmSignal }
  | { readonly callVcpu: MakeCall; readonly then?: VmmVcpuSignal }
  | { readonly when: VmmCondition; readonly phases: VmmRoute }
  | { readonly each: 'plugged' | 'saved'; readonly phases: VmmRoute };

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
export const callVcpu = (make: MakeCall, then?: VmmVcpuSignal): VmmPhase => ({
  callVcpu: make,
  ...(then === undefined ? {} : { then }),
});

/** An ioctl on the vCPU, for which its thread takes it onto its CPU and off again. */
export const ioctl = (make: MakeCall, then?: VmmVcpuSignal): VmmRoute => [
  callVcpu(({ vcpu }) => ({ type: 'vcpu_load', cpu: vcpu.cpu })),
  callVcpu(make, then),
  callVcpu(() => ({ type: 'vcpu_put' })),
];

/** One ioctl that takes several MSRs. */
export const ioctls = (makes: readonly MakeCall[], then?: VmmVcpuSignal): VmmRoute => [
  callVcpu(({ vcpu }) => ({ type: 'vcpu_load', cpu: vcpu.cpu })),
  ...makes.map((make) => callVcpu(make, then)),
  callVcpu(() => ({ type: 'vcpu_put' })),
];

/** These phases, if the condition holds when their turn comes. */
export const when = (condition: VmmCondition, ...phases: VmmRoute): VmmPhase => ({
  when: condition,
  phases,
});

/** These phases for each vCPU that is plugged in, in order of their first plugging. */
export const eachPlugged = (...phases: VmmRoute): VmmPhase => ({ each: 'plugged', phases });

/** These phases for each vCPU of the saved state. */
export const eachSaved = (...phases: VmmRoute): VmmPhase => ({ each: 'saved', phases });
