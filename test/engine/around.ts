/** A stepper whose machines somebody stands around. */
import { HOST_SIGNALS, VCPU_SIGNALS, VM_SIGNALS } from '../../machines/index.ts';
import type { Ctx } from '../../src/clock/index.ts';
import { type Cell, cellOf, type Stepper } from '../../src/engine/index.ts';
import type { StructBase } from '../../src/num/index.ts';
import type { MachineName } from './configurations.ts';

/** A signal on its way to a machine. */
export interface Signalled {
  readonly machine: MachineName;
  readonly signal: string;
  readonly ctx: Ctx;
  /** The machine's struct as it is now. */
  readonly state: () => StructBase;
  /** Lets the machine react. */
  readonly step: (ctx: Ctx) => void;
}

/** Machines that react when `around` lets them. */
export function aroundEach(inner: Stepper, around: (signalled: Signalled) => void): Stepper {
  function of<S extends StructBase, N extends string>(
    machine: MachineName,
    signals: Readonly<Record<N, string>>,
    cell: Cell<S, NoInfer<N>>,
  ): Cell<S, N> {
    const reacts = cell as Readonly<Record<string, (ctx: Ctx) => void>>;
    const state = (): S => cell.state;
    return cellOf(signals, {
      get state() {
        return cell.state;
      },
      step(signal, ctx) {
        around({ machine, signal, ctx, state, step: (seen) => reacts[signal]!(seen) });
      },
    });
  }
  return {
    host: (state) => of('host', HOST_SIGNALS, inner.host(state)),
    vm: (state, id) => of('vm', VM_SIGNALS, inner.vm(state, id)),
    vcpu: (state, id) => of('vcpu', VCPU_SIGNALS, inner.vcpu(state, id)),
  };
}
