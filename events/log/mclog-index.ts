/**
 * Where the checkpoints of a binary log stand, writer beside reader: the payloads of its two last
 * frames.
 *
 * ```
 * index  inputs u64, how many u32, each: inputs before it u64, its frame's offset u64
 * end    the index frame's offset u64
 * ```
 *
 * A log that was not closed has none; then it is read from the beginning. One that went on after it
 * was closed has an older index in its midst, which nobody reads.
 */
import { ByteReader, ByteWriter } from './bytes.ts';
import type { CheckpointPlace } from './decoder.ts';
import { EntryError } from './error.ts';
import { decodeFrame, encodeFrame, FRAME, FRAME_HEAD_BYTES } from './frame.ts';

/** The end frame and nothing else. */
export const END_BYTES = FRAME_HEAD_BYTES + 8;

/** An index. */
export interface LogIndex {
  /** Inputs of the whole log. */
  readonly inputs: number;
  readonly checkpoints: readonly CheckpointPlace[];
}

/** The two last frames of a log whose entries end at `offset`. */
export function encodeIndex({ inputs, checkpoints }: LogIndex, offset: number): Uint8Array {
  const out = new ByteWriter();
  out.u64(BigInt(inputs));
  out.u32(checkpoints.length);
  for (const place of checkpoints) {
    out.u64(BigInt(place.inputs));
    out.u64(BigInt(place.offset));
  }
  const index = encodeFrame(FRAME.index, out.bytes);
  out.clear();
  out.u64(BigInt(offset));
  const end = encodeFrame(FRAME.end, out.bytes);
  const both = new Uint8Array(index.length + end.length);
  both.set(index);
  both.set(end, index.length);
  return both;
}

function payloadOf(bytes: Uint8Array, type: number): ByteReader | undefined {
  const framed = decodeFrame(bytes);
  return framed.is === 'frame' && framed.type === type ? new ByteReader(framed.payload) : undefined;
}

/** Where the last bytes of a log say that its index is; undefined when they say nothing. */
export function indexOffset(last: Uint8Array): number | undefined {
  try {
    return payloadOf(last, FRAME.end)?.count();
  } catch (error) {
    if (error instanceof EntryError) return undefined;
    throw error;
  }
}

/** The index that some bytes are; undefined when they are none. */
export function decodeIndex(bytes: Uint8Array): LogIndex | undefined {
  try {
    const from = payloadOf(bytes, FRAME.index);
    if (from === undefined) return undefined;
    const inputs = from.count();
    const checkpoints: CheckpointPlace[] = [];
    for (let left = from.u32(); left > 0; left--) {
      checkpoints.push({ inputs: from.count(), offset: from.count() });
    }
    return { inputs, checkpoints };
  } catch (error) {
    if (error instanceof EntryError) return undefined;
    throw error;
  }
}
