/** Reading whole files in the tests of the trace.dat reader. */
import { readFileSync } from 'node:fs';
import { expect } from 'vitest';
import { EventBatch, type EventName, type TraceEvent } from '../../events/index.ts';
import { MemoryBytes } from '../../replay/formats/bytes.ts';
import { FormatError } from '../../replay/formats/error.ts';
import type { Recording } from '../../replay/formats/recording.ts';
import { openTraceDat, type RawEvent, rawEvents } from '../../replay/formats/tracedat/index.ts';

/** Bytes of a recording under test/fixtures/recordings. */
export function fixture(path: string): Buffer {
  return readFileSync(new URL(`../fixtures/recordings/${path}`, import.meta.url));
}

export interface ReadFile {
  readonly recording: Recording;
  readonly events: readonly TraceEvent[];
}

/** All events of the catalogue in a file. */
export async function readAll(
  bytes: Uint8Array,
  only?: readonly EventName[],
  capacity = 64,
): Promise<ReadFile> {
  const input = new MemoryBytes('trace.dat', bytes);
  const recording = await openTraceDat(input, only === undefined ? {} : { only });
  const batch = new EventBatch(capacity);
  const events: TraceEvent[] = [];
  for (;;) {
    const count = await recording.read(batch);
    if (count === 0) break;
    for (let row = 0; row < count; row++) events.push(batch.event(row));
  }
  await recording.close();
  return { recording, events };
}

export async function readRaw(bytes: Uint8Array): Promise<RawEvent[]> {
  const events: RawEvent[] = [];
  for await (const event of rawEvents(new MemoryBytes('trace.dat', bytes))) events.push(event);
  return events;
}

/** The error with which a file is refused. */
export async function refusal(bytes: Uint8Array): Promise<FormatError> {
  const error = await readAll(bytes).catch((e: unknown) => e);
  expect(error).toBeInstanceOf(FormatError);
  return error as FormatError;
}
