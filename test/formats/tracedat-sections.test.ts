/** What a trace.dat says about itself: clocks, options, buffers. */
import { describe, expect, it } from 'vitest';
import { buildV6, buildV7, type FileSpec } from './tracedat-builder.ts';
import { Bytes, expire, Page, PC } from './tracedat-pages.ts';
import { readAll, readRaw, refusal } from './tracedat-reading.ts';

const page = new Page(PC).event(1, expire(PC, 1, -5)).at(1000n);
const one: FileSpec = { buffers: [{ clock: 'local', cpus: [[page]] }], clock: '[local]' };

describe('clocks', () => {
  const clockOf = async (bytes: Buffer) => (await readAll(bytes)).recording.clock;
  const v7 = (clock: string, options: FileSpec['options'] = []) =>
    buildV7({ buffers: [{ clock, cpus: [[page]] }], options });

  it.each([
    ['x86-tsc', 'tsc'],
    ['local', 'ns'],
    ['mono_raw', 'ns'],
    ['boot', 'ns'],
    ['tai', 'ns'],
    ['counter', 'order'],
    ['uptime', 'order'],
    ['ppc-tb', 'order'],
  ])('%s counts in %s', async (name, unit) => {
    expect(await clockOf(v7(name))).toEqual({ unit, name, resolutionNs: 1 });
    const v6 = buildV6({ buffers: one.buffers, clock: `local [${name}] tai` });
    expect(await clockOf(v6)).toEqual({ unit, name, resolutionNs: 1 });
  });

  it('counts in TSC cycles where the file could convert them to nanoseconds', async () => {
    const option = new Bytes().u32(123).u32(7).u64(0).bytes;
    expect((await clockOf(v7('tsc2nsec', [[14, option]]))).unit).toBe('tsc');
  });

  it('takes the clock of the buffer where TRACECLOCK names another', async () => {
    const file = buildV7({ buffers: [{ clock: 'x86-tsc', cpus: [[page]] }], clock: '[local]' });
    expect((await clockOf(file)).name).toBe('x86-tsc');
  });

  it('takes a clock that nobody named for nanoseconds, as trace-cmd does', async () => {
    const file = buildV6({ buffers: one.buffers });
    expect(await clockOf(file)).toEqual({ unit: 'ns', name: undefined, resolutionNs: 1 });
  });
});

describe('options', () => {
  const text = (value: string) => Buffer.from(`${value}\0`);

  it.each([
    ['0x10', '20', 1001n + 16000n + 20n],
    ['-1', '010', 1001n - 1000n + 8n],
    ['', 'no number', 1001n],
  ])('add DATE %s and OFFSET %s to nanoseconds', async (date, offset, expected) => {
    const options = [
      [1, text(date)],
      [7, text(offset)],
    ] as const;
    for (const build of [buildV6, buildV7]) {
      const { events, recording } = await readAll(build({ ...one, options }));
      expect(events[0]?.timestamp).toBe(expected);
      expect(recording.stats).toMatchObject({ firstTimestamp: expected, lastTimestamp: expected });
      expect((await readRaw(build({ ...one, options })))[0]?.timestamp).toBe(expected);
    }
  });

  it('do not add them to TSC cycles', async () => {
    const buffers = [{ clock: 'x86-tsc', cpus: [[page]] }];
    const { events } = await readAll(buildV7({ buffers, options: [[7, text('5')]] }));
    expect(events[0]?.timestamp).toBe(1001n);
  });

  it('tell the kernel release', async () => {
    const options = [[5, text('Linux a-host 6.1.192-test x86_64')]] as const;
    expect((await readAll(buildV7({ ...one, options }))).recording.kernelRelease).toBe(
      '6.1.192-test',
    );
    expect((await readAll(buildV7(one))).recording.kernelRelease).toBeUndefined();
  });

  it('tell the guests', async () => {
    const guest = (little: boolean) =>
      new Bytes(little).raw('web\0').u64(99).u32(2).u32(0).u32(41).u32(1).u32(42).bytes;
    const expected = [
      {
        name: 'web',
        vcpus: [
          { vcpu: 0, tid: 41 },
          { vcpu: 1, tid: 42 },
        ],
      },
    ];
    const little = buildV7({ ...one, options: [[13, guest(true)]] });
    expect((await readAll(little)).recording.guests).toEqual(expected);
    const machine = { ...PC, little: false };
    const buffers = [{ cpus: [[new Page(machine).at(0n)]] }];
    const big = buildV6({ machine, buffers, options: [[13, guest(false)]] });
    expect((await readAll(big)).recording.guests).toEqual(expected);
  });

  it('that nobody knows are passed over', async () => {
    const options = [
      [12, Buffer.alloc(3)],
      [24, Buffer.alloc(70000)],
      [999, Buffer.alloc(0)],
    ] as const;
    expect((await readAll(buildV7({ ...one, options }))).events).toHaveLength(1);
  });

  it('that claim too much are refused', async () => {
    const guest = new Bytes().raw('web\0').u64(1).u32(0xffffffff).bytes;
    const error = await refusal(buildV7({ ...one, options: [[13, guest]] }));
    expect(error.expected).toBe('4294967295 vCPUs of a guest');
  });
});

describe('buffers', () => {
  const at = (time: bigint, vcpu: number) => new Page(PC).event(0, expire(PC, vcpu, 0)).at(time);
  const vcpus = async (bytes: Buffer) =>
    (await readRaw(bytes)).map((e) => `${e.buffer}:${e.fields['vcpu_id'] ?? e.name}`);

  it.each([
    ['v6', buildV6],
    ['v7', buildV7],
  ])('are all read, and merged, in %s', async (_, build) => {
    const buffers = [
      { clock: 'local', cpus: [[at(10n, 1), at(30n, 2)], []] },
      { name: 'foo', clock: 'local', cpus: [[at(20n, 3)], [at(5n, 4)]] },
    ];
    const file = build({ buffers, clock: '[local]' });
    expect(await vcpus(file)).toEqual(['foo:4', ':1', 'foo:3', ':2']);
  });

  it('on another clock are left out, and that is a gap', async () => {
    const buffers = [
      { clock: 'x86-tsc', cpus: [[at(10n, 1)]] },
      { name: 'foo', clock: 'local', cpus: [[at(20n, 3)], [at(5n, 4)]] },
    ];
    const { events } = await readAll(buildV7({ buffers }));
    expect(events.map((e) => e.type)).toEqual(['kvm_wait_lapic_expire', 'gap'].reverse());
    expect(events[0]).toMatchObject({
      timestamp: 10n,
      text: 'buffer "foo" is left out: its clock is local, not x86-tsc',
    });
  });

  it('without data do not decide about the clock', async () => {
    const buffers = [
      { clock: 'local', cpus: [[], []] },
      { name: 'foo', clock: 'x86-tsc', cpus: [[at(20n, 3)]] },
    ];
    const { recording, events } = await readAll(buildV7({ buffers }));
    expect([recording.clock.name, events.length]).toEqual(['x86-tsc', 1]);
  });

  it('without any event are an empty recording', async () => {
    const { recording, events } = await readAll(buildV7({ buffers: [{ cpus: [[]] }] }));
    expect([events, recording.stats.firstTimestamp]).toEqual([[], undefined]);
  });

  it('whose CPUs share bytes are refused', async () => {
    const file = buildV6({ buffers: [{ cpus: [[page], [page]] }] });
    const table = file.indexOf('flyrecord\0') + 10;
    file.copy(file, table + 16, table, table + 8);
    expect((await refusal(file)).expected).toBe('data of one CPU behind another');
  });
});
