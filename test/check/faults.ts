/** Machines with one mistake, to see that somebody notices. */
import type { Observation } from '../../events/index.ts';
import type { Ctx, HostState, SeenOf, VcpuState, VmState } from '../../src/clock/index.ts';
import { actorStepper, type Cell, type Stepper } from '../../src/engine/index.ts';

type Seen = SeenOf<Observation>;

/** A mistake in what a machine does at a signal. */
interface FaultOf<S> {
  readonly signal: string;
  /** The struct afterwards. */
  readonly change?: (state: S) => void;
  /** What is seen instead; nothing when undefined. */
  readonly show?: (seen: Seen) => Seen | undefined;
}

/** A mistake in one of the machines. */
export type Fault =
  | ({ readonly level: 'host' } & FaultOf<HostState>)
  | ({ readonly level: 'vm' } & FaultOf<VmState>)
  | ({ readonly level: 'vcpu' } & FaultOf<VcpuState>);

/** A context whose `out` shows something else. The context's own members are read through. */
function lying(ctx: Ctx, show: NonNullable<FaultOf<unknown>['show']>): Ctx {
  const { out } = ctx;
  const emit = (seen: Seen): void => {
    const shown = show(seen);
    if (shown !== undefined) out.emit(shown);
  };
  const considered: Ctx['out']['considered'] = (decision, by) => {
    out.considered(decision, by);
  };
  return Object.create(ctx, { out: { value: { emit, considered } } }) as Ctx;
}

function faulty<S, N extends string>(cell: Cell<S, N>, fault: FaultOf<S>): Cell<S, N> {
  return {
    get state() {
      return cell.state;
    },
    step(signal, ctx) {
      if (signal !== fault.signal) {
        cell.step(signal, ctx);
        return;
      }
      cell.step(signal, fault.show === undefined ? ctx : lying(ctx, fault.show));
      // The struct of an actor's snapshot: its next transition starts from a copy of it.
      fault.change?.(cell.state);
    },
  };
}

/** XState actors, one of them with a mistake. */
export function stepperWith(fault: Fault): Stepper {
  const right = actorStepper();
  return {
    host: (state) =>
      fault.level === 'host' ? faulty(right.host(state), fault) : right.host(state),
    vm: (state, id) =>
      fault.level === 'vm' ? faulty(right.vm(state, id), fault) : right.vm(state, id),
    vcpu: (state, id) =>
      fault.level === 'vcpu' ? faulty(right.vcpu(state, id), fault) : right.vcpu(state, id),
  };
}
