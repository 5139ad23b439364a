/**
 * What a log holds: what was there at first, and everything that happened, in order.
 *
 * A log is complete: with its inputs and what its host's clocks said, a replay does again what was
 * done, bit by bit. Where inputs were lost a gap stands. Checkpoints spare a reader the way from the
 * beginning, and bring it back on its feet after a gap; all else follows from the inputs.
 */
import type { StructBase } from '../../src/num/index.ts';
import type { Composite } from '../composites.ts';
import type { Input } from '../inputs.ts';

/** Name of the form, for whoever finds one. */
export const LOG_FORM = 'masterclock/log';

/** Of both forms; raised when the meaning of anything in them changes (`upgrade.ts`). */
export const LOG_VERSION = 1;

/** A switch's value. */
export type LogSwitch = string | number | boolean;

/** What was there at first. */
export interface LogHeader {
  /** Id of the profile whose switches these are, as far as they are not set otherwise. */
  readonly profile: string;
  /** Every switch by its name. */
  readonly switches: Readonly<Record<string, LogSwitch>>;
  /** The host's struct before the first input, as its `toJSON()` has it. */
  readonly host: Readonly<Record<string, unknown>>;
  /** What else the log's maker chose that decides what it holds. */
  readonly options: Readonly<Record<string, string>>;
}

/** One struct of a checkpoint: the host's, a VM's, or a vCPU's. */
export interface CheckpointStruct {
  readonly vm?: number;
  readonly vcpu?: number;
  readonly state: StructBase;
}

/** All there was after some inputs. */
export interface Checkpoint {
  /** How many inputs came before it. */
  readonly inputs: number;
  /** Instant of the last of them, host TSC. */
  readonly lastTsc: bigint;
  /** The host, then each VM and its vCPUs, in the order of their creation. */
  readonly structs: readonly CheckpointStruct[];
}

/** Something that happened. */
export interface InputEntry {
  readonly kind: 'input';
  readonly input: Input;
}

/** What a VMM did in one go; its inputs follow. */
export interface CompositeEntry {
  readonly kind: 'composite';
  readonly vm: number;
  /** How many of the inputs that follow it came to. */
  readonly inputs: number;
  readonly event: Composite;
}

/** Inputs were lost here. */
export interface GapEntry {
  readonly kind: 'gap';
  /** Its instant, host TSC. */
  readonly tsc: bigint;
  /** How many, if that is known. */
  readonly lost?: bigint;
  /** In a few words. */
  readonly reason: string;
}

/** A checkpoint. */
export interface CheckpointEntry {
  readonly kind: 'checkpoint';
  readonly checkpoint: Checkpoint;
}

/** An entry that is no input. */
export type OtherEntry = CompositeEntry | GapEntry | CheckpointEntry;

/** One entry of a log. */
export type LogEntry = InputEntry | OtherEntry;

/** What was cut from a log's end: the last entry's writing did not come to its end. */
export interface TornTail {
  /** Where it begins: bytes from the log's start. */
  readonly offset: number;
  /** How many bytes it has. */
  readonly bytes: number;
}
