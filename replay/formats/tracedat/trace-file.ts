/**
 * What a trace.dat says about itself before the first event, the same for both versions.
 */
import type { RecordedGuest } from '../recording.ts';
import type { EventFormat } from './event-format.ts';

/** Where a ring-buffer page keeps what; from the recorded `header_page` description. */
export interface PageHeader {
  readonly timestampOffset: number;
  readonly commitOffset: number;
  /** Bytes of a `long` of the recorded kernel. */
  readonly longSize: 4 | 8;
  readonly dataOffset: number;
}

/** The data of one CPU of one buffer. */
export interface CpuRange {
  readonly cpu: number;
  /** First byte in the file. */
  readonly offset: number;
  /** Bytes in the file. */
  readonly size: number;
}

/** A ring buffer: the top one, or an instance. */
export interface TraceBuffer {
  /** Empty: the top one. */
  readonly name: string;
  /** Name of its clock where the buffer says it. */
  readonly clock: string | undefined;
  /** Bytes of a page of it (a "sub-buffer": several machine pages, where the kernel was told so). */
  readonly pageSize: number;
  readonly compressed: boolean;
  readonly cpus: readonly CpuRange[];
}

/** What is needed to understand an event's bytes. */
export interface TraceMetadata {
  readonly pageHeader: PageHeader;
  readonly formats: readonly EventFormat[];
  /** Thread names by thread id. */
  readonly comms: ReadonlyMap<number, string>;
  /** Strings of the kernel image by address: what a recorded `const char *` points to. */
  readonly strings: ReadonlyMap<bigint, string>;
}

/** Facts that options carry. */
export interface TraceOptions {
  /** Name of the selected clock. */
  clock: string | undefined;
  /** Timestamps are TSC cycles, which the file knows how to convert to nanoseconds. */
  tscToNs: boolean;
  /** To be added to nanosecond timestamps. */
  offsetNs: bigint;
  kernelRelease: string | undefined;
  cpuCount: number | undefined;
  guests: RecordedGuest[];
}

export interface TraceFile {
  readonly name: string;
  readonly version: 6 | 7;
  readonly little: boolean;
  /** Name of the compression; version 6 has none. */
  readonly compression: string;
  readonly metadata: TraceMetadata;
  readonly options: TraceOptions;
  readonly buffers: readonly TraceBuffer[];
}

export function noOptions(): TraceOptions {
  return {
    clock: undefined,
    tscToNs: false,
    offsetNs: 0n,
    kernelRelease: undefined,
    cpuCount: undefined,
    guests: [],
  };
}

/** CPUs with data, over all buffers, that are taken for real. */
export const CPU_RANGES_MAX = 1 << 16;
