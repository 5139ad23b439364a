/**
 * Decompression of trace.dat version 7: `zstd`, `zlib` (with zlib's own header) or `none`.
 *
 * Sections and chunks of data say how large they are when decompressed. A chunk that comes out at
 * any other size is corrupt: the zstd decoder reports errors as a wrong size, never by throwing.
 *
 * Source: trace-cmd's Documentation/trace-cmd/trace-cmd.dat.v7.5.txt, "COMPRESSION FORMAT …".
 */
import { inflateSync } from 'node:zlib';

/** Decompresses to exactly `size` bytes (above 0); `undefined` where the data is corrupt. */
export type Decompress = (data: Uint8Array, size: number) => Uint8Array | undefined;

async function zstd(): Promise<Decompress> {
  // The decoder is 75 KB of WebAssembly that only such files need.
  const { ZSTDDecoder } = await import('zstddec');
  const decoder = new ZSTDDecoder();
  await decoder.init();
  return (data, size) => sized(() => decoder.decode(data, size), size);
}

const zlib: Decompress = (data, size) =>
  sized(() => inflateSync(data, { maxOutputLength: size }), size);

/** Whatever a decoder does with corrupt input (a wrong size, a throw), the answer is `undefined`. */
function sized(decode: () => Uint8Array, size: number): Uint8Array | undefined {
  try {
    const bytes = decode();
    return bytes.length === size ? bytes : undefined;
  } catch {
    return undefined;
  }
}

/** The decompressor that a file's header names; `undefined` if there is none of that name. */
export async function decompressor(name: string): Promise<Decompress | undefined> {
  if (name === 'zstd') return zstd();
  if (name === 'zlib') return zlib;
  return name === 'none' ? () => undefined : undefined;
}
