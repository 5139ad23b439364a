/** What moves a machine: given a signal, it changes the machine's struct as the machine says. */
import type { HostSignal, VcpuSignal, VmSignal } from '../../machines/index.ts';
import type { Ctx, HostState, VcpuState, VmState } from '../clock/index.ts';

/** One machine of a world and its struct. */
export interface Cell<S, N extends string, C = Ctx> {
  /** The struct as it is now; not to be changed, and only valid until the next step. */
  readonly state: S;
  /** Lets the machine react to a signal. One that its state does not handle changes nothing. */
  step(signal: N, ctx: C): void;
}

/** A host's machine. */
export type HostCell = Cell<HostState, HostSignal>;
/** A VM's machine. */
export type VmCell = Cell<VmState, VmSignal>;
/** A vCPU's machine. */
export type VcpuCell = Cell<VcpuState, VcpuSignal>;

/** Makes machines that start from given structs, in the states that the structs say. */
export interface Stepper {
  host(state: HostState): HostCell;
  vm(state: VmState, id: string): VmCell;
  vcpu(state: VcpuState, id: string): VcpuCell;
}
