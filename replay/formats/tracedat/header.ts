/**
 * The first bytes of a trace.dat, by which its version is known, and the reading of everything
 * that stands before its events.
 *
 *     17 08 44 "tracing" version "\0", u8 endian (1: big), u8 long size, u32 page size
 *
 * Source: trace-cmd.dat.v6.5.txt and v7.5.txt, "INITIAL FORMAT".
 */
import type { RandomAccess } from '../bytes.ts';
import type { Decompress } from './compression.ts';
import { isTraceDat, MAGIC } from './magic.ts';
import { Reader } from './reader.ts';
import { readV6 } from './sections-v6.ts';
import { readV7 } from './sections-v7.ts';
import type { TraceFile } from './trace-file.ts';

/** Bytes of a ring-buffer page that are taken for real. */
const PAGE_BYTES_MAX = 16 << 20;

export interface FileHead {
  readonly name: string;
  readonly version: 6 | 7;
  readonly little: boolean;
  /** Of trace-cmd, not of the kernel. */
  readonly longSize: 4 | 8;
  readonly pageSize: number;
  /** Size of the file. */
  readonly end: number;
}

/** Reads everything but the events. `decompress` is for their data, where that is compressed. */
export async function readTraceFile(
  bytes: RandomAccess,
): Promise<{ file: TraceFile; decompress: Decompress | undefined }> {
  const { head, reader } = await readHead(bytes);
  const read =
    head.version === 7
      ? await readV7(bytes, reader, head)
      : { file: await readV6(bytes, reader, head), decompress: undefined };
  checkPages(reader, read.file);
  return read;
}

async function readHead(bytes: RandomAccess): Promise<{ head: FileHead; reader: Reader }> {
  const start = new Reader(bytes, { little: true });
  const magic = await start.take(MAGIC.length, "trace.dat's magic");
  if (!isTraceDat(magic)) throw start.error("trace.dat's magic", 'other bytes', 0);
  const versionAt = start.at;
  const version = await start.cstring('the version', 16);
  if (version !== '6' && version !== '7') {
    throw start.error('trace.dat version 6 or 7', JSON.stringify(version), versionAt);
  }
  const endian = await start.u8('the byte order');
  if (endian > 1) throw start.error('byte order 0 or 1', `${endian}`, start.at - 1);
  const longSize = await start.u8('the size of a long');
  if (longSize !== 4 && longSize !== 8) {
    throw start.error('a long of 4 or 8 bytes', `${longSize}`, start.at - 1);
  }
  const little = endian === 0;
  const reader = new Reader(bytes, { little, at: start.at });
  const pageSize = await reader.u32('the page size');
  const head: FileHead = {
    name: bytes.name,
    version: version === '6' ? 6 : 7,
    little,
    longSize,
    pageSize,
    end: bytes.size,
  };
  return { head, reader };
}

/** Pages must hold at least their own header and an event, and fit in memory. */
function checkPages(reader: Reader, { metadata, buffers }: TraceFile): void {
  const { timestampOffset, commitOffset, longSize, dataOffset } = metadata.pageHeader;
  const least = Math.max(timestampOffset + 8, commitOffset + longSize, dataOffset) + 8;
  for (const { name, pageSize } of buffers) {
    if (pageSize < least || pageSize > PAGE_BYTES_MAX) {
      throw reader.error(
        `pages of ${least} to ${PAGE_BYTES_MAX} bytes in buffer "${name}"`,
        `${pageSize}`,
        0,
      );
    }
  }
}
