/**
 * Machines as live XState actors: for step-through, the inspector and teaching.
 *
 * Every transition works on a copy of the struct, so that snapshots an inspector keeps stay as they
 * were. After it, the active states are written into the struct's header.
 */
import {
  type AnyActorScope,
  type AnyMachineSnapshot,
  type AnyStateMachine,
  createActor,
  type InspectionEvent,
  type Observer,
} from 'xstate';
import {
  HOST_SIGNALS,
  type Holder,
  hostMachine,
  VCPU_SIGNALS,
  VM_SIGNALS,
  vcpuMachine,
  vmMachine,
} from '../../machines/index.ts';
import type { Ctx } from '../clock/index.ts';
import type { StructBase } from '../num/index.ts';
import { readModes, writeModes } from './modes.ts';
import { cellOf, type Machine, type Stepper } from './stepper.ts';

/** Sees everything that happens to the actors: XState's inspection protocol. */
export type Inspect = Observer<InspectionEvent> | ((event: InspectionEvent) => void);

/** @internal The machine, but each transition starts from a copy and ends with the header written. */
export function onCopies<M extends AnyStateMachine>(machine: M): M {
  const derived: M = Object.create(machine) as M;
  derived.transition = (snapshot: AnyMachineSnapshot, event, scope: AnyActorScope) => {
    const copy = (snapshot.context as Holder<StructBase>).s.clone();
    const next = machine.transition({ ...snapshot, context: { s: copy } }, event, scope);
    writeModes(copy, next.value);
    return next;
  };
  return derived;
}

const HOST = onCopies(hostMachine);
const VM = onCopies(vmMachine);
const VCPU = onCopies(vcpuMachine);

/** One machine as an actor. @internal */
export class ActorCell<S extends StructBase, N extends string, C = Ctx>
  implements Machine<S, N, C>
{
  readonly #actor;
  #failure: unknown;

  constructor(machine: AnyStateMachine, state: S, id: string, inspect: Inspect | undefined) {
    const value = readModes(state, Object.keys(machine.states));
    const snapshot = machine.resolveState({ value, context: { s: state } });
    this.#actor = createActor(machine, {
      id,
      snapshot,
      input: { s: state },
      ...(inspect === undefined ? {} : { inspect }),
    });
    this.#actor.subscribe({
      error: (failure) => {
        this.#failure = failure;
      },
    });
    this.#actor.start();
  }

  get state(): S {
    return (this.#actor.getSnapshot().context as Holder<S>).s;
  }

  step(signal: N, ctx: C): void {
    this.#actor.send({ type: signal, ctx });
    if (this.#failure !== undefined) throw this.#failure;
  }
}

/**
 * Steps machines as XState actors.
 *
 * @param inspect - sees every signal and snapshot.
 */
export const actorStepper = (inspect?: Inspect): Stepper => ({
  host: (state) => cellOf(HOST_SIGNALS, new ActorCell(HOST, state, 'host', inspect)),
  vm: (state, id) => cellOf(VM_SIGNALS, new ActorCell(VM, state, id, inspect)),
  vcpu: (state, id) => cellOf(VCPU_SIGNALS, new ActorCell(VCPU, state, id, inspect)),
});
