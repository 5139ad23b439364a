import { describe, expect, test } from 'vitest';
import { replayText } from './fixtures.ts';
import { type ThreadText, TraceText } from './trace-text.ts';

/** Hosts as they really look: several VMMs of one kind, whose descriptors have the same numbers. */
const CREATE_VM = 0xae01;
const CREATE_VCPU = 0xae41;
const RUN = 0xae80;
const SET_MSRS = 0x4008ae89;
const MS = 2_000_000n;

const replayed = async (trace: TraceText) => {
  const { findings, summary } = await replayText(String(trace));
  return {
    steps: findings
      .filter((f) => f.rule === 'jump' || f.rule === 'tsc-jump')
      .map((f) => `${f.vm?.id}/${f.vcpu} ${f.deltaNs}`),
    rules: findings.map((f) => f.rule),
    findings,
    vms: summary.vms.map((vm) => ({ id: vm.id, vcpus: vm.vcpus, ambiguous: vm.ambiguous })),
    unit: summary.clock.unit,
  };
};

/** A page that reads `ns` at guest TSC `tsc`, then an entry. */
const runs = (
  trace: TraceText,
  at: bigint,
  thread: ThreadText,
  page: { version: number; ns: bigint; tsc?: bigint; vcpu?: number },
) =>
  trace
    .page(at, { tsc: at, ...page }, thread)
    .entry(at + 1n, page.vcpu ?? 0, thread)
    .exit(at + 2n, page.vcpu ?? 0, thread);

describe('two VMMs with the same descriptors, no process ids', () => {
  const first = { tid: 101, comm: 'CPU 0/KVM' };
  const second = { tid: 201, comm: 'CPU 0/KVM' };

  test('a VM from before the recording is not taken for the one created in it', async () => {
    const trace = new TraceText()
      .entry(5n, 0, first)
      .ioctl(10n, 10, CREATE_VM, 0n, 11n, { tid: 200 })
      .ioctl(20n, 11, CREATE_VCPU, 0n, 14n, { tid: 200 })
      .enterIoctl(30n, 14, RUN, 0n, second);
    runs(trace, 1n * MS, second, { version: 2, ns: 1_000_000n });
    trace.enterIoctl(2n * MS, 14, RUN, 0n, first);
    runs(trace, 3n * MS, first, { version: 2, ns: 5_000_000_000n });
    expect(await replayed(trace)).toMatchObject({
      steps: [],
      vms: [
        { id: '101', vcpus: [0] },
        { id: '200-11', vcpus: [0] },
      ],
    });
  });

  test('both created in the recording, each vCPU by its own thread', async () => {
    const trace = new TraceText()
      .ioctl(10n, 10, CREATE_VM, 0n, 11n, { tid: 100 })
      .ioctl(20n, 10, CREATE_VM, 0n, 11n, { tid: 200 })
      .ioctl(30n, 11, CREATE_VCPU, 0n, 14n, first)
      .ioctl(40n, 11, CREATE_VCPU, 0n, 14n, second)
      .enterIoctl(50n, 14, RUN, 0n, first)
      .enterIoctl(60n, 14, RUN, 0n, second);
    runs(trace, 1n * MS, first, { version: 2, ns: 1_000_000n });
    runs(trace, 2n * MS, second, { version: 2, ns: 70_000_000n });
    runs(trace, 3n * MS, first, { version: 4, ns: 3_000_000n + 5_000n });
    runs(trace, 4n * MS, second, { version: 4, ns: 72_000_000n - 3_000n });
    expect(await replayed(trace)).toMatchObject({
      steps: ['100-11/0 5000', '200-11/0 -3000'],
      vms: [{ id: '100-11' }, { id: '200-11' }],
    });
  });
});

test('a thread id that another process got is another thread', async () => {
  const trace = new TraceText();
  runs(trace, 1n * MS, { tid: 101, tgid: 100 }, { version: 2, ns: 1_000_000n });
  runs(trace, 2n * MS, { tid: 101, tgid: 300 }, { version: 2, ns: 77_000_000n });
  expect(await replayed(trace)).toMatchObject({ steps: [], vms: [{ id: '100' }, { id: '300' }] });
});

describe('one thread that runs vCPUs of several VMs', () => {
  const thread = { tid: 50, comm: 'driver' };

  test('descriptors tell them apart, though their creation was not recorded', async () => {
    const trace = new TraceText();
    const run = (at: bigint, fd: number, version: number, ns: bigint) => {
      trace.enterIoctl(at, fd, RUN, 0n, thread);
      runs(trace, at + 1n, thread, { version, ns, tsc: at });
      trace.exitIoctl(at + 9n, 0n, thread);
    };
    run(1n * MS, 14, 12, 1_000_000n);
    run(2n * MS, 20, 102, 900_000_000n);
    run(3n * MS, 14, 14, 3_000_000n + 4_000n);
    run(4n * MS, 20, 104, 902_000_000n);
    expect(await replayed(trace)).toMatchObject({
      steps: ['50/0 4000'],
      vms: [{ id: '50' }, { id: '50.2' }],
    });
  });

  test('without them, versions that do not go on show it, and no jump is told', async () => {
    const trace = new TraceText();
    runs(trace, 1n * MS, thread, { version: 12, ns: 1_000_000n });
    runs(trace, 2n * MS, thread, { version: 102, ns: 900_000_000n });
    runs(trace, 3n * MS, thread, { version: 14, ns: 3_000_000n });
    const { steps, vms, findings } = await replayed(trace);
    expect(steps).toEqual([]);
    expect(vms).toEqual([{ id: '50', vcpus: [0], ambiguous: true }]);
    expect(findings.filter((f) => f.rule === 'unmeasured' && f.severity === 'notice')).toHaveLength(
      1,
    );
  });

  test('a vCPU created where one is known is another VM’s', async () => {
    const trace = new TraceText();
    runs(trace, 1n * MS, thread, { version: 12, ns: 1_000_000n });
    trace.offset(2n * MS, 0n, -2n * MS, 0, thread);
    runs(trace, 3n * MS, thread, { version: 14, ns: 900_000_000n });
    expect(await replayed(trace)).toMatchObject({ steps: [], vms: [{ ambiguous: true }] });
  });
});

test('VMs one after the other, whose vCPUs were created in the recording, are two', async () => {
  const trace = new TraceText().offset(10n, 0n, -10n, 0, { tid: 101 });
  runs(trace, 1n * MS, { tid: 101 }, { version: 2, ns: 1_000_000n });
  trace.offset(2n * MS, 0n, -2n * MS, 0, { tid: 201 });
  runs(trace, 3n * MS, { tid: 201 }, { version: 2, ns: 900_000_000n });
  expect((await replayed(trace)).vms.map((vm) => vm.id)).toEqual(['101', '201']);
});

test('two microVMs whose main threads create what others run: true jumps are kept', async () => {
  const trace = new TraceText()
    .offset(10n, 0n, -10n, 0, { tid: 100 })
    .offset(20n, 0n, -20n, 0, { tid: 200 });
  for (const tid of [101, 201]) runs(trace, 1n * MS, { tid }, { version: 2, ns: 1_000_000n });
  runs(trace, 2n * MS, { tid: 101 }, { version: 4, ns: 2_000_000n + 5_000n });
  trace.entry(3n * MS, 0, { tid: 201 });
  const { steps, vms } = await replayed(trace);
  expect(steps.map((s) => s.split(' ')[1])).toEqual(['5000']);
  expect(vms.map((vm) => vm.id)).toEqual(['101', '201']);
});

describe('scaled guests', () => {
  /** A guest whose TSC runs at `percent` of the host's; its page says 2 GHz. */
  const scaled = (trace: TraceText, percent: bigint, stepNs: bigint) => {
    const guest = (host: bigint) => (host * percent) / 100n;
    trace.offset(10n, 0n, -1000n);
    for (const [at, version, ns] of [
      [600_000n * MS, 2, 0n],
      [900_000n * MS, 4, stepNs],
    ] as const) {
      const tsc = guest(at) - 1000n;
      trace.masterclock(at, 1).page(at + 500n, { version, tsc, ns: tsc / 2n + ns });
      trace.entry(at + 900n).exit(at + 1000n);
    }
    return trace;
  };

  test.each([80n, 99n, 101n, 120n])(
    'at %i %% a step is what it is, and the clock stays',
    async (percent) => {
      const { steps, unit, findings } = await replayed(scaled(new TraceText(), percent, 7_000n));
      expect(steps).toEqual(['100/0 7000']);
      expect(unit).toBe('tsc');
      expect(findings.find((f) => f.rule === 'jump')?.predictedNs).toBeUndefined();
      expect(findings.filter((f) => f.rule === 'drift')).toEqual([]);
    },
  );
});

describe('causes', () => {
  const thread = { tid: 53 };
  const created = () =>
    runs(
      new TraceText()
        .ioctl(10n, 3, CREATE_VM, 0n, 6n, thread)
        .ioctl(20n, 6, CREATE_VCPU, 0n, 7n, thread)
        .enterIoctl(30n, 7, RUN, 0n, thread),
      1n * MS,
      thread,
      { version: 2, ns: 1_000_000n },
    ).exitIoctl(1n * MS + 9n, 0n, thread);

  const causeOf = async (trace: TraceText) => {
    trace.enterIoctl(2n * MS, 7, RUN, 0n, thread);
    runs(trace, 2n * MS + 5n, thread, { version: 4, ns: 9_000_000n, tsc: 2n * MS });
    const { findings } = await replayed(trace);
    return findings.find((f) => f.rule === 'jump')?.cause;
  };

  test('only a KVM_SET_CLOCK that succeeded moved the clock', async () => {
    const SET_CLOCK = 0x4030ae7b;
    const at = 1n * MS + 100n;
    expect(await causeOf(created().ioctl(at, 6, SET_CLOCK, 0n, 0n, thread))).toBe('KVM_SET_CLOCK');
    expect(await causeOf(created().ioctl(at, 6, SET_CLOCK, 0n, -22n, thread))).toBe(
      'a clock update',
    );
  });

  test('KVM_SET_MSRS is to blame only if it wrote a TSC offset', async () => {
    const at = 1n * MS + 100n;
    expect(await causeOf(created().ioctl(at, 7, SET_MSRS, 0n, 1n, thread))).toBe('a clock update');
    const wrote = created()
      .enterIoctl(at, 7, SET_MSRS, 0n, thread)
      .offset(at + 1n, 0n, 0n, 0, thread)
      .exitIoctl(at + 2n, 1n, thread);
    expect(await causeOf(wrote)).toBe('a host write of its MSRs');
  });
});

test('more threads than any host has are refused, not followed', async () => {
  const lines = Array.from(
    { length: 200_001 },
    (_, i) =>
      `${'x'.padStart(16)}-${String(i + 1).padEnd(7)} [000] d..1. ${i + 10}: kvm_entry: vcpu 0`,
  );
  await expect(replayText(`${lines.join('\n')}\n`)).rejects.toThrow(/at most 200000 threads/);
});
