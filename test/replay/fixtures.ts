import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { MemoryBytes, SequentialBytes } from '../../replay/formats/bytes.ts';
import { openText } from '../../replay/formats/text/index.ts';
import type { ReplayOptions } from '../../replay/index.ts';
import { open, REPLAY_EVENTS, replayAll } from '../../replay/index.ts';

const FOLDER = new URL('../fixtures/recordings/', import.meta.url);

/** Path of a bundled recording's file. */
export const fixture = (name: string, file = 'trace.dat'): string =>
  fileURLToPath(new URL(`${name}/${file}`, FOLDER));

/** Content of a gzipped file of a bundled recording. */
export const unzipped = (name: string, file: string): string =>
  gunzipSync(readFileSync(fixture(name, `${file}.gz`))).toString('utf8');

export async function replayText(text: string, options: ReplayOptions = {}) {
  const bytes = new SequentialBytes(new MemoryBytes('text', Buffer.from(text)));
  const recording = await openText(bytes, { only: REPLAY_EVENTS });
  return replayAll(recording, options);
}

export async function replayFile(path: string, options: ReplayOptions = {}) {
  const recording = await open(path, { only: REPLAY_EVENTS });
  try {
    return await replayAll(recording, options);
  } finally {
    await recording.close();
  }
}

/** A recording's text as someone without the driver's markers would have recorded it. */
export const withoutMarkers = (text: string): string =>
  text
    .split('\n')
    .filter((line) => !/: (tracing_mark_write|print): /.test(line))
    .join('\n');
