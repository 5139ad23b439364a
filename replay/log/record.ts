/** Keeps what happens to a world in a log. */
import type { Input } from '../../events/index.ts';
import type { Acknowledged, LogEntry, LogHeader, LogWriter } from '../../events/log/index.ts';
import { checkpointOf } from '../../src/engine/checkpoint.ts';
import type { Dispatched, World } from '../../src/engine/index.ts';
import type { Profile } from '../../src/profiles/index.ts';

/** The header of a log of a world to which nothing has happened yet. */
export const headerOf = (
  world: World,
  { id }: Pick<Profile, 'id'>,
  options: Readonly<Record<string, string>> = {},
): LogHeader => ({
  profile: id,
  switches: { ...world.switches },
  host: world.host.toJSON(),
  options,
});

/** How often a checkpoint is worth its bytes: a reader gets anywhere by running this many inputs. */
export const INPUTS_PER_CHECKPOINT = 10_000;

/** Adds checkpoints to the entries of a world's log. */
export class Checkpoints {
  readonly #every: number;
  #inputs: number;

  constructor(every = INPUTS_PER_CHECKPOINT, inputs = 0) {
    this.#every = every;
    this.#inputs = inputs;
  }

  /** The entries for an input that was dispatched. */
  entriesOf(input: Input, world: World): LogEntry[] {
    const entries: LogEntry[] = [{ kind: 'input', input }];
    this.#inputs += 1;
    if (this.#inputs % this.#every === 0) {
      entries.push({ kind: 'checkpoint', checkpoint: checkpointOf(world, this.#inputs) });
    }
    return entries;
  }
}

/** A world whose inputs are kept in a log, each acknowledged before `dispatch` returns. */
export class LoggedWorld {
  readonly world: World;
  readonly #writer: LogWriter;
  readonly #checkpoints: Checkpoints;

  /** @param every - inputs from one checkpoint to the next. */
  constructor(world: World, writer: LogWriter, every = INPUTS_PER_CHECKPOINT) {
    this.world = world;
    this.#writer = writer;
    this.#checkpoints = new Checkpoints(every, writer.inputs);
  }

  /**
   * Lets something happen and keeps it.
   *
   * @throws InputError when it cannot have happened, LogError when it can't be kept.
   */
  dispatch(input: Input): { readonly dispatched: Dispatched; readonly kept: Acknowledged } {
    const dispatched = this.world.dispatch(input);
    return {
      dispatched,
      kept: this.#writer.append(this.#checkpoints.entriesOf(input, this.world)),
    };
  }
}
