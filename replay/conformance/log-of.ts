/**
 * A log of what a recording shows: the inputs that conformance tells the world, each with the clock
 * reads that the recording tells of it.
 */
import type { LogEntry, LogHeader } from '../../events/log/index.ts';
import { World, type WorldOptions } from '../../src/engine/index.ts';
import { KeptWorld } from '../assimilate/kept-world.ts';
import { headerOf } from '../log/index.ts';
import { Prediction } from './predict.ts';
import { conformanceOf } from './profile-of.ts';
import type { CheckedRecording } from './recording.ts';

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
