/** The thread that reads a recording: see `recording.ts`. It has no other work, so it may block. */
import { parentPort, workerData } from 'node:worker_threads';
import { EVENT_NAMES, EVENTS, EventBatch } from '../../../events/index.ts';
import { DescriptorBytes } from '../bytes.ts';
import { FormatError } from '../error.ts';
import type { Recording, RecordingStats } from '../recording.ts';
import { openText } from '../text/index.ts';
import { openTraceDat } from '../tracedat/index.ts';
import { AWAITED, BATCHES, FILLED_AT_ONCE, FREED, type Message, type Start } from './protocol.ts';

const HAS_TEXT = EVENT_NAMES.map((name) => 'text' in EVENTS[name]);

const start = workerData as Start;
const batches = start.batches.map((buffer) => new EventBatch(undefined, buffer));

const send = (message: Message): void => parentPort!.postMessage(message);

/** The batch that is filled after `count` others, once it may be. */
function batchAfter(count: number): EventBatch {
  const { counters } = start;
  let freed = Atomics.load(counters, FREED);
  if (count - freed >= BATCHES) {
    const awaited = count - BATCHES + FILLED_AT_ONCE;
    Atomics.store(counters, AWAITED, awaited);
    for (; freed < awaited; freed = Atomics.load(counters, FREED)) {
      Atomics.wait(counters, FREED, freed);
    }
  }
  return batches[count % BATCHES]!;
}

function textsOf({ length, codes, texts }: EventBatch): [number, string][] {
  const found: [number, string][] = [];
  for (let row = 0; row < length; row++) {
    if (HAS_TEXT[codes[row]!]) found.push([row, texts[row]!]);
  }
  return found;
}

/** What can be sent: a text's stats are computed when asked for. */
function copyOf(stats: RecordingStats): RecordingStats {
  const { events, lostEvents, gaps, malformed, firstMalformed } = stats;
  const { firstTimestamp, lastTimestamp } = stats;
  return { events, lostEvents, gaps, malformed, firstMalformed, firstTimestamp, lastTimestamp };
}

async function readAll(recording: Recording): Promise<void> {
  let table: readonly string[] = [];
  let known = 0;
  for (let count = 0; ; count++) {
    const batch = batchAfter(count);
    const rows = await recording.read(batch);
    const namesAnew = batch.comms !== table;
    const names = batch.comms.slice(namesAnew ? 0 : known);
    table = batch.comms;
    known = table.length;
    const { clock, stats } = recording;
    const texts = textsOf(batch);
    send({ kind: 'filled', rows, clock, stats: copyOf(stats), texts, names, namesAnew });
    if (rows === 0) return;
  }
}

function open(): Promise<Recording> {
  const { name, is, fd, size, only } = start;
  const bytes = new DescriptorBytes(name, fd, size);
  const options = only === undefined ? {} : { only };
  return is === 'text' ? openText(bytes.stream, options) : openTraceDat(bytes, options);
}

try {
  const recording = await open();
  const { format, clock, kernelRelease, guests } = recording;
  send({ kind: 'opened', format, clock, kernelRelease, guests });
  await readAll(recording);
} catch (error) {
  if (!(error instanceof FormatError)) throw error;
  const { position, expected, found } = error;
  send({ kind: 'failed', position, expected, found });
}
