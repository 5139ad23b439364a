/**
 * A log of what a recording shows: the inputs that assimilation comes to, each with the clock reads
 * that later pages tell of it. Where the recording does not tell what led to something, a gap and a
 * checkpoint say what it came to.
 */
import type { LogEntry, LogHeader } from '../../events/log/index.ts';
import type { Recording } from '../formats/recording.ts';
import { headerOf } from '../log/record.ts';
import { type ModelOptions, type ModelSummary, replayInGroups } from '../replay.ts';
import { startOf, withClocksSet } from './clocks-set.ts';
import type { MakeWorld } from './driver.ts';
import { KeptWorld } from './kept-world.ts';

async function modelOf(recording: Recording, model: ModelOptions): Promise<ModelSummary> {
  const run = replayInGroups(recording, { model });
  for (;;) {
    const next = await run.next();
    if (next.done) return next.value.model!;
  }
}

/**
 * The log of a recording, which is read twice: to learn what it is of, and to follow it.
 *
 * @param read - reads the recording from its beginning.
 */
export async function logOfCapture(
  read: () => Promise<Recording>,
): Promise<{ readonly header: LogHeader; readonly entries: readonly LogEntry[] }> {
  const first = await read();
  const { choice, tscKhz } = await modelOf(first, {});
  await first.close();
  const { profile } = choice;
  const worlds: KeptWorld[] = [];
  const makeWorld: MakeWorld = (options) => {
    const world = new KeptWorld(options, Number.POSITIVE_INFINITY);
    worlds.push(world);
    return { world, keeper: world };
  };
  const recording = await read();
  await modelOf(recording, { profile, tscKhz, makeWorld });
  await recording.close();
  const world = worlds[0]!;
  world.settle();
  const start = startOf(world, profile.switches);
  const kernel = recording.kernelRelease;
  const header = headerOf(start, profile, kernel === undefined ? {} : { kernel });
  return { header, entries: withClocksSet(world, profile.switches) };
}
