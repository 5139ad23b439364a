/** Whether a thread of its own is worth it for a recording. */
import { availableParallelism } from 'node:os';

/** From this size on a thread pays for its start and for compiling the reader anew. */
const FROM_BYTES = 128 << 20;

/** What zstd and zlib leave of a trace is a tenth, or a little more. */
const COMPRESSED_TO = 8;

/** Node runs a thread's code as it was built: under test these are sources, which it can't run. */
const BUILT = import.meta.url.endsWith('.js');

/** Whether a recording of so many bytes is read sooner by a thread of its own. */
export const paysForThread = (bytes: number, isCompressed: boolean): boolean =>
  bytes * (isCompressed ? COMPRESSED_TO : 1) >= FROM_BYTES && BUILT && availableParallelism() > 1;
