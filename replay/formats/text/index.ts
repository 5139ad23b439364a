/**
 * ftrace text: what the kernel prints in `trace` and `trace_pipe`, and what `trace-cmd report` and
 * `perf script` make of their files. The grammar of a line is in `./header.ts` (everything before
 * the event), `./names.ts` (which event) and `./patterns.ts` (its arguments).
 */
import type { ByteStream } from '../bytes.ts';
import type { ReadOptions, Recording } from '../recording.ts';
import { LineBuffer } from './lines.ts';
import { TextRecording } from './reader.ts';
import { recognise } from './recognise.ts';

const CHUNK_BYTES = 1024 * 1024;

/** How to read a text. */
export interface TextOptions extends ReadOptions {
  /** Bytes asked for at a time. Has no influence on what is read. */
  readonly chunkSize?: number;
}

/**
 * Opens ftrace text. Reads as much as it takes to recognise it; the stream then belongs to the
 * recording, which closes it.
 * @throws FormatError if the stream is empty or begins with something else.
 */
export async function openText(bytes: ByteStream, options: TextOptions = {}): Promise<Recording> {
  const lines = new LineBuffer(bytes, options.chunkSize ?? CHUNK_BYTES);
  const clock = await recognise(bytes.name, lines);
  return new TextRecording(bytes, lines, clock, options);
}
