/** The reading thread: see `background.ts`. */
import { parentPort, workerData } from 'node:worker_threads';
import { EVENT_NAMES, EVENTS, EventBatch } from '../../events/index.ts';
import type { Free, Message, Start } from './background-protocol.ts';
import { FormatError } from './error.ts';
import { open } from './open.ts';
import type { Recording } from './recording.ts';

const HAS_TEXT = EVENT_NAMES.map((name) => 'text' in EVENTS[name]);

const { path, only, batches: shared } = workerData as Start;
const port = parentPort!;
const batches = shared.map((buffer) => new EventBatch(undefined, buffer));
const free = batches.map((_, i) => i);
let freed: (() => void) | undefined;

port.on('message', (message: Free) => {
  free.push(message.free);
  freed?.();
});

const send = (message: Message): void => port.postMessage(message);

async function nextFree(): Promise<number> {
  while (free.length === 0) {
    await new Promise<void>((resolve) => {
      freed = resolve;
    });
  }
  return free.shift()!;
}

function textsOf(batch: EventBatch): [number, string][] {
  const texts: [number, string][] = [];
  for (let row = 0; row < batch.length; row++) {
    if (HAS_TEXT[batch.codes[row]!]) texts.push([row, batch.texts[row]!]);
  }
  return texts;
}

async function deliver(recording: Recording): Promise<void> {
  let names: readonly string[] | undefined;
  let known = 0;
  for (;;) {
    const index = await nextFree();
    const batch = batches[index]!;
    const rows = await recording.read(batch);
    const changed = batch.comms !== names || batch.comms.length !== known;
    names = batch.comms;
    known = names.length;
    const { events, lostEvents, gaps, malformed, firstMalformed } = recording.stats;
    const { firstTimestamp, lastTimestamp } = recording.stats;
    send({
      kind: 'batch',
      batch: index,
      rows,
      clock: recording.clock,
      stats: {
        events,
        lostEvents,
        gaps,
        malformed,
        firstMalformed,
        firstTimestamp,
        lastTimestamp,
      },
      texts: textsOf(batch),
      comms: changed ? [...names] : undefined,
    });
    if (rows === 0) return;
  }
}

try {
  const recording = await open(path, only === undefined ? {} : { only });
  const { format, kernelRelease, guests } = recording;
  send({ kind: 'opened', recording: { format, kernelRelease, guests } });
  await deliver(recording);
  await recording.close();
} catch (error) {
  if (!(error instanceof FormatError)) throw error;
  const { input, position, expected, found } = error;
  send({ kind: 'error', input, position, expected, found });
}
port.close();
