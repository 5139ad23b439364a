/**
 * `trace-cmd report` and this reader say the same of the same file, to the last character.
 *
 * The files are real recordings, and files built to show what those do not: the other byte order
 * and word size, lost events, absolute times.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MemoryBytes } from '../../replay/formats/bytes.ts';
import { openTraceDat } from '../../replay/formats/tracedat/index.ts';
import { ReportModel } from './trace-cmd-model.ts';
import { buildV6, buildV7 } from './tracedat-builder.ts';
import { expire, type Machine, Page, PC } from './tracedat-pages.ts';
import { fixture, readRaw } from './tracedat-reading.ts';

const recordings = fileURLToPath(new URL('../fixtures/recordings/', import.meta.url));
const installed = spawnSync('trace-cmd', ['--version']).error === undefined;
const required = process.env['CI'] !== undefined;
const reason = 'trace-cmd is not installed: agreement with `trace-cmd report` was NOT checked';
if (!installed && !required) console.warn(reason);

/** The lines of trace-cmd's report behind its first one, the number of CPUs. */
function report(path: string): string[] {
  const text = execFileSync('trace-cmd', ['report', '-R', '-t', '-i', path], {
    encoding: 'utf8',
    maxBuffer: 1 << 30,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const lines = text.replace(/\n$/, '').split('\n');
  expect(lines[0]).toMatch(/^cpus=\d+$/);
  return lines.slice(1);
}

/** The same lines as this reader understands the file. */
async function modelled(bytes: Uint8Array, longSize: number): Promise<string[]> {
  const { clock } = await openTraceDat(new MemoryBytes('trace.dat', bytes), {});
  // trace-cmd 3.1.6 does not know the clock `boot` and prints its nanoseconds as a plain number.
  const model = new ReportModel(longSize, clock.unit === 'ns' && clock.name !== 'boot');
  const lines = (await readRaw(bytes)).map((event) => model.line(event));
  return lines.join('\n').split('\n');
}

it.runIf(required)('trace-cmd is installed where this runs in CI', () => {
  expect(installed, reason).toBe(true);
});

describe.runIf(installed)('trace-cmd report', () => {
  const files = readdirSync(recordings, { recursive: true, encoding: 'utf8' });
  const traces = files.filter((path) => path.endsWith('.dat')).sort();

  it.each(traces)('agrees on %s', async (path) => {
    const expected = report(join(recordings, path));
    expect(expected.length).toBeGreaterThan(100);
    expect(await modelled(fixture(path), 8)).toEqual(expected);
  });
});

describe.runIf(installed)('trace-cmd report of built files', () => {
  let folder = '';
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'masterclock-test-'));
  });
  afterAll(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  const machines: readonly Machine[] = [
    PC,
    { little: true, longSize: 4, pageSize: 4096 },
    { little: false, longSize: 8, pageSize: 4096 },
    { little: false, longSize: 4, pageSize: 8192 },
  ];

  /** All kinds of entries of a page, on three CPUs. */
  function cpus(machine: Machine): Buffer[][] {
    const event = (vcpu: number, delta: number) => expire(machine, vcpu, delta, 9 + vcpu);
    const page = () => new Page(machine);
    const long = Buffer.concat([event(3, -3), Buffer.alloc(8)]);
    return [
      [
        page()
          .event(5, event(1, -1))
          .extend(1n << 33n)
          .event(1, event(2, 2))
          .at(1000n),
        page()
          .longEvent(3, long)
          .padding(2, 24)
          .event(1, event(4, 4))
          .at(1n << 34n, 12n),
      ],
      [
        page()
          .event(1, event(0, 8))
          .at((1n << 60n) + 2n, 'unknown'),
        page()
          .stamp(1234567n)
          .event(1, event(0, 5))
          .at((1n << 60n) + 3n),
      ],
      [
        page()
          .event(3, event(5, 6))
          .event(3, event(5, 7))
          .word(29, 0)
          .at(1n << 34n),
      ],
    ];
  }

  describe.each(machines)('of %o', (machine) => {
    it.each([
      ['v6', buildV6, 'mono_raw'],
      ['v7', buildV7, 'mono_raw'],
      ['v7', buildV7, 'x86-tsc'],
    ])('agrees on %s', async (_, build, clock) => {
      const buffers = [{ clock, cpus: cpus(machine) }];
      const bytes = build({ machine, buffers, clock: `local [${clock}]` });
      const path = join(folder, 'built.dat');
      writeFileSync(path, bytes);
      expect(await modelled(bytes, machine.longSize)).toEqual(report(path));
    });
  });

  // libtraceevent shows lost events only before an event that is the very first entry of its page.
  it('is silent about events lost before a page that begins with a time', async () => {
    const page = new Page(PC).stamp(5n).event(1, expire(PC, 1, 2));
    const bytes = buildV7({ buffers: [{ cpus: [[page.at(1n, 12n)]] }], clock: '[x86-tsc]' });
    const path = join(folder, 'silent.dat');
    writeFileSync(path, bytes);
    expect(await modelled(bytes, 8)).toEqual(['CPU:0 [12 EVENTS DROPPED]', ...report(path)]);
  });

  it('adds DATE and OFFSET to nanoseconds as trace-cmd does', async () => {
    const options = [
      [1, Buffer.from('0x5f5e100\0')],
      [7, Buffer.from('-250\0')],
    ] as const;
    const buffers = [{ clock: 'local', cpus: cpus(PC) }];
    const bytes = buildV7({ buffers, options, clock: '[local]' });
    const path = join(folder, 'date.dat');
    writeFileSync(path, bytes);
    expect(await modelled(bytes, 8)).toEqual(report(path));
  });
});
