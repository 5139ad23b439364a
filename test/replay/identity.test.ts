import { describe, expect, test } from 'vitest';
import { fixture, replayFile, replayText, unzipped } from './fixtures.ts';
import { type ThreadText, TraceText } from './trace-text.ts';

const CREATE_VM = 0xae01;
const CREATE_VCPU = 0xae41;
const RUN = 0xae80;
/** Cycles in a microsecond. */
const US = 2000n;

/** A vCPU that gets a page, runs, and gets a page `stepNs` off at its next entry. */
function jumping(
  trace: TraceText,
  at: bigint,
  { vcpu = 0, stepNs, thread }: { vcpu?: number; stepNs: bigint; thread: ThreadText },
): TraceText {
  const first = { vcpu, tsc: at, ns: at };
  const second = { vcpu, version: 4, tsc: at + 10n * US, ns: at + 10_000n + stepNs };
  return trace
    .page(at + 1n, first, thread)
    .entry(at + 2n, vcpu, thread)
    .exit(at + US, vcpu, thread)
    .page(at + 10n * US + 1n, second, thread)
    .entry(at + 10n * US + 2n, vcpu, thread);
}

const steps = async (trace: TraceText) => {
  const { findings, summary } = await replayText(String(trace));
  return {
    steps: findings
      .filter((f) => f.rule === 'jump')
      .map((f) => `${f.vm?.id}/${f.vcpu} ${f.deltaNs}`),
    vms: summary.vms,
  };
};

describe('by ioctls', () => {
  test('VMs of one thread are told apart, and a reused descriptor is a new VM', async () => {
    const thread = { tid: 53, comm: 'driver' };
    const trace = new TraceText();
    const createVm = (at: bigint, vmFd: number, vcpuFd: number) =>
      trace
        .ioctl(at, 3, CREATE_VM, 0n, BigInt(vmFd), thread)
        .ioctl(at + 10n, vmFd, CREATE_VCPU, 0n, BigInt(vcpuFd), thread);
    const run = (at: bigint, fd: number, page: { version: number; ns: bigint }) =>
      trace
        .enterIoctl(at, fd, RUN, 0n, thread)
        .page(at + 1n, { tsc: at, ...page }, thread)
        .entry(at + 2n, 0, thread)
        .exit(at + 3n, 0, thread)
        .exitIoctl(at + 4n, 0n, thread);
    createVm(1000n, 6, 7);
    createVm(2000n, 8, 9);
    run(10_000n, 7, { version: 2, ns: 1_000_000n });
    run(20_000n, 9, { version: 2, ns: 77_000_000n });
    run(30_000n, 7, { version: 4, ns: 1_010_000n + 5_000n });
    run(40_000n, 9, { version: 4, ns: 77_010_000n - 7_000n });
    createVm(50_000n, 6, 7);
    run(60_000n, 7, { version: 2, ns: 5n });
    const { steps: found, vms } = await steps(trace);
    expect(found).toEqual(['53-6/0 5000', '53-8/0 -7000']);
    expect(vms.map((vm) => vm.id)).toEqual(['53-6', '53-8', '53-6.2']);
    expect(vms[0]).toMatchObject({ source: 'ioctls', process: 'driver', pid: 53, vcpus: [0] });
  });

  test('a vCPU thread joins the process whose descriptors explain its ioctl', async () => {
    const main = { tid: 200, comm: 'vmm' };
    const runner = { tid: 201, comm: 'vcpu 1' };
    const trace = new TraceText()
      .ioctl(10n, 3, CREATE_VM, 0n, 6n, main)
      .ioctl(20n, 6, CREATE_VCPU, 0n, 7n, main)
      .ioctl(30n, 6, CREATE_VCPU, 1n, 8n, main)
      .enterIoctl(40n, 8, RUN, 0n, runner);
    jumping(trace, 1_000_000n, { vcpu: 1, stepNs: 9_000n, thread: runner });
    const { steps: found, vms } = await steps(trace);
    expect(found).toEqual(['200-6/1 9000']);
    expect(vms).toHaveLength(1);
  });

  test('a vCPU that could not be created leaves no trace', async () => {
    const thread = { tid: 53 };
    const trace = new TraceText()
      .ioctl(10n, 3, CREATE_VM, 0n, 6n, thread)
      .ioctl(20n, 6, CREATE_VCPU, 0n, 7n, thread)
      .ioctl(30n, 6, CREATE_VCPU, 4096n, -22n, thread);
    expect((await steps(trace)).vms[0]?.vcpus).toEqual([0]);
  });

  test('several VMs in one process of a real recording', async () => {
    const { summary } = await replayFile(fixture('several-vms-6.1'));
    expect(summary.vms).toHaveLength(4);
    expect(summary.vms.every((vm) => vm.source === 'ioctls' && !vm.ambiguous)).toBe(true);
  });
});

describe('by process', () => {
  test('the tgid column tells VMs apart', async () => {
    const trace = new TraceText();
    jumping(trace, 1_000_000n, { stepNs: 2_000n, thread: { tid: 101, tgid: 100 } });
    jumping(trace, 2_000_000n, { stepNs: 3_000n, thread: { tid: 301, tgid: 300 } });
    jumping(trace, 3_000_000n, { vcpu: 1, stepNs: 4_000n, thread: { tid: 102, tgid: 100 } });
    const { steps: found, vms } = await steps(trace);
    expect(found).toEqual(['100/0 2000', '300/0 3000', '100/1 4000']);
    expect(vms.map(({ id, source, vcpus }) => ({ id, source, vcpus }))).toEqual([
      { id: '100', source: 'process', vcpus: [0, 1] },
      { id: '300', source: 'process', vcpus: [0] },
    ]);
  });
});

describe('by threads', () => {
  test('without collisions, all vCPUs are of one VM', async () => {
    const trace = new TraceText();
    jumping(trace, 1_000_000n, { stepNs: 2_000n, thread: { tid: 101 } });
    jumping(trace, 2_000_000n, { vcpu: 1, stepNs: 3_000n, thread: { tid: 102 } });
    const { steps: found, vms } = await steps(trace);
    expect(found).toEqual(['101/0 2000', '101/1 3000']);
    expect(vms).toMatchObject([{ source: 'threads', ambiguous: false, vcpus: [0, 1] }]);
  });

  test('a shared masterclock reference joins threads to VMs', async () => {
    const trace = new TraceText();
    const page = (at: bigint, tid: number, vcpu: number, tsc: bigint, ns: bigint) =>
      trace.page(at, { vcpu, tsc, ns }, { tid }).entry(at + 1n, vcpu, { tid });
    page(1000n, 101, 0, 500n, 77n);
    page(1010n, 201, 0, 600n, 88n);
    page(1020n, 202, 1, 600n, 88n);
    page(1030n, 102, 1, 500n, 77n);
    trace.entry(2000n, 0, { tid: 101 }).entry(2000n, 0, { tid: 201 });
    trace.entry(2000n, 1, { tid: 102 }).entry(2000n, 1, { tid: 202 });
    expect((await steps(trace)).vms).toMatchObject([
      { id: '101', vcpus: [0, 1], ambiguous: false },
      { id: '201', vcpus: [0, 1], ambiguous: false },
    ]);
  });

  test('what can’t be told apart is one ambiguous VM; jumps within one thread still count', async () => {
    const trace = new TraceText();
    for (const [tid, vcpu] of [
      [101, 0],
      [201, 0],
      [102, 1],
    ] as const) {
      trace.entry(1000n, vcpu, { tid });
    }
    jumping(trace, 1_000_000n, { stepNs: 2_000n, thread: { tid: 101 } });
    jumping(trace, 2_000_000n, { stepNs: 3_000n, thread: { tid: 201 } });
    jumping(trace, 3_000_000n, { vcpu: 1, stepNs: 4_000n, thread: { tid: 102 } });
    trace.entry(9_000_000n, 0, { tid: 101 }).entry(9_000_000n, 0, { tid: 201 });
    const { steps: found, vms } = await steps(trace);
    expect(vms.filter((vm) => vm.ambiguous)).toHaveLength(1);
    expect(found.map((s) => s.split(' ')[1])).toEqual(['2000', '3000', '4000']);
  });

  test('a thread that carries one vCPU id of several VMs: no jump across them', async () => {
    const ioctls = /: sys_ioctl/;
    const text = unzipped('several-vms-6.1', 'trace.txt');
    const stripped = text
      .split('\n')
      .filter((line) => !ioctls.test(line))
      .join('\n');
    const { findings, summary } = await replayText(stripped);
    expect(summary.vms).toHaveLength(1);
    expect(summary.vms[0]).toMatchObject({ source: 'threads', ambiguous: true });
    expect(findings.filter((f) => f.rule === 'jump' && f.severity !== 'info')).toEqual([]);
  });

  test('vCPUs created by a main thread belong to the threads that run them', async () => {
    const main = { tid: 100 };
    const trace = new TraceText().offset(10n, 0n, -10n, 0, main).offset(20n, 0n, -10n, 1, main);
    jumping(trace, 1_000_000n, { stepNs: 2_000n, thread: { tid: 101 } });
    jumping(trace, 2_000_000n, { vcpu: 1, stepNs: 3_000n, thread: { tid: 102 } });
    const { steps: found, vms } = await steps(trace);
    expect(vms).toMatchObject([{ id: '100', vcpus: [0, 1] }]);
    expect(found).toEqual(['100/0 2000', '100/1 3000']);
  });
});
