/**
 * Histories that can happen: each input is chosen among those that the world as it stands allows.
 */
import type { Input } from '../../events/index.ts';
import { type Dispatched, makeHost, type Stepper, World } from '../../src/engine/index.ts';
import { profile } from '../../src/profiles/index.ts';
import { Dice } from './dice.ts';
import { GUEST_MOVES } from './guest-moves.ts';
import { type Here, lookAround } from './here.ts';
import { HOST_MOVES, type Move, sleepOn } from './host-moves.ts';

/** What a history starts from, and its choices. */
export interface HistorySpec {
  readonly profile: string;
  readonly host: {
    readonly tscKhz: number;
    readonly vendor: 'vmx' | 'svm';
    readonly hasTscControl: boolean;
    readonly constantTsc: boolean;
    /** How far KVM's copy of the frequency is off, kHz. */
    readonly staleKhz: number;
    /** VMX's preemption timer runs deadlines. */
    readonly preemptionTimer?: boolean;
  };
  /** One number for each input. */
  readonly steps: readonly number[];
}

const MOVES: readonly Move[] = [...HOST_MOVES, ...GUEST_MOVES];

/** Cycles between two inputs, in kHz of the TSC: 1 µs … 10 s. */
const PAUSES = [1n, 1n, 10n, 1000n, 100_000n, 10_000_000n];

/** The move that a choice means: every choice means one, a tick if nothing else. */
function choose(here: Here): Input {
  if (here.world.host.power !== 'running') return sleepOn(here);
  const total = MOVES.reduce((sum, { weight }) => sum + weight, 0);
  for (let attempt = 0; attempt < 20; attempt += 1) {
    let at = here.dice.below(total);
    for (const { weight, make } of MOVES) {
      at -= weight;
      if (at >= 0) continue;
      const input = make(here);
      if (input !== undefined) return input;
      break;
    }
  }
  return HOST_MOVES[0]!.make(here)!;
}

/** The world a history starts in. */
export function newWorld(spec: HistorySpec, stepper?: Stepper): World {
  const { staleKhz, preemptionTimer = false, ...options } = spec.host;
  const host = makeHost({
    ...options,
    ...(preemptionTimer && options.vendor === 'vmx' ? { preemptionTimerRate: 5 } : {}),
    cpuTscKhz: options.tscKhz + staleKhz,
    tsc: 5_000_000n,
    monotonicNs: 50_000_000_000n,
    monotonicRawNs: 49_999_000_000n,
    offsReal: 1_700_000_000_000_000_000n,
  });
  const { switches } = profile(spec.profile);
  return new World({ switches, host, ...(stepper === undefined ? {} : { stepper }) });
}

/** Sees each input before and after it was dispatched. */
export interface Watcher {
  readonly before?: (input: Input, world: World) => void;
  readonly after?: (input: Input, dispatched: Dispatched, world: World) => void;
}

/** Lets a history happen, in a world of its own unless one is given; returns its inputs. */
export function play(spec: HistorySpec, watch: Watcher = {}, world = newWorld(spec)): Input[] {
  const inputs: Input[] = [];
  let runDelay = 0n;
  const dispatch = (input: Input): void => {
    watch.before?.(input, world);
    const dispatched = world.dispatch(input);
    inputs.push(input);
    watch.after?.(input, dispatched, world);
  };
  for (const step of spec.steps) {
    const dice = new Dice(step);
    const last = world.count === 0 ? 5_000_000n : world.lastTsc;
    const pause = (dice.of(PAUSES) * BigInt(world.host.tscKhz)) / 1000n;
    runDelay += dice.wide(1_000_000n);
    const here = lookAround(world, dice, last + 1n + pause, runDelay);
    dispatch(choose(here));
  }
  return inputs;
}
