/** What reads a log of either form: bytes in as they come, entries out as they are whole. */
import type { LogHeader, TornTail } from './entry.ts';
import type { LogError } from './error.ts';
import type { StructTypes } from './json-entry.ts';
import type { LogStretch, Stretches } from './stretch.ts';
import { UPGRADES, type Upgrades } from './upgrade.ts';

/** How a log is read. */
export interface ReadLogOptions {
  /** Types of the structs of checkpoints; without them checkpoints are passed over. */
  readonly structs?: StructTypes;
  /** How older versions are read; the built-in upgrades by default. */
  readonly upgrades?: Upgrades;
}

/** Where a checkpoint stands. */
export interface CheckpointPlace {
  /** Inputs before it. */
  readonly inputs: number;
  /** Bytes from the log's start. */
  readonly offset: number;
}

/** What keeps a log from being gone on with. */
export type Misfit = Pick<LogError, 'field' | 'expected' | 'found'>;

/** Reads a log. */
export interface LogDecoder {
  readonly form: 'jsonl' | 'mclog';
  /** Undefined until enough was pushed. */
  readonly header: LogHeader | undefined;
  /** The log's version, once the header is there. */
  readonly version: number;
  /** Why one cannot go on writing it; undefined where it was written as logs are today. */
  readonly misfit: Misfit | undefined;
  /** Inputs delivered so far. */
  readonly inputs: number;
  /** Checkpoints passed so far. */
  readonly checkpoints: readonly CheckpointPlace[];
  /** Checkpoints that could not be used, because structs are laid out otherwise today. */
  readonly skippedCheckpoints: number;
  /** What was cut from the end; known after `finish`. */
  readonly torn: TornTail | undefined;
  /**
   * Takes some more bytes and returns the entries they complete.
   *
   * @param room - where to collect them, which ends what was collected there; by default their own.
   * @throws LogError where the log is damaged.
   */
  push(chunk: Uint8Array, room?: Stretches): readonly LogStretch[];
  /**
   * The log has come to its end.
   *
   * @param room - as for `push`.
   * @returns entries that only its end completes.
   * @throws LogError where it ends before its header does, or is damaged.
   */
  finish(room?: Stretches): readonly LogStretch[];
}

/** That of a log older than those of today. */
export const OLDER_LOG: Misfit = {
  field: 'version',
  expected: 'a log as written today (convert it first)',
  found: 'an older one',
};

/** Options with their defaults. */
export interface DecoderOptions {
  readonly structs: StructTypes;
  readonly upgrades: Upgrades;
}

/** @internal */
export const withDefaults = (options: ReadLogOptions): DecoderOptions => ({
  structs: options.structs ?? [],
  upgrades: options.upgrades ?? UPGRADES,
});
