/** A recording of a real kernel with the log of its driver: a folder with three files. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TraceEvent } from '../../events/index.ts';
import { events, open } from '../formats/index.ts';
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

/** A folder that is no such recording. */
export class RecordingError extends Error {
  override readonly name = 'RecordingError';
}

type Json = Readonly<Record<string, unknown>>;

const objectAt = (json: Json, name: string): Json => {
  const value = json[name];
  return typeof value === 'object' && value !== null ? (value as Json) : {};
};

function parseMeta(text: string, file: string): Meta {
  let json: Json;
  try {
    json = JSON.parse(text) as Json;
  } catch {
    throw new RecordingError(`${file}: expected JSON`);
  }
  const kernel = json['kernel'];
  const khz = json['kvm_tsc_khz'];
  if (typeof kernel !== 'string' || typeof khz !== 'number') {
    throw new RecordingError(`${file}: expected kernel and kvm_tsc_khz`);
  }
  const params = objectAt(json, 'kvm_params');
  return {
    kernel,
    clocksource: String(json['clocksource'] ?? 'tsc'),
    hasTscClocksource: /\btsc\b/.test(String(json['clocksources'] ?? 'tsc')),
    kvmTscKhz: khz,
    hasTscControl: objectAt(json, 'caps')['KVM_CAP_TSC_CONTROL'] === 1,
    kvmclockPeriodicSync: params['kvmclock_periodic_sync'] !== 'N',
    tscTolerancePpm: Number(params['tsc_tolerance_ppm'] ?? 250),
    measuredTscKhz: Number(json['measured_tsc_khz_by_raw'] ?? khz),
  };
}

async function textOf(folder: string, name: string): Promise<string> {
  const file = join(folder, name);
  try {
    return await readFile(file, 'utf8');
  } catch {
    throw new RecordingError(`${file}: expected a readable file`);
  }
}

/**
 * Reads the recording in a folder: `actions.jsonl`, `trace.txt`, `meta.json`.
 *
 * @throws RecordingError, ActionError or FormatError where a file is missing or damaged.
 */
export async function readRecording(folder: string): Promise<CheckedRecording> {
  const meta = parseMeta(await textOf(folder, 'meta.json'), join(folder, 'meta.json'));
  const log = join(folder, 'actions.jsonl');
  const actions = parseActions(await textOf(folder, 'actions.jsonl'), log);
  const trace = await open(join(folder, 'trace.txt'));
  const all: TraceEvent[] = [];
  try {
    for await (const event of events(trace)) all.push(event);
  } finally {
    await trace.close();
  }
  const isTscClock = trace.clock.unit === 'tsc';
  const gtods = isTscClock ? parseGtods(await textOf(folder, 'trace.txt')) : [];
  return { name: folder, meta, actions, events: all, gtods, isTscClock };
}
