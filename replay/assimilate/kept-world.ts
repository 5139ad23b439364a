/** A world that keeps what happens to it, for a log. */
import type { Input, ReadingName, Readings } from '../../events/index.ts';
import type { LogEntry } from '../../events/log/index.ts';
import {
  checkpointOf,
  type Dispatched,
  type ReadingSource,
  World,
  type WorldOptions,
} from '../../src/engine/index.ts';
import { subU64 } from '../../src/num/index.ts';
import { Checkpoints } from '../log/record.ts';
import type { Keeper, ToldTimes } from './driver.ts';

/** Recordings are short: these checkpoints show that a replay comes to the same. */
const INPUTS_PER_CHECKPOINT = 100;

/** What a source told of one clock read, by the place of the vCPU in the order of creation. */
type Told = Map<ReadingName, { vcpu: number; value: bigint }[]>;

/** A world that keeps what happens to it, with what it was told of clocks. */
export class KeptWorld extends World implements Keeper {
  readonly entries: LogEntry[] = [];
  readonly start: Pick<WorldOptions, 'host'>;
  readonly #checkpoints: Checkpoints;
  /** Where each input is among the entries. */
  readonly #places: number[] = [];
  /** What inputs must have led to, by their place among the entries: their VM's clock offset. */
  readonly #clockOffsets = new Map<number, bigint>();
  /** Places of inputs whose clock reads were told by pages. */
  readonly #told = new Set<number>();
  #lastCheckpoint = -1;
  /** Why the world is not what its inputs have made of it. */
  #corrected: string | undefined;

  /** @param every - inputs from one checkpoint to the next. */
  constructor(options: WorldOptions, every = INPUTS_PER_CHECKPOINT) {
    super(options);
    this.start = { host: options.host.clone() };
    this.#checkpoints = new Checkpoints(every);
  }

  /** Something in the world was put right by hand: the log says what it is like from there on. */
  correct(reason: string): void {
    this.#corrected ??= reason;
  }

  /** What an earlier input read turns out to have been this; the world is as if it had been told. */
  amend(index: number, told: ToldTimes): void {
    const place = this.#places[index];
    if (place === undefined) return;
    this.#change(place, ({ readings }) => ({ ...readings, ...told }));
    this.#told.add(place);
    if (this.#lastCheckpoint > place) this.correct('what was known later');
  }

  /**
   * The clock offset that an earlier input must have led to; the world has it already. Times told by
   * pages since then were reckoned with an offset that was less by `more`.
   */
  ledTo(index: number, kvmclockOffset: bigint, more: bigint): void {
    const place = this.#places[index];
    const entry = place === undefined ? undefined : this.entries[place];
    if (place === undefined || entry?.kind !== 'input') return;
    this.#clockOffsets.set(place, kvmclockOffset);
    for (const later of this.#told) {
      if (later >= place) this.#change(later, ({ readings = {} }) => earlier(readings, more));
    }
    if (this.#lastCheckpoint > place) this.correct('what was known later');
  }

  #change(place: number, change: (input: Input) => Readings): void {
    const entry = this.entries[place];
    if (entry?.kind !== 'input') return;
    this.entries[place] = {
      kind: 'input',
      input: { ...entry.input, readings: change(entry.input) },
    };
  }

  /** The clock offset of its VM that the input at a place among the entries must have led to. */
  clockOffsetAt(place: number): bigint | undefined {
    return this.#clockOffsets.get(place);
  }

  /** What was put right is in the log: a gap, for which no inputs are known, and a checkpoint. */
  settle(): void {
    if (this.#corrected === undefined) return;
    const reason = this.#corrected;
    this.#corrected = undefined;
    this.entries.push({ kind: 'gap', tsc: this.lastTsc, reason });
    this.#lastCheckpoint = this.entries.length;
    this.entries.push({ kind: 'checkpoint', checkpoint: checkpointOf(this) });
  }

  override dispatch(input: Input, source?: ReadingSource): Dispatched {
    this.settle();
    const told: Told = new Map();
    const listening: ReadingSource = (name, place) => {
      const value = source?.(name, place);
      if (value === undefined) return undefined;
      const list = told.get(name) ?? [];
      list.push({ vcpu: place.vcpu?.vcpuIdx ?? 0, value: BigInt.asUintN(64, value) });
      told.set(name, list);
      return value;
    };
    const dispatched = super.dispatch(input, listening);
    const readings = { ...readingsOf(told), ...input.readings };
    const kept = Object.keys(readings).length === 0 ? input : { ...input, readings };
    this.#places[dispatched.index] = this.entries.length;
    this.entries.push(...this.#checkpoints.entriesOf(kept, this));
    return dispatched;
  }
}

/** Readings with the base clock's as much earlier. */
function earlier(readings: Readings, by: bigint): Readings {
  const moved: Partial<Record<ReadingName, bigint>> = {};
  for (const name of ['snapshot.ns', 'update.ns'] as const) {
    const ns = readings[name];
    if (typeof ns === 'bigint') moved[name] = subU64(ns, by);
  }
  return { ...readings, ...moved };
}

/** One vCPU's read stands for itself; those of several are a list by their places. */
function readingsOf(told: Told): Readings {
  const readings: Partial<Record<ReadingName, bigint | (bigint | undefined)[]>> = {};
  for (const [name, list] of told) {
    const [first] = list;
    if (list.length === 1 && first !== undefined) readings[name] = first.value;
    else {
      const values: (bigint | undefined)[] = [];
      for (const { vcpu, value } of list) values[vcpu] = value;
      readings[name] = Array.from(values);
    }
  }
  return readings;
}
