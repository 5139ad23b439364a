/**
 * The state after any input of a log: from the nearest checkpoint before it, then forward.
 */
import type { Input } from '../../events/index.ts';
import {
  type Checkpoint,
  type CheckpointPlace,
  LogError,
  type OpenedLog,
} from '../../events/log/index.ts';
import { worldOfCheckpoint } from '../../src/engine/checkpoint.ts';
import type { Dispatched, World } from '../../src/engine/index.ts';
import { InputError } from '../../src/engine/input-error.ts';
import { inLog, type Kernel, kernelOf, startOf } from './kernel-of-log.ts';
import type { ReplayLogOptions } from './log-run.ts';
import { type Change, changesOf, modelOf, type ReadModel, stepOf } from './read-model.ts';

/** A log at one of its inputs. */
export interface LogState {
  /** How many inputs came before; the last of them is `input`. */
  readonly at: number;
  readonly kernel: Kernel;
  readonly model: ReadModel;
  readonly input: Input | undefined;
  /** What that input came to; undefined when it cannot have happened under this kernel. */
  readonly dispatched: Dispatched | undefined;
  /** What it changed. */
  readonly changes: readonly Change[];
  /** From where it was run: how many inputs came before that. */
  readonly from: number;
  /** Inputs were lost before, and no checkpoint came after that. */
  readonly isUnknown: boolean;
}

/** Where to begin. */
interface Start {
  readonly place: CheckpointPlace | undefined;
  readonly checkpoint: Checkpoint | undefined;
}

const BEGINNING: Start = { place: undefined, checkpoint: undefined };

/** The last checkpoint before input `at`, so that this input itself is run. */
async function nearest(log: OpenedLog, at: number): Promise<Start> {
  const place = log.index?.checkpoints.filter(({ inputs }) => inputs < at).at(-1);
  if (place !== undefined) {
    const checkpoint = await checkpointAt(log, place);
    if (checkpoint !== undefined) return { place, checkpoint };
  }
  let checkpoint: Checkpoint | undefined;
  let inputs = 0;
  for await (const batch of log.entries()) {
    for (const entry of batch) {
      if (entry.kind === 'checkpoint' && inputs < at) ({ checkpoint } = entry);
      if (entry.kind === 'input') inputs += 1;
    }
    if (inputs >= at) break;
  }
  return { place: undefined, checkpoint };
}

/** What the index says to be there, if it is. */
async function checkpointAt(
  log: OpenedLog,
  place: CheckpointPlace,
): Promise<Checkpoint | undefined> {
  try {
    for await (const [first] of log.entries(place)) {
      const isIt = first?.kind === 'checkpoint' && first.checkpoint.inputs === place.inputs;
      return isIt ? first.checkpoint : undefined;
    }
  } catch (error) {
    if (!(error instanceof LogError)) throw error;
  }
  return undefined;
}

/** An input was asked for that is not in the log. */
export class NoSuchInputError extends RangeError {
  override readonly name = 'NoSuchInputError';
  /** How many it has. */
  readonly inputs: number;

  /** @internal */
  constructor(inputs: number) {
    super(`the log has ${inputs} inputs`);
    this.inputs = inputs;
  }
}

/**
 * The state after `at` inputs of a log, and what the last of them changed.
 *
 * One step back is `at - 1`.
 *
 * @throws NoSuchInputError when the log has fewer inputs; LogError and ProfileError as `replayLog` does.
 */
export async function stateAt(
  log: OpenedLog,
  at: number,
  options: Pick<ReplayLogOptions, 'profile' | 'set' | 'stepper'> = {},
): Promise<LogState> {
  const kernel = kernelOf(log, options);
  const start = kernel.isOther || at === 0 ? BEGINNING : await nearest(log, at);
  return new Walk(log, kernel, at, options).from(start);
}

/** On the way to an input. */
class Walk {
  readonly #log: OpenedLog;
  readonly #kernel: Kernel;
  readonly #at: number;
  readonly #options: Pick<ReplayLogOptions, 'stepper'>;
  #world: World;
  #isUnknown = false;
  #last: { input: Input; dispatched: Dispatched | undefined; before: ReadModel } | undefined;

  constructor(
    log: OpenedLog,
    kernel: Kernel,
    at: number,
    options: Pick<ReplayLogOptions, 'stepper'>,
  ) {
    this.#log = log;
    this.#kernel = kernel;
    this.#at = at;
    this.#options = options;
    this.#world = startOf(log, kernel, options.stepper);
  }

  async from({ place, checkpoint }: Start): Promise<LogState> {
    let inputs = place?.inputs ?? 0;
    const skip = checkpoint?.inputs ?? 0;
    if (checkpoint !== undefined) this.#restore(checkpoint);
    if (this.#at > 0) {
      for await (const batch of this.#log.entries(place)) {
        for (const entry of batch) {
          if (inputs >= this.#at) break;
          const isAhead = inputs >= skip;
          if (entry.kind === 'input') {
            inputs += 1;
            if (isAhead) this.#dispatch(entry.input, inputs);
          } else if (entry.kind === 'gap' && isAhead) this.#isUnknown = true;
          else if (entry.kind === 'checkpoint' && isAhead && this.#isUnknown) {
            this.#restore(entry.checkpoint);
          }
        }
        if (inputs >= this.#at) break;
      }
    }
    if (inputs < this.#at) throw new NoSuchInputError(inputs);
    return this.#state(skip);
  }

  #restore(checkpoint: Checkpoint): void {
    if (this.#kernel.isOther) return;
    const { stepper } = this.#options;
    const { switches } = this.#kernel.profile;
    this.#world = inLog(this.#log, () =>
      worldOfCheckpoint(checkpoint, {
        switches: { ...switches },
        ...(stepper === undefined ? {} : { stepper }),
      }),
    );
    this.#isUnknown = false;
  }

  #dispatch(input: Input, index: number): void {
    const before = index === this.#at ? modelOf(this.#world) : undefined;
    let dispatched: Dispatched | undefined;
    try {
      dispatched = this.#world.dispatch(input);
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      if (!this.#isUnknown && !this.#kernel.isOther) {
        const field = `input ${index} (${error.type})`;
        throw new LogError(this.#log.name, undefined, field, error.expected, error.found);
      }
    }
    if (before !== undefined) this.#last = { input, dispatched, before };
  }

  #state(from: number): LogState {
    const last = this.#last;
    const { model, patches } =
      last === undefined
        ? { model: modelOf(this.#world), patches: [] }
        : stepOf(last.before, this.#world);
    return {
      at: this.#at,
      kernel: this.#kernel,
      model,
      input: last?.input,
      dispatched: last?.dispatched,
      changes: last === undefined ? [] : changesOf(last.before, patches),
      from,
      isUnknown: this.#isUnknown,
    };
  }
}
