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
export interface ReadingScope extends Omit<ReadingPlace, 'read'> {
  readonly input: Input;
  readonly switches: Switches;
  readonly host: Readonly<HostState>;
}

/** All reads of one input. */
export class ReadingsOf {
  /** How many were derived so far, by name. */
  readonly derived = new Map<ReadingName, number>();
  readonly #scope: ReadingScope;
  readonly #place: ReadingPlace;
  readonly #source: ReadingSource | undefined;
  readonly #known = new Map<ReadingName, bigint>();
  #turn = 0;

  constructor(scope: ReadingScope, source: ReadingSource | undefined) {
    const { read } = this;
    this.#scope = scope;
    this.#source = source;
    this.#place = {
      observed: scope.observed,
      read,
      get vcpu() {
        return scope.vcpu;
      },
    };
  }

  /** The turn of the vCPU at this place in the order of creation: it reads its own clocks. */
  turn(index: number): void {
    if (index !== this.#turn) this.#known.clear();
    this.#turn = index;
  }

  /** A clock read; the same each time within one turn. */
  readonly read = (name: ReadingName): bigint => {
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    const value = this.#told(name) ?? this.#derive(name);
    this.#known.set(name, value);
    return value;
  };

  #told(name: ReadingName): bigint | undefined {
    const told = this.#scope.input.readings?.[name];
    const mine = typeof told === 'bigint' || told === undefined ? told : told[this.#turn];
    return mine ?? this.#source?.(name, this.#place);
  }

  #derive(name: ReadingName): bigint {
    const { input, switches, host, vcpu } = this.#scope;
    this.derived.set(name, (this.derived.get(name) ?? 0) + 1);
    const here: Here = { input, switches, host, vcpu, read: this.read };
    return BigInt.asUintN(64, DERIVATIONS[name](here));
  }
}
