/**
 * A world to play with: dispatch inputs one by one, look at the active states, follow what can be
 * seen as streams, and attach XState's inspector.
 *
 * ```ts
 * const clock = live({ profile: 'v6.8', host: { tscKhz: 2_500_000 } });
 * clock.observations$.subscribe((seen) => console.log(seen.type));
 * clock.dispatch({ type: 'KVM_CREATE_VM', vm: 0, tsc: 1_000n });
 * clock.dispatch({ type: 'KVM_CREATE_VCPU', vm: 0, vcpu: 0, cpu: 0, tsc: 2_000n });
 * clock.dispatch({ type: 'vcpu_postcreate', vm: 0, vcpu: 0, tsc: 3_000n });
 * clock.states().vms[0]?.states['masterclock']; // 'off.unmatched'
 * clock.complete();
 * ```
 */
import { type Observable, Subject } from 'rxjs';
import type { Input, Observation } from '../../events/index.ts';
import { hostMachine, vcpuMachine, vmMachine } from '../../machines/index.ts';
import type { StructBase } from '../num/index.ts';
import { type Profile, profile, type Switches, withSwitches } from '../profiles/index.ts';
import { actorStepper, type Inspect } from './actor-stepper.ts';
import { type HostOptions, makeHost } from './host-options.ts';
import { type PersistedWorld, restore } from './persist.ts';
import { type Dispatched, World } from './world.ts';

/** What every live world has. */
interface LiveBasics {
  /** Id of a profile: `v6.8`. */
  readonly profile: string;
  /** Sees every signal and snapshot of every machine: XState's inspection protocol. */
  readonly inspect?: Inspect;
}

/** A live world to begin with. */
interface NewLive extends LiveBasics {
  /** Switches set otherwise than that kernel has them. */
  readonly set?: Partial<Switches>;
  readonly host: HostOptions;
  readonly from?: undefined;
}

/** One that goes on. */
interface SavedLive extends LiveBasics {
  /** What `persist` of a world told; its switches count, and `profile` is what they are told against. */
  readonly from: PersistedWorld;
}

/** What a live world is made of. */
export type LiveOptions = NewLive | SavedLive;

/** The active state of each region of a machine; nested ones with dots. */
export type ActiveStates = Readonly<Record<string, string>>;

/** The active states of a world, as plain data. VMs and vCPUs are in the order of their creation. */
export interface LiveStates {
  readonly host: ActiveStates;
  readonly vms: readonly {
    readonly vm: number;
    readonly states: ActiveStates;
    readonly vcpus: readonly { readonly vcpu: number; readonly states: ActiveStates }[];
  }[];
}

/** A live world. */
export interface Live {
  readonly profile: Profile;
  /** The world itself, for its structs. */
  readonly world: World;
  /** Each observation, in order, after its input is done. */
  readonly observations$: Observable<Observation>;
  /** What each input came to, after its observations. */
  readonly dispatched$: Observable<Dispatched>;
  /**
   * Lets something happen.
   *
   * @throws InputError when it cannot have happened, and nothing was changed: the streams go on.
   * @throws TypeError after `complete`.
   */
  dispatch(input: Input): Dispatched;
  states(): LiveStates;
  /** Ends the streams. */
  complete(): void;
}

const statesOf = (struct: StructBase, machine: { readonly states: object }): ActiveStates =>
  Object.fromEntries(
    Object.keys(machine.states).map((region) => [
      region,
      (struct as unknown as Readonly<Record<string, string>>)[region]!,
    ]),
  );

const statesOfWorld = (world: World): LiveStates => ({
  host: statesOf(world.host, hostMachine),
  vms: [...world.vms.values()].map(({ id, cell, vcpus }) => ({
    vm: id,
    states: statesOf(cell.state, vmMachine),
    vcpus: [...vcpus].map(([vcpu, { state }]) => ({
      vcpu,
      states: statesOf(state, vcpuMachine),
    })),
  })),
});

function worldOf(options: LiveOptions): { readonly kernel: Profile; readonly world: World } {
  const named = profile(options.profile);
  const stepper = actorStepper(options.inspect);
  if (options.from !== undefined) {
    const world = restore(options.from, { stepper });
    return { kernel: withSwitches(named, world.switches), world };
  }
  const kernel = withSwitches(named, options.set ?? {});
  const host = makeHost(options.host);
  return { kernel, world: new World({ switches: kernel.switches, host, stepper }) };
}

/**
 * Makes a live world, or goes on with one that was persisted.
 *
 * @throws UnknownProfileError, UnknownSwitchError, SwitchValueError for a profile or switches that
 * are none; RangeError for a host that cannot be; RestoreError for what is no persisted world.
 */
export function live(options: LiveOptions): Live {
  const { kernel, world } = worldOf(options);
  const observations = new Subject<Observation>();
  const dispatched = new Subject<Dispatched>();
  let completed = false;
  return {
    profile: kernel,
    world,
    observations$: observations.asObservable(),
    dispatched$: dispatched.asObservable(),
    dispatch(input) {
      if (completed) throw new TypeError('expected a live world, found one that was completed');
      const done = world.dispatch(input);
      for (const seen of done.observations) observations.next(seen);
      dispatched.next(done);
      return done;
    },
    states: () => statesOfWorld(world),
    complete() {
      completed = true;
      observations.complete();
      dispatched.complete();
    },
  };
}
