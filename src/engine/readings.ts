/**
 * The kernel's clock reads during one input: as told with it, or derived from its instant and the
 * host's timekeepers.
 */
import type { Input, Observation, ReadingName } from '../../events/index.ts';
import {
  type BaseClock,
  baseAt,
  type HostState,
  isTscMode,
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
  read(name: ReadingName): bigint;
}

/** The time of an instant that was itself read. */
const baseAtReading = (here: Here, tsc: ReadingName, base: BaseClock): bigint =>
  baseAt(here.host, here.read(tsc), base);

const largest = (a: bigint, b: bigint): bigint => (a > b ? a : b);

const atInstant = ({ input }: Here): bigint => input.tsc;

/** The kernel never reads a TSC before its timekeepers' last: it takes the later of the two. */
const ofTimekeeper = ({ input, host }: Here): bigint =>
  isBefore(input.tsc, host.rawCycleLast) ? host.rawCycleLast : input.tsc;

/** `kvm_get_time_and_clockread()`, where the host's clock is the TSC; else two reads. */
const isOneRead = ({ host }: Here): boolean => isTscMode(host.vclockMode);
const tscOfBoth = (here: Here): bigint => (isOneRead(here) ? ofTimekeeper(here) : atInstant(here));
const baseOfBoth = (here: Here): BaseClock =>
  isOneRead(here) ? here.switches.masterBase : here.switches.otherBase;

/** A TSC write reads TSC and clock one after the other, or both at once (rfc-v3 13, v6 19). */
const readsBoth = (here: Here): boolean => here.switches.syncRecord !== 'raw';
/** A new VM's clock starts at its base clock, or at that of the TSC generation it is seeded with. */
const seeds = (here: Here): boolean => here.switches.kvmclockOffsetInit === 'minus-snapshot';

const DERIVATIONS: Readonly<Record<ReadingName, (here: Here) => bigint>> = {
  'snapshot.tsc': ofTimekeeper,
  'snapshot.ns': (here) => baseAtReading(here, 'snapshot.tsc', here.switches.masterBase),
  'sync.tsc': (here) => (readsBoth(here) ? tscOfBoth(here) : atInstant(here)),
  'sync.ns': (here) =>
    baseAtReading(here, 'sync.tsc', readsBoth(here) ? baseOfBoth(here) : here.switches.otherBase),
  'sync.tsc2': (here) => here.read('sync.tsc'),
  'write.tsc': atInstant,
  'khz.tsc': atInstant,
  'load.tsc': atInstant,
  'load.tsc2': (here) => here.read('load.tsc'),
  'put.tsc': atInstant,
  'exit.tsc': atInstant,
  'update.tsc': atInstant,
  'update.ns': (here) => baseAtReading(here, 'update.tsc', here.switches.otherBase),
  'catchup.tsc': tscOfBoth,
  'catchup.ns': (here) => baseAtReading(here, 'catchup.tsc', baseOfBoth(here)),
  'create.tsc': tscOfBoth,
  'create.ns': (here) =>
    seeds(here)
      ? baseAtReading(here, 'create.tsc', baseOfBoth(here))
      : baseAt(here.host, here.input.tsc, here.switches.otherBase),
  'enable.tsc': atInstant,
  'getClock.tsc': atInstant,
  'getClock.ns': (here) => baseAtReading(here, 'getClock.tsc', here.switches.otherBase),
  'realtime.ns': (here) => realtimeAt(here.host, here.read('getClock.tsc')),
  'wallClock.ns': ({ host, input }) => realtimeAt(host, input.tsc),
  'setClock.ns': ({ host, input, switches }) => baseAt(host, input.tsc, switches.otherBase),
  'restart.ns': ({ host, input, switches }) => baseAt(host, input.tsc, switches.otherBase),
  'timer.tsc': (here) => here.read('getClock.tsc'),
  // A thread that did not wait since the last time it was asked.
  run_delay: ({ vcpu }) => largest(vcpu?.lastSteal ?? 0n, vcpu?.xenLastSteal ?? 0n),
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

/** One clock read; those of an input are a list. */
interface Read {
  readonly name: ReadingName;
  readonly value: bigint;
  readonly isDerived: boolean;
  /** Reads before the turn passed on are known no more. */
  readonly turns: number;
  next: Read | undefined;
}

/** All reads of one input: few, so that they are found by going through them. */
export class ReadingsOf implements Here {
  /** The turn of the vCPU at this place in the order of creation: it reads its own clocks. */
  private place: number;
  /** How often the turn passed on. */
  private turns = 0;
  private first: Read | undefined = undefined;
  private last: Read | undefined = undefined;
  private readonly scope: ReadingScope;
  private readonly source: ReadingSource | undefined;

  constructor(scope: ReadingScope, source: ReadingSource | undefined, place: number) {
    this.scope = scope;
    this.source = source;
    this.place = place;
  }

  get input(): Input {
    return this.scope.input;
  }

  get switches(): Switches {
    return this.scope.switches;
  }

  get host(): Readonly<HostState> {
    return this.scope.host;
  }

  get vcpu(): Readonly<VcpuState> | undefined {
    return this.scope.subject;
  }

  get observed(): readonly Observation[] {
    return this.scope.observations;
  }

  /** Passes the turn on to the vCPU at this place. */
  turn(place: number): void {
    if (place !== this.place) this.turns += 1;
    this.place = place;
  }

  /** A clock read; the same each time within one turn. */
  read(name: ReadingName): bigint {
    for (let known = this.first; known !== undefined; known = known.next) {
      if (known.name === name && known.turns === this.turns) return known.value;
    }
    const told = this.told(name);
    const value = told ?? BigInt.asUintN(64, DERIVATIONS[name](this));
    const { turns } = this;
    const read: Read = { name, value, isDerived: told === undefined, turns, next: undefined };
    if (this.last === undefined) this.first = read;
    else this.last.next = read;
    this.last = read;
    return value;
  }

  private told(name: ReadingName): bigint | undefined {
    const { readings } = this.scope.input;
    if (readings === undefined && this.source === undefined) return undefined;
    const told = readings?.[name];
    const mine = typeof told === 'bigint' || told === undefined ? told : told[this.place];
    return mine ?? this.source?.(name, this.seenBySource());
  }

  private seenBySource(): ReadingPlace {
    const reads = this;
    return {
      get observed() {
        return reads.observed;
      },
      get vcpu() {
        return reads.vcpu;
      },
      read: (name) => reads.read(name),
    };
  }

  /** How many reads of each name were derived. */
  derived(): ReadonlyMap<ReadingName, number> {
    const counts = new Map<ReadingName, number>();
    for (let read = this.first; read !== undefined; read = read.next) {
      if (read.isDerived) counts.set(read.name, (counts.get(read.name) ?? 0) + 1);
    }
    return counts;
  }
}
