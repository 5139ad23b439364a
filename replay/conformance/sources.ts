/** What the adoptions of clock reads share: the step at hand, and what is known beside it. */
import type { World } from '../../src/engine/index.ts';
import { asS64 } from '../../src/num/index.ts';
import type { ClockEvent } from '../assimilate/tracepoints.ts';
import { type Action, type SeenClock, wide } from './action.ts';
import type { PlacedStep } from './fds.ts';
import type { Future } from './future.ts';
import type { TimeSpan, TscWindow } from './instants.ts';
import type { Adoption, Tally } from './tally.ts';

/** What an adoption needs to know of the step at hand. */
export interface Here {
  readonly placed: PlacedStep;
  /** Clock tracepoints of this step that earlier inputs of it predicted. */
  readonly settled: number;
  /** Where its TSC reads lie. */
  readonly window: TscWindow;
  readonly vm: number | undefined;
  /** The instant of the base clock at a host TSC to come, if the clocks are known there. */
  readonly baseAt: (hostTsc: bigint) => bigint;
  /** The host TSC of a timestamp of the trace. */
  readonly tscAt: (timestamp: bigint) => bigint;
  /** The clocks are steered and no probe shows how. */
  readonly clocksUnknown: boolean;
  /** The clocks went on from an unknown place, which a snapshot shows. */
  readonly mustCalibrate: boolean;
  /** Between which times of a clock the step lies, by the driver's own reads. */
  readonly timesOf: (clock: 'base' | 'realtime') => TimeSpan;
  /** Whether a value can be a TSC of this recording: that of a vCPU whose ratio is 0 cannot. */
  readonly isHostTsc: (tsc: bigint) => boolean;
  /** The next KVM_GET_CLOCK of this VM with masterclock, before its clock is set. */
  readonly nextMasterClock: () => { clock: SeenClock; action: Action } | undefined;
  /** Tells by how much the clocks are off, ns. */
  readonly calibrate: (error: bigint) => void;
  /** Tells that the KVM_GET_CLOCK seen after an action was used. */
  readonly useClock: (action: Action) => void;
}

/** Where clock reads are taken from. */
export class Sources {
  readonly world: World;
  readonly future: Future;
  readonly tally: Tally;
  /** Tells of a value that lies outside the span in which it must have been read. */
  readonly outOfBounds: (kind: Adoption, value: bigint, here: Here) => void;

  constructor(
    world: World,
    future: Future,
    tally: Tally,
    outOfBounds: (kind: Adoption, value: bigint, here: Here) => void,
  ) {
    this.world = world;
    this.future = future;
    this.tally = tally;
    this.outOfBounds = outOfBounds;
  }

  adopt(kind: Adoption, value: bigint): bigint {
    this.tally.adopt(kind);
    return value;
  }

  /** The same for a time, which must lie where the driver's own reads of that clock put it. */
  adoptNs(kind: Adoption, value: bigint, here: Here, clock: 'base' | 'realtime'): bigint {
    const { least, most } = here.timesOf(clock);
    const ns = BigInt.asUintN(64, value);
    if (asS64(ns - least) < 0n || asS64(most - ns) < 0n) this.outOfBounds(kind, ns, here);
    return this.adopt(kind, ns);
  }

  /** The next recorded event of a kind in this step. */
  nextEvent<T extends ClockEvent['type']>(
    here: Here,
    next: number,
    type: T,
  ): Extract<ClockEvent, { type: T }> | undefined {
    const { recorded } = here.placed.step;
    return recorded.slice(next).find((event) => event.type === type) as
      | Extract<ClockEvent, { type: T }>
      | undefined;
  }

  /** Value written, by whatever writes one. */
  written(here: Here): bigint {
    const { step, action } = here.placed;
    if (step.kind === 'msr') return step.event.data;
    const value = action?.op === 'KVM_SET_MSRS' ? action.args['value'] : undefined;
    return wide(value) ?? 0n;
  }

  vmState(here: Here) {
    return here.vm === undefined ? undefined : this.world.vms.get(here.vm)?.cell.state;
  }
}

/** An offset that pushes the TSC forward; one that lets it go on from where it was goes back. */
export const isPush = (event: Extract<ClockEvent, { type: 'kvm_write_tsc_offset' }>): boolean =>
  asS64(event.nextTscOffset - event.previousTscOffset) > 0n;

/** The fewest cycles that a pvclock scale counts as `ns`. */
export function cyclesOf(ns: bigint, mul: number, shift: number): bigint | undefined {
  if (ns < 0n || shift > 0 || mul === 0) return undefined;
  const shifted = ((ns << 32n) + BigInt(mul) - 1n) / BigInt(mul);
  return shifted << BigInt(-shift);
}
