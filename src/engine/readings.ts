/**
 * The kernel's clock reads during one input: as told with it, or derived from its instant and the
 * host's timekeepers.
 */
import type { Input, Observation, ReadingName } from '../../events/index.ts';
import {
  type BaseClock,
  baseAt,
  type HostState,
  realtimeAt,
  type VcpuState,
} from '../clock/index.ts';
import { isBefore } from '../num/index.ts';
import type { Switches } from '../profiles/index.ts';

/** Where in an input a clock is read. */
export interface ReadingPlace {
  /** The vCPU whose turn it is, as it is now. */
  readonly vcpu: Readonly<VcpuState> | undefined;
  /** What was observed of this input so far. */
  readonly observed: readonly Observation[];
  /** Another read of this input. */
  readonly read: (name: ReadingName) => bigint;
}

/**
 * Told what a clock read returned when the input itself does not say.
 *
 * @returns `undefined` to have it derived.
 */
export type ReadingSource = (name: ReadingName, place: ReadingPlace) => bigint | undefined;

/** What a derivation may use. */
interface Here {
  readonly input: Input;
  readonly switches: Switches;
  readonly host: Readonly<HostState>;
  readonly vcpu: Readonly<VcpuState> | undefined;
  readonly read: (name: ReadingName) => bigint;
}

/** The time of an instant that was itself read. */
const baseAtReading = (here: Here, tsc: ReadingName, base: BaseClock): bigint =>
  baseAt(here.host, here.read(tsc), base);

const atInstant = ({ input }: Here): bigint => input.tsc;

const DERIVATIONS: Readonly<Record<ReadingName, (here: Here) => bigint>> = {
  // The kernel never reads a TSC before its timekeepers' last: it takes the later of the two.
  'snapshot.tsc': ({ input, host }) =>
    isBefore(input.tsc, host.rawCycleLast) ? host.rawCycleLast : input.tsc,
  'snapshot.ns': (here) => baseAtReading(here, 'snapshot.tsc', here.switches.masterBase),
  'sync.tsc': atInstant,
  'sync.ns': (here) => baseAtReading(here, 'sync.tsc', here.switches.otherBase),
  'sync.tsc2': (here) => here.read('sync.tsc'),
  'write.tsc': atInstant,
  'load.tsc': atInstant,
  'load.tsc2': (here) => here.read('load.tsc'),
  'put.tsc': atInstant,
  'exit.tsc': atInstant,
  'update.tsc': atInstant,
  'update.ns': (here) => baseAtReading(here, 'update.tsc', here.switches.otherBase),
  'create.ns': ({ host, input, switches }) => baseAt(host, input.tsc, switches.otherBase),
  'enable.tsc': atInstant,
  'getClock.tsc': atInstant,
  'getClock.ns': (here) => baseAtReading(here, 'getClock.tsc', here.switches.otherBase),
  'realtime.ns': (here) => realtimeAt(here.host, here.read('getClock.tsc')),
  'setClock.ns': ({ host, input, switches }) => baseAt(host, input.tsc, switches.otherBase),
  run_delay: ({ vcpu }) => vcpu?.lastSteal ?? 0n,
};

/** What the reads of an input depend on, as it is when one is asked for. */
export interface ReadingScope {
  readonly input: Input;
  readonly switches: Switches;
  readonly host: Readonly<HostState>;
  /** The vCPU whose turn it is, if any. */
  readonly subject: Readonly<VcpuState> | undefined;
  readonly observations: readonly Observation[];
}

/** All reads of one input: few, so that they are found by looking through them. */
export class ReadingsOf {
  /** Those that were derived, in order; once for each turn. */
  readonly derived: ReadingName[] = [];
  readonly #scope: ReadingScope;
  readonly #source: ReadingSource | undefined;
  readonly #names: ReadingName[] = [];
  readonly #values: bigint[] = [];
  #turn: number;

  constructor(scope: ReadingScope, source: ReadingSource | undefined, turn: number) {
    this.#scope = scope;
    this.#source = source;
    this.#turn = turn;
  }

  /** The turn of the vCPU at this place in the order of creation: it reads its own clocks. */
  turn(index: number): void {
    if (index !== this.#turn) this.#names.length = this.#values.length = 0;
    this.#turn = index;
  }

  /** A clock read; the same each time within one turn. */
  read(name: ReadingName): bigint {
    const known = this.#names.indexOf(name);
    if (known >= 0) return this.#values[known]!;
    const value = this.#told(name) ?? this.#derive(name);
    this.#names.push(name);
    this.#values.push(value);
    return value;
  }

  #told(name: ReadingName): bigint | undefined {
    const { input } = this.#scope;
    if (input.readings === undefined && this.#source === undefined) return undefined;
    const told = input.readings?.[name];
    const mine = typeof told === 'bigint' || told === undefined ? told : told[this.#turn];
    return mine ?? this.#source?.(name, this.#place());
  }

  #place(): ReadingPlace {
    const scope = this.#scope;
    return {
      get observed() {
        return scope.observations;
      },
      read: (name) => this.read(name),
      get vcpu() {
        return scope.subject;
      },
    };
  }

  #derive(name: ReadingName): bigint {
    const { input, switches, host, subject } = this.#scope;
    this.derived.push(name);
    const here: Here = { input, switches, host, vcpu: subject, read: (other) => this.read(other) };
    return BigInt.asUintN(64, DERIVATIONS[name](here));
  }
}

/** How many reads of each name. */
export function countReads(names: readonly ReadingName[]): ReadonlyMap<ReadingName, number> {
  const counts = new Map<ReadingName, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return counts;
}
