import type { Recording } from '../../replay/index.ts';
import { count } from '../../replay/quantity.ts';
import type { Terminal } from './terminal.ts';

/** Often enough to show that something moves, rarely enough to cost nothing. */
const EVENTS_PER_STEP = 500_000;
const CLEAR_LINE = '\r\u001b[K';

/** Says on a terminal's stderr how far a long recording has been read. */
export function withProgress(recording: Recording, { stderr }: Terminal): Recording {
  if (stderr.isTTY !== true) return recording;
  let next = EVENTS_PER_STEP;
  return {
    name: recording.name,
    format: recording.format,
    get clock() {
      return recording.clock;
    },
    kernelRelease: recording.kernelRelease,
    guests: recording.guests,
    stats: recording.stats,
    close: () => recording.close(),
    read: async (batch) => {
      const rows = await recording.read(batch);
      const { events } = recording.stats;
      if (rows === 0 && next > EVENTS_PER_STEP) stderr.write(CLEAR_LINE);
      else if (events >= next) {
        stderr.write(`${CLEAR_LINE}${count(events, 'event')} read`);
        next = events + EVENTS_PER_STEP;
      }
      return rows;
    },
  };
}
