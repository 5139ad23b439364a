/** What moves a machine: given a signal, it changes the machine's struct as the machine says. */
import type { HostSignal, VcpuSignal, VmSignal } from '../../machines/index.ts';
import type { Ctx, HostState, VcpuState, VmState } from '../clock/index.ts';

/**
 * One machine of a world and its struct as it is now, which is not to be changed and only valid until
 * the next signal.
 *
 * Each signal is a method that lets the machine react to it; one that its state does not handle
 * changes nothing.
 */
export type Cell<S, N extends string, C = Ctx> = { readonly state: S } & {
  readonly [signal in N]: (ctx: C) => void;
};

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

/** A machine that takes its signals by name. */
export interface Machine<S, N extends string, C = Ctx> {
  readonly state: S;
  step(signal: N, ctx: C): void;
}

/** The cell of a machine that takes these signals by name. */
export function cellOf<S, N extends string, C = Ctx>(
  signals: Readonly<Record<N, string>>,
  machine: Machine<S, N, C>,
): Cell<S, N, C> {
  const methods = (Object.keys(signals) as N[]).map((signal) => [
    signal,
    (ctx: C) => machine.step(signal, ctx),
  ]);
  const cell = Object.defineProperty(Object.fromEntries(methods), 'state', {
    get: () => machine.state,
  });
  return cell as Cell<S, N, C>;
}
