/**
 * Reader of trace.dat, the binary recordings of trace-cmd: version 7 (uncompressed, zlib, zstd)
 * and version 6, of hosts of either byte order and word size.
 *
 * A file is read in three steps: what it says about itself (`header.ts`, `sections-v6.ts`,
 * `sections-v7.ts`, `options.ts`, `metadata.ts`, `event-format.ts`), the pages of each CPU
 * (`compression.ts`, `cpu-data.ts`, `ring-buffer.ts`, `cpu-stream.ts`) merged by time
 * (`merge.ts`), and the meaning of each event's bytes (`decode.ts`, `field-value.ts`).
 */
export type { EventFormat, FormatField } from './event-format.ts';
export type { FieldValue } from './field-value.ts';
export { type RawEvent, rawEvents } from './raw-events.ts';
export { openTraceDat } from './recording.ts';
