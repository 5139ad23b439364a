import { EventBatch, type TraceEvent } from '../../events/index.ts';
import type { Recording } from './recording.ts';

/**
 * The events of a recording one by one, from where it stands to its end: convenient, and several
 * times as slow as reading batches. The recording stays open. @throws FormatError as `read` does.
 */
export async function* events(recording: Recording): AsyncGenerator<TraceEvent> {
  const batch = new EventBatch();
  while ((await recording.read(batch)) > 0) {
    for (let row = 0; row < batch.length; row++) yield batch.event(row);
  }
}
