/**
 * Every event of a trace.dat with all its fields, whatever it is: for looking into files, and for
 * comparing this reader with others. Recordings in bulk are read by `openTraceDat`.
 */
import type { RandomAccess } from '../bytes.ts';
import type { CpuStream } from './cpu-stream.ts';
import type { EventFormat } from './event-format.ts';
import { type FieldValue, readField } from './field-value.ts';
import { openTraceData, type TraceData } from './trace-data.ts';

/** An event as it was recorded. */
export interface RawEvent {
  /** Ticks of the recording's clock, with the recording's time offset added. */
  readonly timestamp: bigint;
  readonly cpu: number;
  readonly tid: number;
  /** The thread's name; `<idle>` for thread 0, `<...>` where nobody named it. Hostile text. */
  readonly comm: string;
  /** Name of the buffer instance; empty for the top buffer. */
  readonly buffer: string;
  /** `undefined` where the file has no format for it, and where events are missing (`gap`). */
  readonly format: EventFormat | undefined;
  /** The event's name; `gap` in system `tracer` where events are missing; else empty. */
  readonly name: string;
  readonly system: string;
  /** All fields in the recorded order, the common ones too. */
  readonly fields: Readonly<Record<string, FieldValue>>;
}

/**
 * Goes through all events of a file, in the order of `openTraceDat`. The file stays open.
 *
 * @throws FormatError where the file can't be read.
 */
export async function* rawEvents(bytes: RandomAccess): AsyncGenerator<RawEvent, void, void> {
  const data = await openTraceData(bytes);
  const { merge } = data;
  for (let stream = merge.top; stream !== undefined; stream = merge.top) {
    if (stream.gap !== undefined) {
      yield gap(data, stream);
      stream.gap = undefined;
      if (stream.ended) merge.drop();
    } else {
      yield event(data, stream);
      if (!merge.advance()) await merge.refill();
    }
  }
}

function timestamp({ offset }: TraceData, { cursor }: CpuStream): bigint {
  const time = (BigInt(cursor.timeHigh) << 32n) | BigInt(cursor.timeLow >>> 0);
  return BigInt.asUintN(64, time + offset);
}

function gap(data: TraceData, stream: CpuStream): RawEvent {
  const { lost, counted, text } = stream.gap!;
  return {
    timestamp: timestamp(data, stream),
    cpu: stream.cpu,
    tid: 0,
    comm: '',
    buffer: stream.buffer,
    format: undefined,
    name: 'gap',
    system: 'tracer',
    fields: { lost: counted ? lost : 0n, text },
  };
}

function event(data: TraceData, stream: CpuStream): RawEvent {
  const { file, common, formats } = data;
  const { view, payload, size } = stream.cursor;
  const whole = size >= common.size;
  const tid = whole ? view.getInt32(payload + common.pidOffset, file.little) : 0;
  const format = whole
    ? formats.get(view.getUint16(payload + common.typeOffset, file.little))
    : undefined;
  const fields: Record<string, FieldValue> = Object.create(null);
  for (const field of format?.fields ?? []) {
    const value = readField(file, field, view, payload, size);
    if (value !== undefined) fields[field.name] = value;
  }
  return {
    timestamp: timestamp(data, stream),
    cpu: stream.cpu,
    tid,
    comm: tid === 0 ? '<idle>' : (file.metadata.comms.get(tid) ?? '<...>'),
    buffer: stream.buffer,
    format,
    name: format?.name ?? '',
    system: format?.system ?? '',
    fields,
  };
}
