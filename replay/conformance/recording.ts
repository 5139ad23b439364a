/**
 * A recording of a real kernel with the log of its driver: a folder with three files, each as it is
 * or gzipped under its name with `.gz`.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import type { TraceEvent } from '../../events/index.ts';
import { MemoryBytes, SequentialBytes } from '../formats/bytes.ts';
import { events, printable } from '../formats/index.ts';
import { openText } from '../formats/text/index.ts';
import { type Action, parseActions } from './action.ts';
import { type Gtod, parseGtods } from './gtod.ts';

/** What the driver noted of the machine (`meta.json`), as far as it is used. */
interface Meta {
  /** `uname -r`. */
  readonly kernel: string;
  readonly clocksource: string;
  /** The TSC can be a clocksource: it was not found unstable. */
  readonly hasTscClocksource: boolean;
  /** KVM_GET_TSC_KHZ of a new vCPU, kHz. */
  readonly kvmTscKhz: number;
  /** KVM_CAP_TSC_CONTROL. */
  readonly hasTscControl: boolean;
  readonly kvmclockPeriodicSync: boolean;
  readonly tscTolerancePpm: number;
  /** The host's TSC by CLOCK_MONOTONIC_RAW, kHz with decimals. */
  readonly measuredTscKhz: number;
}

/** A recording that was read. */
export interface CheckedRecording {
  readonly name: string;
  readonly meta: Meta;
  readonly actions: readonly Action[];
  readonly events: readonly TraceEvent[];
  readonly gtods: readonly Gtod[];
  /** The trace's timestamps are host TSC. */
  readonly isTscClock: boolean;
}

/** A folder that is no such recording; the message is one line. */
export class RecordingError extends Error {
  override readonly name = 'RecordingError';

  /** @internal */
  constructor(path: string, expected: string, found?: string) {
    const what = found === undefined ? '' : `, found ${found}`;
    super(`${printable(path)}: expected ${expected}${what}`);
  }
}

type Json = Readonly<Record<string, unknown>>;

/** Highest frequency that KVM counts in its 32 bits with room to spare, kHz. */
const MAX_KHZ = 1_000_000_000;

const objectAt = (json: Json, name: string): Json => {
  const value = json[name];
  return typeof value === 'object' && value !== null ? (value as Json) : {};
};

/** A number of the notes: one that is missing has a usual value, one that is no number is damage. */
function numberAt(json: Json, name: string, usual: number, file: string): number {
  const value = json[name] ?? usual;
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  if (typeof number !== 'number' || !Number.isFinite(number) || number < 0) {
    throw new RecordingError(file, `${name} as a number`);
  }
  return number;
}

/** A frequency of the notes, which is never 0. */
function khzAt(json: Json, name: string, usual: number, file: string): number {
  const khz = numberAt(json, name, usual, file);
  if (khz < 1 || khz > MAX_KHZ) throw new RecordingError(file, `${name} of 1 to ${MAX_KHZ} kHz`);
  return khz;
}

function parseMeta(content: Content): Meta {
  const { file } = content;
  let json: unknown;
  try {
    json = JSON.parse(textOf(content));
  } catch {
    throw new RecordingError(file, 'JSON');
  }
  if (typeof json !== 'object' || json === null) throw new RecordingError(file, 'an object');
  const notes = json as Json;
  const kernel = notes['kernel'];
  if (typeof kernel !== 'string') throw new RecordingError(file, 'kernel as text');
  const khz = khzAt(notes, 'kvm_tsc_khz', Number.NaN, file);
  const params = objectAt(notes, 'kvm_params');
  return {
    kernel,
    clocksource: String(notes['clocksource'] ?? 'tsc'),
    hasTscClocksource: /\btsc\b/.test(String(notes['clocksources'] ?? 'tsc')),
    kvmTscKhz: khz,
    hasTscControl: objectAt(notes, 'caps')['KVM_CAP_TSC_CONTROL'] === 1,
    kvmclockPeriodicSync: params['kvmclock_periodic_sync'] !== 'N',
    tscTolerancePpm: numberAt(params, 'tsc_tolerance_ppm', 250, file),
    measuredTscKhz: khzAt(notes, 'measured_tsc_khz_by_raw', khz, file),
  };
}

/** Most that a file may hold: what a string of the runtime can. */
const MAX_BYTES = 500_000_000;

/** A file's name and content. */
interface Content {
  readonly file: string;
  readonly bytes: Buffer;
}

const textOf = ({ bytes }: Content): string => bytes.toString('utf8');

/** Reads a file, or the gzipped one beside its place. */
async function contentOf(folder: string, name: string): Promise<Content> {
  const file = join(folder, name);
  let bytes: Buffer;
  try {
    bytes = await readFile(file);
  } catch {
    return unzippedOf(`${file}.gz`, file);
  }
  if (bytes.length > MAX_BYTES) throw new RecordingError(file, `at most ${MAX_BYTES} bytes`);
  return { file, bytes };
}

async function unzippedOf(zipped: string, file: string): Promise<Content> {
  let bytes: Buffer;
  try {
    bytes = await readFile(zipped);
  } catch {
    throw new RecordingError(file, 'a readable file, or one with .gz');
  }
  try {
    return { file: zipped, bytes: gunzipSync(bytes, { maxOutputLength: MAX_BYTES }) };
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'ERR_BUFFER_TOO_LARGE') {
      throw new RecordingError(zipped, `at most ${MAX_BYTES} bytes when unzipped`, 'more');
    }
    const found = code === 'Z_BUF_ERROR' ? 'data that ends in the midst' : 'damaged data';
    throw new RecordingError(zipped, 'gzip data', found);
  }
}

async function eventsOf({ file, bytes }: Content) {
  const trace = await openText(new SequentialBytes(new MemoryBytes(file, bytes)));
  const all: TraceEvent[] = [];
  try {
    for await (const event of events(trace)) all.push(event);
  } finally {
    await trace.close();
  }
  return { all, isTscClock: trace.clock.unit === 'tsc' };
}

/**
 * Reads the recording in a folder: `actions.jsonl`, `trace.txt`, `meta.json`.
 *
 * @throws RecordingError, ActionError or FormatError where a file is missing or damaged.
 */
export async function readRecording(folder: string): Promise<CheckedRecording> {
  const meta = parseMeta(await contentOf(folder, 'meta.json'));
  const log = await contentOf(folder, 'actions.jsonl');
  const actions = parseActions(textOf(log), log.file);
  const trace = await contentOf(folder, 'trace.txt');
  const { all, isTscClock } = await eventsOf(trace);
  const gtods = isTscClock ? parseGtods(textOf(trace), trace.file) : [];
  return { name: folder, meta, actions, events: all, gtods, isTscClock };
}
