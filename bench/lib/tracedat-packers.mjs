/** Chunks of pages written uncompressed, or compressed as trace-cmd does. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import { u32 } from './tracedat-bytes.mjs';
import { PAGES_IN_CHUNK } from './tracedat-pages.mjs';

/** Chunks that one run of the zstd program compresses. */
const CHUNKS_IN_RUN = 512;

/** How the chunks of one CPU are written; `uncounted` bytes of it are left out of its size. */
export const packers = {
  none: packer(0, (out, chunks) => {
    for (const chunk of chunks) out.write(chunk);
  }),
  zlib: packer(4, (out, chunks, pages) => {
    out.write(u32(Math.ceil(pages / PAGES_IN_CHUNK)));
    for (const chunk of chunks) writeChunk(out, deflateSync(chunk, { level: 9 }), chunk.length);
  }),
  zstd: packer(4, (out, chunks, pages) => {
    out.write(u32(Math.ceil(pages / PAGES_IN_CHUNK)));
    let run = [];
    for (const chunk of chunks) {
      run.push(chunk);
      if (run.length === CHUNKS_IN_RUN) {
        writeZstd(out, run);
        run = [];
      }
    }
    if (run.length > 0) writeZstd(out, run);
  }),
};

function packer(uncounted, write) {
  return Object.assign(write, { uncounted });
}

function writeChunk(out, packed, size) {
  out.write(u32(packed.length, size));
  out.write(packed);
}

/** Compresses several chunks by one run of the zstd program. */
function writeZstd(out, run) {
  const folder = mkdtempSync(join(tmpdir(), 'long-tracedat-'));
  try {
    const paths = run.map((chunk, i) => {
      const path = join(folder, `${i}`);
      writeFileSync(path, chunk);
      return path;
    });
    const { error, status, stderr } = spawnSync('zstd', ['-q', '--no-check', '-3', ...paths]);
    if (error?.code === 'ENOENT') {
      throw new Error('--compression zstd needs the zstd program, which is not installed');
    }
    if (error !== undefined || status !== 0) throw new Error(`zstd failed: ${error ?? stderr}`);
    run.forEach((chunk, i) => {
      writeChunk(out, readFileSync(`${paths[i]}.zst`), chunk.length);
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
