import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { EventBatch, type TraceEvent } from '../../events/index.ts';
import { MemoryBytes, SequentialBytes } from '../../replay/formats/bytes.ts';
import type { RecordingStats, TraceClock } from '../../replay/formats/recording.ts';
import { openText, type TextOptions } from '../../replay/formats/text/index.ts';

/** All that a text holds. */
export interface ReadText {
  readonly events: TraceEvent[];
  readonly clock: TraceClock;
  readonly stats: RecordingStats;
}

/** A stream over bytes in memory. */
export const streamOf = (text: string | Uint8Array): SequentialBytes =>
  new SequentialBytes(
    new MemoryBytes('test.txt', typeof text === 'string' ? Buffer.from(text) : text),
  );

/** Reads a text to its end, with batches of `capacity` rows. */
export async function readText(
  text: string | Uint8Array,
  options: TextOptions = {},
  capacity = 64,
): Promise<ReadText> {
  const recording = await openText(streamOf(text), options);
  const batch = new EventBatch(capacity);
  const events: TraceEvent[] = [];
  for (;;) {
    const rows = await recording.read(batch);
    if (rows === 0) break;
    for (let row = 0; row < rows; row++) events.push(batch.event(row));
  }
  const { lastTimestamp } = recording.stats;
  await recording.close();
  return { events, clock: recording.clock, stats: { ...recording.stats, lastTimestamp } };
}

/** Text with a newline after each line. */
export const lines = (...all: string[]): string => all.map((line) => `${line}\n`).join('');

/** A line of the kernel's trace file with this after the timestamp 1000. */
export const kernelLine = (rest: string, ticks: number | string = 1000): string =>
  `          driver-53      [000] d....  ${String(ticks).padStart(11)}: ${rest}`;

/** The text of a recording among the fixtures. */
export const fixtureText = (name: string): Buffer =>
  gunzipSync(readFileSync(new URL(`../fixtures/recordings/${name}/trace.txt.gz`, import.meta.url)));
