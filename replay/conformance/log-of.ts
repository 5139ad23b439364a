/**
 * A log of what a recording shows: the inputs that conformance tells the world, each with the clock
 * reads that the recording tells of it.
 */
import type { Input, ReadingName, Readings } from '../../events/index.ts';
import type { LogEntry, LogHeader } from '../../events/log/index.ts';
import {
  type Dispatched,
  type ReadingSource,
  World,
  type WorldOptions,
} from '../../src/engine/index.ts';
import { Checkpoints, headerOf } from '../log/index.ts';
import { Prediction } from './predict.ts';
import { conformanceOf } from './profile-of.ts';
import type { CheckedRecording } from './recording.ts';

/** Recordings are short: these checkpoints show that a replay comes to the same. */
const INPUTS_PER_CHECKPOINT = 100;

/** What a source told of one clock read, by the place of the vCPU in the order of creation. */
type Told = Map<ReadingName, { vcpu: number; value: bigint }[]>;

/** A world that keeps what happens to it, with what it was told of clocks. */
class KeptWorld extends World {
  readonly entries: LogEntry[] = [];
  readonly start: Pick<WorldOptions, 'host'>;
  readonly #checkpoints = new Checkpoints(INPUTS_PER_CHECKPOINT);

  constructor(options: WorldOptions) {
    super(options);
    this.start = { host: options.host.clone() };
  }

  override dispatch(input: Input, source?: ReadingSource): Dispatched {
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

/**
 * The log of a recording.
 *
 * Its kernel is the one that predicts the recording best; what the recording tells of the host's
 * clocks between actions is in the log as timekeeping updates.
 */
export function logOfRecording(recording: CheckedRecording): {
  readonly header: LogHeader;
  readonly entries: readonly LogEntry[];
} {
  const { profile } = conformanceOf(recording);
  const worlds: KeptWorld[] = [];
  const makeWorld = (options: WorldOptions): World => {
    const world = new KeptWorld(options);
    worlds.push(world);
    return world;
  };
  new Prediction(recording, profile.switches, { makeWorld }).run();
  const world = worlds[0]!;
  const start = new World({ switches: profile.switches, host: world.start.host });
  const header = headerOf(start, profile, { kernel: recording.meta.kernel });
  return { header, entries: world.entries };
}
