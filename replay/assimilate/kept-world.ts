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
import { Checkpoints } from '../log/record.ts';

/** Recordings are short: these checkpoints show that a replay comes to the same. */
const INPUTS_PER_CHECKPOINT = 100;

/** What a source told of one clock read, by the place of the vCPU in the order of creation. */
type Told = Map<ReadingName, { vcpu: number; value: bigint }[]>;

/** A world that keeps what happens to it, with what it was told of clocks. */
export class KeptWorld extends World {
  readonly entries: LogEntry[] = [];
  readonly start: Pick<WorldOptions, 'host'>;
  readonly #checkpoints: Checkpoints;
  /** Where each input is among the entries. */
  readonly #places: number[] = [];
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

  /** An earlier input turns out to have been another; the world is already as if it had been. */
  amend(index: number, change: (input: Input) => Input): void {
    const place = this.#places[index];
    const entry = place === undefined ? undefined : this.entries[place];
    if (place === undefined || entry?.kind !== 'input') return;
    this.entries[place] = { kind: 'input', input: change(entry.input) };
    if (this.#lastCheckpoint > place) this.correct('what was known later');
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
