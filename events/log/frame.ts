/**
 * Frames of a binary log, writer beside reader.
 *
 * ```
 * 0   "MCF"    sync, to find the next frame after damage
 * 3   u32      CRC-32 of all that follows (zlib's: RFC 1952, section 8)
 * 7   u8       type
 * 8   u32      length of the payload
 * 12  payload
 * ```
 *
 * Before the first frame stand 16 bytes: "MCLOG\r\n\x1a", the version (u32), and the CRC-32 of
 * these 12. The line ends show what a transfer as text has done.
 */
import { crc32 } from 'node:zlib';
import { LOG_VERSION } from './entry.ts';
import { EntryError } from './error.ts';
import { isMclog, MAGIC } from './magic.ts';

/** Types of frames. */
export const FRAME = { header: 1, records: 2, checkpoint: 3, index: 4, end: 5 } as const;

const CRC_AT = 3;
const TYPE_AT = 7;
const LENGTH_AT = 8;
/** Before the payload. */
export const FRAME_HEAD_BYTES = 12;

/** Before the first frame. */
export const PREAMBLE_BYTES = 16;

/** Largest payload of a frame, and longest line of the readable form. */
export const MAX_FRAME_BYTES = 1 << 26;

const SYNC = [0x4d, 0x43, 0x46] as const;

/** A u32 without a view, which a small frame would not pay for. */
const u32At = (bytes: Uint8Array, at: number): number =>
  (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;

const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** A frame with its payload. */
export function encodeFrame(type: number, payload: Uint8Array): Uint8Array {
  if (payload.length > MAX_FRAME_BYTES) {
    throw new EntryError(undefined, `at most ${MAX_FRAME_BYTES} bytes`, `${payload.length}`);
  }
  const frame = new Uint8Array(FRAME_HEAD_BYTES + payload.length);
  frame.set(SYNC);
  frame[TYPE_AT] = type;
  frame.set(payload, FRAME_HEAD_BYTES);
  const view = viewOf(frame);
  view.setUint32(LENGTH_AT, payload.length, true);
  view.setUint32(CRC_AT, crc32(frame.subarray(TYPE_AT)), true);
  return frame;
}

/** What stands at a place where a frame should. */
export type Framed =
  | { readonly is: 'frame'; readonly type: number; readonly payload: Uint8Array }
  /** As far as it can be seen it is a frame, but not all of it is there. */
  | { readonly is: 'short'; readonly needs: number }
  | { readonly is: 'damaged'; readonly found: string };

/** Looks at the frame at the beginning of `bytes`. */
export function decodeFrame(bytes: Uint8Array): Framed {
  for (let i = 0; i < Math.min(SYNC.length, bytes.length); i++) {
    if (bytes[i] !== SYNC[i]) return { is: 'damaged', found: 'other bytes' };
  }
  if (bytes.length < FRAME_HEAD_BYTES) return { is: 'short', needs: FRAME_HEAD_BYTES };
  const length = u32At(bytes, LENGTH_AT);
  if (length > MAX_FRAME_BYTES) return { is: 'damaged', found: `a length of ${length}` };
  const needs = FRAME_HEAD_BYTES + length;
  if (bytes.length < needs) return { is: 'short', needs };
  if (u32At(bytes, CRC_AT) !== crc32(bytes.subarray(TYPE_AT, needs))) {
    return { is: 'damaged', found: 'a frame with a wrong CRC' };
  }
  const payload = bytes.subarray(FRAME_HEAD_BYTES, needs);
  return { is: 'frame', type: bytes[TYPE_AT]!, payload };
}

/** Where the next frame might begin, from `from` on; the length when nowhere. */
export function nextSync(bytes: Uint8Array, from: number): number {
  for (let at = bytes.indexOf(SYNC[0], from); at >= 0; at = bytes.indexOf(SYNC[0], at + 1)) {
    const isSync = SYNC.every((byte, i) => at + i >= bytes.length || bytes[at + i] === byte);
    if (isSync) return at;
  }
  return bytes.length;
}

/** What stands before the first frame. */
export function encodePreamble(version = LOG_VERSION): Uint8Array {
  const bytes = new Uint8Array(PREAMBLE_BYTES);
  bytes.set(MAGIC);
  const view = viewOf(bytes);
  view.setUint32(8, version, true);
  view.setUint32(12, crc32(bytes.subarray(0, 12)), true);
  return bytes;
}

/**
 * The version of a log that begins so.
 *
 * @throws EntryError when it is no such log.
 */
export function decodePreamble(bytes: Uint8Array): number {
  if (!isMclog(bytes)) throw new EntryError(undefined, 'a binary log', 'other bytes');
  const view = viewOf(bytes);
  const crc = crc32(bytes.subarray(0, 12));
  if (view.getUint32(12, true) !== crc) {
    throw new EntryError('version', 'a CRC that is right', 'a wrong one', 8);
  }
  return view.getUint32(8, true);
}
