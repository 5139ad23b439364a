/** Machines with one mistake, to see that somebody notices. */
import type { Observation } from '../../events/index.ts';
import type { Ctx, HostState, VcpuState, VmState } from '../../src/clock/index.ts';
import { actorStepper, type Stepper } from '../../src/engine/index.ts';
import type { StructBase } from '../../src/num/index.ts';
import { aroundEach } from '../engine/around.ts';

/** A mistake in what a machine does at a signal. */
interface FaultOf<S> {
  readonly signal: string;
  /** The struct afterwards. */
  readonly change?: (state: S) => void;
  /** What is seen instead; nothing when undefined. */
  readonly show?: (seen: Observation) => Observation | undefined;
}

/** A mistake in one of the machines. */
export type Fault =
  | ({ readonly level: 'host' } & FaultOf<HostState>)
  | ({ readonly level: 'vm' } & FaultOf<VmState>)
  | ({ readonly level: 'vcpu' } & FaultOf<VcpuState>);

/** A context whose `out` shows something else. The context's own members are read through. */
function lying(ctx: Ctx, show: NonNullable<FaultOf<unknown>['show']>): Ctx {
  const { out } = ctx;
  const emit = (seen: Observation): void => {
    const shown = show(seen);
    if (shown !== undefined) out.emit(shown);
  };
  const considered: Ctx['out']['considered'] = (decision, by) => {
    out.considered(decision, by);
  };
  return Object.create(ctx, { out: { value: { seesWrites: true, emit, considered } } }) as Ctx;
}

/** XState actors, one of them with a mistake. */
export const stepperWith = (fault: Fault): Stepper =>
  aroundEach(actorStepper(), ({ machine, signal, ctx, state, step }) => {
    if (machine !== fault.level || signal !== fault.signal) {
      step(ctx);
      return;
    }
    step(fault.show === undefined ? ctx : lying(ctx, fault.show));
    // The struct of an actor's snapshot: its next transition starts from a copy of it.
    const change = fault.change as ((state: StructBase) => void) | undefined;
    change?.(state());
  });
