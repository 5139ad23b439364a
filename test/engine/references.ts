/**
 * Histories as actors lived them, with what was true after each input, to find out whether tables
 * with a mistake differ; and which places of the tables each history comes to.
 */
import fc from 'fast-check';
import type { Input } from '../../events/index.ts';
import {
  type Ctx,
  type HostState,
  hostGuards,
  hostRecipes,
  vcpuGuards,
  vcpuRecipes,
  vmGuards,
  vmRecipes,
} from '../../src/clock/index.ts';
import type { Decision } from '../../src/engine/derive/index.ts';
import {
  actorStepper,
  type Dispatched,
  InputError,
  type Stepper,
  tableStepper,
  World,
} from '../../src/engine/index.ts';
import type { StructBase } from '../../src/num/index.ts';
import type { Switches } from '../../src/profiles/index.ts';
import { tellStory } from '../check/story.ts';
import { HISTORY_PROFILES, histories, runs } from './arbitraries.ts';
import { aroundEach } from './around.ts';
import { PLAIN_HOST, Teller } from './directed.ts';
import { type Footprint, join, newFootprint, tread } from './footprint.ts';
import { Footsteps } from './footsteps.ts';
import { newWorld, play } from './history.ts';
import { type Spot, spotText, TABLES, type Tables } from './table-faults.ts';
import { type NewTeller, STORIES, STORY_HOST, tellRareThings } from './told.ts';
import { markOf } from './twins.ts';

/** One history. */
export interface Reference {
  readonly switches: Switches;
  readonly host: HostState;
  readonly inputs: readonly Input[];
  /** After each input: everything that can be seen of it and of its steps, and a hash of all bytes. */
  readonly marks: readonly string[];
}

/** Everything that a history records as it happens. */
class Recording implements Reference {
  readonly switches: Switches;
  readonly host: HostState;
  readonly inputs: Input[] = [];
  readonly marks: string[] = [];
  readonly #steps: Footsteps;

  constructor(world: World, steps: Footsteps) {
    this.#steps = steps;
    this.switches = world.switches;
    this.host = world.host.clone();
  }

  note(input: Input, dispatched: Dispatched, world: World): void {
    this.inputs.push(input);
    this.marks.push(markOf(dispatched, this.#steps, world));
  }
}

/** Histories of all profiles, and the told ones. */
export function references(each: number): Reference[] {
  const all: Recording[] = [];
  for (const id of HISTORY_PROFILES) {
    for (const spec of fc.sample(histories(120, [id]), runs(each))) {
      const steps = new Footsteps(actorStepper());
      const world = newWorld(spec, steps.stepper);
      const recording = new Recording(world, steps);
      all.push(recording);
      play(spec, { after: (...what) => recording.note(...what) }, world);
    }
  }
  const teller: NewTeller = (id, host = PLAIN_HOST) => {
    const steps = new Footsteps(actorStepper());
    const t = new Teller(id, host, steps.stepper);
    const recording = new Recording(t.world, steps);
    all.push(recording);
    t.heard = (input, dispatched) => recording.note(input, dispatched, t.world);
    return t;
  };
  tellRareThings(teller);
  for (const id of HISTORY_PROFILES) {
    tellStory(teller(id));
    for (const tell of Object.values(STORIES)) {
      tell(teller(id, STORY_HOST).boot(1));
    }
  }
  return all;
}

const worldOf = ({ switches, host }: Reference, stepper: Stepper): World =>
  new World({ switches, host, stepper });

/** Whether a world stepped in this way differs from the history somewhere. */
export function differs(reference: Reference, stepper: Stepper): boolean {
  const steps = new Footsteps(stepper);
  const world = worldOf(reference, steps.stepper);
  return reference.inputs.some((input, index) => {
    try {
      return markOf(world.dispatch(input), steps, world) !== reference.marks[index];
    } catch (error) {
      // What the actors let happen is impossible now, or a recipe meets what it cannot.
      if (error instanceof InputError || error instanceof TypeError) return true;
      throw error;
    }
  });
}

type Code = Readonly<Record<string, (self: StructBase, ctx: Ctx) => unknown>>;

const CODE = {
  host: { guards: hostGuards, recipes: hostRecipes },
  vm: { guards: vmGuards, recipes: vmRecipes },
  vcpu: { guards: vcpuGuards, recipes: vcpuRecipes },
} as const;

/** Which places histories come to, and what recipes touch there. */
export class Visits {
  /** Places → the histories that come to them. */
  readonly places = new Map<string, Set<Reference>>();
  /** Places, and recipes there, that ever had an effect: bytes, state, something shown or read. */
  readonly #busy = new Set<string>();
  readonly #prints = new Map<string, Footprint>();

  constructor(all: readonly Reference[]) {
    for (const reference of all) {
      const world = worldOf(reference, this.#watched(reference));
      for (const input of reference.inputs) world.dispatch(input);
    }
  }

  /** The histories that come to a place or one below it. */
  at(spot: Spot): Reference[] {
    const from = spotText(spot);
    const found = [...this.places].filter(([place]) => place.startsWith(from));
    return [...new Set(found.flatMap(([, histories]) => [...histories]))];
  }

  /** Whether a recipe ever had an effect there. */
  isBusy(spot: Spot, recipe: string): boolean {
    return this.#busy.has(`${spotText(spot)} ${recipe}`);
  }

  /** Whether anything ever had an effect at a place or below it. */
  isEverBusy(spot: Spot): boolean {
    const from = spotText(spot);
    return [...this.#busy].some((place) => place.startsWith(from));
  }

  footprint(machine: keyof Tables, recipe: string): Footprint {
    const name = `${machine}.${recipe}`;
    const print = this.#prints.get(name) ?? newFootprint();
    this.#prints.set(name, print);
    return print;
  }

  #watched(reference: Reference): Stepper {
    return aroundEach(tableStepper(), ({ machine, signal, ctx, state, step }) => {
      const self = state();
      for (const [region, states] of Object.entries(TABLES[machine].regions)) {
        const active = (self as unknown as Readonly<Record<string, string>>)[region]!;
        const decision = states[active]?.[signal];
        if (decision === undefined) continue;
        const spot = { machine, region, state: active, signal, path: '' };
        this.#visit(spot, decision, self, ctx, reference);
      }
      step(ctx);
    });
  }

  #visit(spot: Spot, decision: Decision, self: StructBase, ctx: Ctx, reference: Reference): void {
    const { guards, recipes } = CODE[spot.machine] as unknown as { guards: Code; recipes: Code };
    if ('ask' in decision) {
      const answer = guards[decision.ask]!(self, ctx) as boolean;
      const path = `${spot.path}${answer ? 'y' : 'n'}`;
      this.#visit({ ...spot, path }, answer ? decision.yes : decision.no, self, ctx, reference);
      return;
    }
    const place = spotText(spot);
    const histories = this.places.get(place) ?? new Set();
    this.places.set(place, histories.add(reference));
    if (decision.to !== undefined) this.#busy.add(place);
    const copy = self.clone();
    for (const name of decision.run) {
      const before = copy.clone();
      const print = tread(recipes[name]!, copy, ctx, spot.machine);
      join(this.footprint(spot.machine, name), print);
      if (print.shows || print.readsClock || !copy.equals(before)) {
        this.#busy.add(place).add(`${place} ${name}`);
      }
    }
  }
}
