/**
 * The kernel's clock reads during one input: as told with it, or derived from its instant and the
 * host's timekeepers.
 */
import type { Observation, ReadingName } from '../../events/index.ts';
import {
  type BaseClock,
  baseAt,
  gtodIsBasedOnTsc,
  type HostState,
  realtimeAt,
  type VcpuState,
} from '../clock/index.ts';
import { asU64, isBefore } from '../num/index.ts';
import type { Switches } from '../profiles/index.ts';
import type { InputHead } from './input-shape.ts';

/** Where in an input a clock is read. */
export interface ReadingPlace {
  /** The vCPU whose turn it is, as it is now. */
  readonly vcpu: Readonly<VcpuState> | undefined;
  /** What was observed of this input so far, of what the world shows. */
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
  /** The input's instant. */
  readonly tsc: bigint;
  readonly switches: Switches;
  readonly host: Readonly<HostState>;
  readonly vcpu: Readonly<VcpuState> | undefined;
  read(name: ReadingName): bigint;
}

/** The time of an instant that was itself read. */
const baseAtReading = (here: Here, tsc: ReadingName, base: BaseClock): bigint =>
  baseAt(here.host, here.read(tsc), base);

const largest = (a: bigint, b: bigint): bigint => (a > b ? a : b);

const atInstant = ({ tsc }: Here): bigint => tsc;

/** The kernel never reads a TSC before its timekeepers' last: it takes the later of the two. */
const ofTimekeeper = ({ tsc, host }: Here): bigint =>
  isBefore(tsc, host.rawCycleLast) ? host.rawCycleLast : tsc;

/** `kvm_get_time_and_clockread()`, where the host's clock is the TSC; else two reads. */
const isOneRead = ({ host, switches }: Here): boolean =>
  gtodIsBasedOnTsc(host.vclockMode, switches);
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
      : baseAt(here.host, here.tsc, here.switches.otherBase),
  'enable.tsc': atInstant,
  'getClock.tsc': atInstant,
  'getClock.ns': (here) => baseAtReading(here, 'getClock.tsc', here.switches.otherBase),
  'realtime.ns': (here) => realtimeAt(here.host, here.read('getClock.tsc')),
  'wallClock.ns': ({ host, tsc }) => realtimeAt(host, tsc),
  'setClock.ns': ({ host, tsc, switches }) => baseAt(host, tsc, switches.otherBase),
  'restart.ns': ({ host, tsc, switches }) => baseAt(host, tsc, switches.otherBase),
  'timer.tsc': (here) => here.read('getClock.tsc'),
  // A thread that did not wait since the last time it was asked.
  run_delay: ({ vcpu }) => largest(vcpu?.lastSteal ?? 0n, vcpu?.xenLastSteal ?? 0n),
};

/** What the reads of an input depend on, as it is when one is asked for. */
interface ReadingScope {
  readonly head: Readonly<InputHead>;
  readonly switches: Switches;
  readonly host: Readonly<HostState>;
  /** The vCPU whose turn it is, if any. */
  readonly subject: Readonly<VcpuState> | undefined;
  readonly observations: readonly Observation[];
}

const NAMES = Object.keys(DERIVATIONS) as ReadingName[];
const INDEX = new Map(NAMES.map((name, index) => [name, index]));
const DERIVATION = NAMES.map((name) => DERIVATIONS[name]);
/** A bit for each that is the input's instant, as most are. */
const INSTANTS = DERIVATION.reduce(
  (mask, derive, index) => (derive === atInstant ? mask | (1 << index) : mask),
  0,
);
const isInstant = (index: number): boolean => (INSTANTS & (1 << index)) !== 0;
const FIRST = NAMES[0]!;

/** The clock reads of one input after the other; a value is found by the place of its name. */
export class ReadingsOf implements Here, ReadingPlace {
  private readonly scope: ReadingScope;
  private source: ReadingSource | undefined = undefined;
  /** The turn of the vCPU at this place in the order of creation: it reads its own clocks. */
  private place = 0;
  /** A bit for each that was read in this turn, and what it gave. */
  private known = 0;
  /** The clock that was asked for last, mostly asked for again, and its place among the names. */
  private lastName: ReadingName = FIRST;
  private lastIndex = 0;
  private readonly values = new BigUint64Array(NAMES.length);
  /** How often each was derived, over all inputs. */
  private readonly derivedTimes = new Float64Array(NAMES.length);

  constructor(scope: ReadingScope) {
    this.scope = scope;
  }

  /** Another input begins. */
  begin(source: ReadingSource | undefined): void {
    if (this.source !== source) this.source = source;
    this.place = 0;
    this.known = 0;
  }

  /** Another input begins, with the source and the turn of the one before. */
  again(): void {
    this.known = 0;
  }

  get tsc(): bigint {
    return this.scope.head.tsc;
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
    if (place !== this.place) this.known = 0;
    this.place = place;
  }

  /** A clock read; the same each time within one turn. */
  read(name: ReadingName): bigint {
    const index = this.indexOf(name);
    // What was read goes through its cell: a bigint that a call returns is allocated.
    if ((this.known & (1 << index)) === 0) this.find(name, index);
    return this.values[index]!;
  }

  private find(name: ReadingName, index: number): void {
    const told = this.isTold ? this.tellOf(name) : undefined;
    if (told === undefined) this.derive(index);
    else this.values[index] = told;
    this.known |= 1 << index;
  }

  /** Somebody may tell what this input's reads gave. */
  private get isTold(): boolean {
    return this.source !== undefined || this.scope.head.readings !== undefined;
  }

  private indexOf(name: ReadingName): number {
    if (name !== this.lastName) {
      this.lastName = name;
      this.lastIndex = INDEX.get(name)!;
    }
    return this.lastIndex;
  }

  private derive(index: number): void {
    this.derivedTimes[index]! += 1;
    if (isInstant(index)) this.values[index] = this.tsc;
    else this.values[index] = DERIVATION[index]!(this);
  }

  /** So many more reads of a clock were derived, by inputs that were left out. */
  addDerived(name: ReadingName, times: number): void {
    this.derivedTimes[this.indexOf(name)]! += times;
  }

  /** How many reads of each name were derived, over all inputs. */
  get derived(): ReadonlyMap<ReadingName, number> {
    const { derivedTimes } = this;
    return new Map(
      NAMES.map((name, index) => [name, derivedTimes[index]!] as const).filter(
        ([, times]) => times > 0,
      ),
    );
  }

  private tellOf(name: ReadingName): bigint | undefined {
    const { source } = this;
    const value = this.scope.head.readings?.[name];
    const mine = typeof value === 'bigint' || value === undefined ? value : value[this.place];
    if (mine !== undefined || source === undefined) return mine;
    const found = source(name, this);
    return found === undefined ? undefined : asU64(found);
  }
}
