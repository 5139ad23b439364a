/** Real recordings through the trace.dat reader. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { camelCase } from '../../events/event.ts';
import {
  EVENT_NAMES,
  EVENTS,
  EventBatch,
  type EventName,
  type TraceEvent,
} from '../../events/index.ts';
import { FileBytes, MemoryBytes } from '../../replay/formats/bytes.ts';
import { openTraceDat, type RawEvent } from '../../replay/formats/tracedat/index.ts';
import { isTraceDat } from '../../replay/formats/tracedat/magic.ts';
import { fixture, readAll, readRaw } from './tracedat-reading.ts';

const root = new URL('../../', import.meta.url);
const recordings = fileURLToPath(new URL('test/fixtures/recordings/', root));
const traces = readdirSync(recordings, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.dat'))
  .sort();

/** The event of the catalogue that a raw event is, if any. */
function catalogued({ name, system }: RawEvent): EventName | undefined {
  if (system === 'ftrace' && name === 'print') return 'marker';
  const found = EVENT_NAMES.find((n) => n === name);
  return found !== undefined && EVENTS[found].system === system ? found : undefined;
}

/** A catalogue event made from a raw one. */
function typed(raw: RawEvent, type: EventName): TraceEvent {
  const { timestamp, cpu, tid, comm } = raw;
  const event: Record<string, unknown> = { type, timestamp, cpu, tid, tgid: 0, comm };
  const fields: Readonly<Record<string, { readonly type: string; readonly absent?: number }>> =
    EVENTS[type].fields;
  for (const [name, spec] of Object.entries(fields)) {
    const value = (raw.fields[name] ?? BigInt(spec.absent ?? Number.NaN)) as bigint;
    event[camelCase(name)] = converted(spec.type, value);
  }
  if ('text' in EVENTS[type]) {
    const text = raw.fields['buf'] ?? raw.fields['action'] ?? raw.fields['text'];
    event['text'] = `${text}`.replace(/\n$/, '');
  }
  return event as unknown as TraceEvent;
}

function converted(type: string, value: bigint): bigint | number | boolean {
  if (type === 'bool') return value !== 0n;
  const bits = Number(type.slice(1));
  const wrapped = type.startsWith('s') ? BigInt.asIntN(bits, value) : BigInt.asUintN(bits, value);
  return bits === 64 ? wrapped : Number(wrapped);
}

describe.each(traces)('%s', (path) => {
  it('gives the same events in batches as one by one', async () => {
    const bytes = fixture(path);
    const raw = await readRaw(bytes);
    const expected = raw.flatMap((event) => {
      const type = catalogued(event);
      return type === undefined ? [] : [typed(event, type)];
    });
    const { recording, events } = await readAll(bytes);
    expect(events).toEqual(expected);
    expect(events.length).toBeGreaterThan(100);
    expect(recording.stats).toEqual({
      events: raw.length,
      lostEvents: 0n,
      gaps: 0,
      malformed: 0,
      firstMalformed: undefined,
      firstTimestamp: raw[0]?.timestamp,
      lastTimestamp: raw.at(-1)?.timestamp,
    });
  });

  it('is in order of time', async () => {
    const stamps = (await readRaw(fixture(path))).map((e) => e.timestamp);
    expect(stamps.every((stamp, i) => i === 0 || stamp >= stamps[i - 1]!)).toBe(true);
  });
});

describe('boot-6.12', () => {
  const v7 = fixture('boot-6.12/trace.dat');
  const v6 = fixture('boot-6.12/trace.v6.dat');

  it('is the same in versions 6 and 7', async () => {
    const [a, b] = [await readAll(v7), await readAll(v6)];
    expect(a.events).toEqual(b.events);
    expect(a.recording.stats).toEqual(b.recording.stats);
    expect(a.recording.clock).toEqual(b.recording.clock);
    expect([a.recording.format, b.recording.format]).toEqual(['trace.dat v7', 'trace.dat v6']);
  });

  it('says what was recorded', async () => {
    const { recording, events } = await readAll(v7);
    expect(recording).toMatchObject({
      name: 'trace.dat',
      format: 'trace.dat v7',
      clock: { unit: 'tsc', name: 'x86-tsc', resolutionNs: 1 },
      kernelRelease: '6.12.117',
      guests: [],
    });
    expect(events[2]).toEqual({
      type: 'marker',
      timestamp: 13155412753n,
      cpu: 0,
      tid: 57,
      tgid: 0,
      comm: 'driver',
      text: 'op 0 create_vm {"vm":0,"irqchip":0}',
    });
  });

  it('delivers only what is asked for, and counts the rest', async () => {
    const { recording, events } = await readAll(v7, ['kvm_track_tsc']);
    expect(events.map((e) => e.type)).toEqual(['kvm_track_tsc']);
    expect(recording.stats.events).toBe(534);
  });

  it('gives the same events in batches of any size', async () => {
    const [one, many] = [await readAll(v7, undefined, 1), await readAll(v7, undefined, 4096)];
    expect(one.events).toEqual(many.events);
  });

  it('goes on returning 0 at the end, and closes twice', async () => {
    const recording = await openTraceDat(new MemoryBytes('x', v7), {});
    const batch = new EventBatch(4096);
    expect(await recording.read(batch)).toBe(419);
    expect([await recording.read(batch), await recording.read(batch)]).toEqual([0, 0]);
    await recording.close();
    await recording.close();
  });

  it('reads a file on disk', async () => {
    const path = join(recordings, 'boot-6.12/trace.dat');
    const file = new FileBytes(path, await open(path), v7.length);
    const recording = await openTraceDat(file, {});
    const batch = new EventBatch(4096);
    expect(await recording.read(batch)).toBe(419);
    expect(recording.name).toBe(path);
    await recording.close();
  });

  it('is known by its first bytes', () => {
    expect(isTraceDat(v7.subarray(0, 10))).toBe(true);
    expect(isTraceDat(v6)).toBe(true);
    expect(isTraceDat(v7.subarray(0, 9))).toBe(false);
    expect(isTraceDat(Buffer.from('driver-57 [000] 13149257773: print: x'))).toBe(false);
  });
});

describe('other recordings', () => {
  it('of a nanosecond clock', async () => {
    const { recording } = await readAll(fixture('tsc-host-mono-raw-6.12/trace.dat'));
    expect(recording.clock).toEqual({ unit: 'ns', name: 'mono_raw', resolutionNs: 1 });
  });

  it('resolve strings of the kernel by their address', async () => {
    const { events } = await readAll(fixture('suspend-6.1/trace.dat'), ['suspend_resume']);
    const steps = events.map((e) => (e.type === 'suspend_resume' ? e.text : ''));
    expect(steps).toContain('suspend_enter');
    expect(steps).toContain('dpm_resume_noirq');
    expect(steps.filter((text) => text.startsWith('0x'))).toEqual([]);
  });
});

describe('the generator of long recordings', () => {
  let folder = '';
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'masterclock-test-'));
  });
  afterAll(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  const generate = (repeat: number, compression: string): Buffer => {
    const source = join(recordings, 'threads-6.12/trace.dat');
    const target = join(folder, `${compression}.dat`);
    const script = fileURLToPath(new URL('bench/lib/long-tracedat.mjs', root));
    const args = [script, source, target, '--repeat', `${repeat}`, '--compression', compression];
    execFileSync(process.execPath, args);
    return readFileSync(target);
  };

  it.each(['none', 'zlib'])('keeps the events with compression %s', async (compression) => {
    const original = await readAll(fixture('threads-6.12/trace.dat'));
    const { recording, events } = await readAll(generate(1, compression));
    expect(events).toEqual(original.events);
    expect(recording.stats).toEqual(original.recording.stats);
    expect(recording.kernelRelease).toBe(original.recording.kernelRelease);
  });

  it('repeats the events, each time later', async () => {
    const once = await readAll(fixture('threads-6.12/trace.dat'));
    const { events } = await readAll(generate(3, 'none'));
    const { firstTimestamp, lastTimestamp } = once.recording.stats;
    const length = lastTimestamp! - firstTimestamp! + 1n;
    const expected = [0n, 1n, 2n].flatMap((round) =>
      once.events.map((e) => ({ ...e, timestamp: e.timestamp + round * length })),
    );
    expect(events).toEqual(expected);
  });
});
