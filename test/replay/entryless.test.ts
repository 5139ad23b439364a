import { describe, expect, test } from 'vitest';
import type { Finding } from '../../replay/index.ts';
import { replayText, unzipped } from './fixtures.ts';
import { only, threadPerVcpu, without } from './partial.ts';
import { at, BASE_NS, BORN, MS, of, pageAt, SECOND } from './small-vm.ts';
import { TraceText } from './trace-text.ts';

const IA32_TSC = 0x10;
const IA32_TSC_ADJUST = 0x3b;
const [CREATE_VM, CREATE_VCPU, RUN, GET_REGS, SET_MSRS] = [
  0xae01, 0xae41, 0xae80, 0x8090_ae81, 0x4008_ae89,
];

/** Two vCPUs with pages, each on a thread of its own. */
const two = (clock?: 'ns') =>
  new TraceText(clock)
    .offset(BORN, 0n, -BORN)
    .offset(BORN + 1n, 0n, -BORN, 1, SECOND)
    .masterclock(at(9n), 1)
    .page(at(10n), pageAt(9n))
    .page(at(10n), { vcpu: 1, ...pageAt(9n) }, SECOND);

const MOVED = -BORN + 500n * MS;
/** The page of `at(30n)` once the guest's TSC was moved so. */
const FOLLOWS = { tsc: 530n * MS, ns: BASE_NS + 30_000_000n, version: 4 };

/** By rule, vCPU and size. */
const steps = (findings: readonly Finding[]) =>
  findings
    .filter(({ rule }) => rule === 'jump' || rule === 'tsc-jump')
    .map(({ rule, vcpu, deltaNs }) => ({ of: `${rule} of vCPU ${vcpu}`, ns: Number(deltaNs) }))
    .sort((a, b) => a.of.localeCompare(b.of, 'en') || a.ns - b.ns);

/** Everything that is said of steps, in a few words. */
const told = async (trace: TraceText) =>
  (await of(trace, 'jump', 'tsc-jump', 'unmeasured')).map(
    ({ rule, vcpu, timestamp, deltaNs, cause }) =>
      `${(timestamp - BORN) / MS} ms: ${rule} ${vcpu} ${deltaNs === undefined ? cause : deltaNs / 1_000_000n}`,
  );

/** The guest of vCPU 0 ran with what was written at 20 ms, and with the page at 30 ms. */
const RAN = ['20 ms: tsc-jump 0 500', '30 ms: jump 0 -500'];
const OPEN = ['20 ms: unmeasured 0 its TSC moved by +1,000,000,000 cycles'];

/** `part` tells every step of `whole` and no other. */
async function expectSameSteps(part: string, whole: string): Promise<void> {
  const told = steps((await replayText(part)).findings);
  const all = steps((await replayText(whole)).findings);
  expect(all.length).toBeGreaterThan(2);
  expect(told.map((step) => step.of)).toEqual(all.map((step) => step.of));
  // What is measured at another instant is rounded another way.
  for (const [i, { ns }] of told.entries()) {
    expect(Math.abs(ns - all[i]!.ns)).toBeLessThanOrEqual(2 + Math.abs(ns) / 1e6);
  }
}

describe('recordings without entries', () => {
  test.each([
    'clock-deep-5.10',
    'hyperv-5.10',
    'hyperv-deep-6.12',
    'several-vms-6.1',
    'tsc-guest-6.1',
    'tsc-host-deep-6.12',
    'xen-7.3',
  ])('%s: a KVM_RUN that came back ran with what was written', async (name) => {
    const text = unzipped(name, 'trace.txt');
    await expectSameSteps(without(text, /: kvm_entry: /), text);
  });

  test('page updates are compared, and visibility is unknown', async () => {
    const trace = new TraceText()
      .offset(BORN, 0n, -BORN)
      .page(at(10n), pageAt(10n))
      .page(at(20n), { ...pageAt(20n, 5_000n), version: 4 })
      .page(at(30n), { ...pageAt(30n, 5_000n), version: 6 });
    expect(await of(trace, 'jump')).toMatchObject([
      { deltaNs: 5_000n, visibility: 'unknown', timestamp: at(20n) },
    ]);
  });

  test('an offset write is netted with the page that follows, a guest’s own is not', async () => {
    const host = new TraceText()
      .offset(BORN, 0n, -BORN)
      .page(at(10n), pageAt(10n))
      .offset(at(20n), -BORN, -BORN + 500n * MS)
      .page(at(30n), { tsc: 530n * MS, ns: BASE_NS + 30_000_000n, version: 4 });
    expect(await of(host, 'jump', 'tsc-jump')).toEqual([]);
    const guest = new TraceText()
      .offset(BORN, 0n, -BORN)
      .page(at(10n), pageAt(10n))
      .offset(at(20n), -BORN, -BORN + 500n * MS)
      .wrmsr(at(20n) + 1n, IA32_TSC, 520n * MS)
      .exit(at(25n))
      .page(at(30n), { tsc: 530n * MS, ns: BASE_NS + 30_000_000n, version: 4 });
    expect(await of(guest, 'jump', 'tsc-jump')).toMatchObject([
      { rule: 'tsc-jump', deltaNs: 500_000_000n, visibility: 'unknown' },
      { rule: 'jump', deltaNs: -500_000_000n, visibility: 'unknown' },
    ]);
  });
});

/** A kvm_track_tsc of what is no write of vCPU 0: they are recorded. */
const tracking = (hostClock = 'tsc') =>
  two().track(at(15n), { vcpu: 1, use: 1, matched: 1, online: 2, hostClock }, SECOND);
const write = (trace: TraceText) => trace.offset(at(20n), -BORN, MOVED);
const page = (trace: TraceText) => trace.page(at(30n), FOLLOWS);

describe('an offset that a guest wrote, without entries', () => {
  test('KVM tracks no such write: when its thread goes on, the guest has run', async () => {
    const again = write(tracking()).offset(at(28n), MOVED, MOVED + MS);
    const trace = again.page(at(30n), { ...FOLLOWS, tsc: 531n * MS });
    expect(await told(trace)).toEqual([
      '20 ms: tsc-jump 0 500',
      '28 ms: unmeasured 0 its TSC moved by +2,000,000 cycles',
      '30 ms: jump 0 -500',
    ]);
    expect((await of(trace, 'tsc-jump'))[0]).toMatchObject({
      mechanism: 'guest-tsc-write',
      cause: 'its guest wrote its TSC',
      visibility: 'unknown',
    });
  });

  test.each([
    ['that writes IA32_TSC asks for no page: it ran', IA32_TSC, 10n * MS, RAN],
    ['that gets one at once may be on its way', IA32_TSC, MS / 2n, OPEN],
    ['that writes IA32_TSC_ADJUST gets a page at once', IA32_TSC_ADJUST, MS / 2n, []],
    ['that gets it later may have run', IA32_TSC_ADJUST, 2n * MS, OPEN],
    ['of which the MSR is not recorded may have run', undefined, 2n * MS, OPEN],
    ['of which it is not recorded gets a page at once', undefined, MS / 2n, []],
  ] as const)('a guest %s', async (_, msr, after, expected) => {
    const trace = tracking().offset(at(30n) - after, -BORN, MOVED);
    if (msr !== undefined) trace.wrmsr(at(30n) - after + 1n, msr, 0n);
    const found = await told(page(trace));
    expect(found.map((each) => each.replace(/^2[89] ms/, '20 ms'))).toEqual(expected);
  });

  test('by a clock that tells no time, it may have run', async () => {
    // Whole numbers far below the TSC of the pages are no TSC.
    const trace = new TraceText()
      .offset(10n, 0n, -BORN)
      .page(20n, pageAt(10n))
      .offset(30n, -BORN, MOVED)
      .wrmsr(31n, IA32_TSC, 0n)
      .page(40n, FOLLOWS);
    expect((await of(trace, 'jump', 'tsc-jump', 'unmeasured')).map(({ rule }) => rule)).toEqual([
      'unmeasured',
    ]);
  });

  test('a page of another vCPU on its thread comes after it ran on', async () => {
    const one = new TraceText()
      .offset(BORN, 0n, -BORN)
      .track(BORN + 1n, { use: 0, matched: 0, online: 1 })
      .offset(BORN + 2n, 0n, -BORN, 1)
      .track(BORN + 3n, { vcpu: 1, use: 0, matched: 1, online: 2 })
      .masterclock(at(9n), 1)
      .page(at(10n), pageAt(9n))
      .page(at(11n), { vcpu: 1, ...pageAt(9n) });
    const trace = write(one).page(at(25n), { vcpu: 1, ...pageAt(25n), version: 4 });
    expect(await told(page(trace))).toEqual(RAN);
  });

  test.each([
    ['its exit, which names it', 'vcpu 0 reason', RAN],
    ['one that names none, as before v5.10, is no evidence', 'reason', OPEN],
  ])('it has run by %s', async (_, exit, expected) => {
    const trace = page(write(two()).event(at(25n), `kvm_exit: ${exit} HLT rip 0x1000 info 0 0`));
    const found = await told(trace);
    expect(found.map((each) => each.replace('25 ms', '20 ms'))).toEqual(expected);
  });

  test('at the end, or that of its VM, it has run', async () => {
    expect(await told(write(tracking()))).toEqual(RAN.slice(0, 1));
    const vm = new TraceText()
      .ioctl(BORN, 3, CREATE_VM, 0n, 6n)
      .offset(BORN + 9n, 0n, -BORN)
      .masterclock(at(9n), 1)
      .page(at(10n), pageAt(9n));
    const gone = write(vm)
      .wrmsr(at(20n) + 1n, IA32_TSC, 0n)
      .ioctl(at(40n), 3, CREATE_VM, 0n, 6n);
    expect(await told(gone)).toEqual(RAN.slice(0, 1));
  });

  test('after the host slept a load writes offsets too', async () => {
    const slept = tracking()
      .event(at(16n), 'suspend_resume: machine_suspend[3] begin')
      .event(at(17n), 'suspend_resume: machine_suspend[3] end');
    const moved = (ms: number) => OPEN[0]!.replace('20 ms', `${ms} ms`);
    const again = write(slept).offset(at(22n), MOVED, MOVED);
    expect(await told(again)).toEqual([moved(20), moved(22)]);
  });

  test('of a host without the TSC a load writes them, and says nothing', async () => {
    const off = (hostClock: string) =>
      write(
        tracking(hostClock)
          .event(
            at(16n),
            `kvm_update_master_clock: masterclock 0 hostclock ${hostClock} offsetmatched 1`,
          )
          .page(at(17n), { ...pageAt(17n), version: 4, flags: 0 }),
      ).offset(at(21n), MOVED, MOVED + MS);
    expect(await told(off('none'))).toEqual([]);
    // With it, it is the guest that writes.
    expect(await told(off('tsc'))).toEqual(['20 ms: tsc-jump 0 500', '21 ms: tsc-jump 0 1']);
    const ran = off('none').exit(at(25n));
    expect(await told(ran)).toEqual([]);
  });

  test('where no update tells the host’s clock, kvm_track_tsc does', async () => {
    const off = new TraceText()
      .page(at(10n), { ...pageAt(9n), flags: 0 })
      .offset(at(11n), -BORN - MS, -BORN)
      .track(at(11n) + 1n, { use: 0, matched: 0, online: 1 })
      .page(at(12n), { ...pageAt(12n), version: 4, flags: 0 });
    const trace = write(off).offset(at(22n), MOVED, MOVED);
    expect((await told(trace)).at(-1)).toBe(RAN[0]);
  });

  test('under a page from before the recording it is not measured, by when it is known to have run', async () => {
    const from = new TraceText().enterIoctl(at(1n), 7, RUN, 0n).offset(at(2n), -BORN, MOVED);
    const moved = ': unmeasured 0 its TSC moved by +1,000,000,000 cycles';
    expect(await told(from.exit(at(9n)))).toEqual([`9 ms${moved}`]);
    const end = new TraceText().offset(at(2n), -BORN, MOVED).masterclock(at(8n), 1, 1, SECOND);
    expect(await told(end)).toEqual([`8 ms${moved}`]);
    const back = new TraceText().enterIoctl(at(1n), 7, RUN, 0n).offset(at(2n), -BORN, MOVED);
    expect(await told(back.exitIoctl(at(5n), 0n).exit(at(9n)))).toEqual([`5 ms${moved}`]);
  });

  test('after lost events nobody knows what followed', async () => {
    const trace = page(write(tracking()).line('CPU:0 [LOST 42 EVENTS]'));
    const moved = (await told(trace)).filter((each) => each.includes('TSC moved'));
    expect(moved).toEqual([]);
  });

  test('a comparison of vCPUs says no more of when it was seen', async () => {
    const found = await of(write(tracking()), 'cross-vcpu');
    expect(found).toMatchObject([{ visibility: 'unknown' }]);
  });
});

/** By its thread's ioctls: a VM, and its vCPU 0 that gets a page in KVM_RUN. */
const running = () =>
  new TraceText()
    .ioctl(BORN, 3, CREATE_VM, 0n, 6n)
    .enterIoctl(BORN + 8n, 6, CREATE_VCPU, 0n)
    .offset(BORN + 9n, 0n, -BORN)
    .exitIoctl(BORN + 10n, 7n)
    .enterIoctl(at(9n), 7, RUN, 0n)
    .masterclock(at(9n), 1)
    .page(at(10n), pageAt(9n));

describe('an offset that a VMM wrote, without entries', () => {
  const OFF = { use: 0, matched: 0, online: 2 } as const;
  test.each([
    ['asks for no update', OFF, OPEN],
    ['asks for one: the masterclock is on', { ...OFF, use: 1 }, []],
    ['asks for one: all match', { ...OFF, matched: 1 }, []],
    ['asks for one until v6.7', { use: 1, matched: 1, online: 2 }, OPEN],
    ['is of a host without the TSC', { ...OFF, hostClock: 'none' }, []],
  ] as const)('a write that %s', async (_, track, expected) => {
    const tracked = () => write(two()).track(at(20n) + 1n, track);
    expect(await told(page(tracked()))).toEqual(expected);
    expect(await told(tracked())).toEqual(expected);
  });

  test('a page right after one that asks for none was asked for by something else', async () => {
    const trace = two()
      .offset(at(30n) - MS / 2n, -BORN, MOVED)
      .track(at(30n) - MS / 4n, OFF);
    expect((await told(page(trace)))[0]).toMatch(/^29 ms: unmeasured 0 its TSC moved/);
  });

  test('where nothing shows whose write it was, what it may have done is open', async () => {
    const twice = write(two()).offset(at(22n), MOVED, MOVED + MS);
    expect(await told(twice.page(at(30n), { ...FOLLOWS, tsc: 531n * MS }))).toEqual([
      ...OPEN,
      '22 ms: unmeasured 0 its TSC moved by +1,002,000,000 cycles',
    ]);
  });

  /** Its thread comes back, and writes the offset by KVM_SET_MSRS. */
  const called = () =>
    running()
      .exitIoctl(at(11n), 0n)
      .enterIoctl(at(20n), 7, SET_MSRS, 0n)
      .offset(at(20n), -BORN, MOVED)
      .exitIoctl(at(21n), 1n);
  const EINTR = -4n;
  const runs = (trace: TraceText, ms: bigint, ret?: bigint) => {
    trace.enterIoctl(at(ms), 7, RUN, 0n);
    return ret === undefined ? trace : trace.exitIoctl(at(ms) + MS / 2n, ret);
  };

  test.each([
    ['no KVM_RUN follows', () => called(), []],
    ['another call follows', () => called().ioctl(at(25n), 7, GET_REGS, 0n, 0n), []],
    ['its page comes as it begins to run', () => page(runs(called(), 29n)), []],
    ['its page comes long after that', () => runs(called(), 21n).page(at(32n), FOLLOWS), OPEN],
    ['it was interrupted before', () => page(runs(runs(called(), 28n, EINTR), 29n)), OPEN],
    ['it was interrupted and that is all', () => runs(called(), 28n, EINTR), OPEN],
    ['it ran', () => page(runs(called(), 28n, 0n)), ['28 ms: tsc-jump 0 500', RAN[1]!]],
  ])('within a call: %s', async (_, trace, expected) => {
    expect(await told(trace())).toEqual(expected);
  });
});

test('a guest’s write within KVM_RUN is none of a call', async () => {
  expect(await told(page(write(running()).wrmsr(at(20n) + 1n, IA32_TSC, 0n)))).toEqual(RAN);
});

describe('recordings of no more than clock events', () => {
  const CLOCK_EVENTS =
    /: (kvm_pvclock_update|kvm_write_tsc_offset|kvm_update_master_clock|kvm_track_tsc): /;

  test.each([
    'clocksource-6.12',
    'hotplug-deep-6.1',
    'legacy-5.10',
    'loadburst-7.3',
    'ntp-hotplug',
    'suspend-6.1',
    'threads-6.12',
    'tsc-host-unstable-6.12',
  ])('of %s they tell every step', async (name) => {
    const text = threadPerVcpu(unzipped(name, 'trace.txt'));
    await expectSameSteps(only(text, CLOCK_EVENTS), text);
  });

  test.each([
    'clock-deep-5.10',
    'clock-deep-6.12',
    'hyperv-5.10',
    'hyperv-deep-6.12',
    'tsc-guest-6.1',
    'tsc-host-deep-6.12',
  ])('of %s each step that they do not tell is left open', async (name) => {
    const text = threadPerVcpu(unzipped(name, 'trace.txt'));
    const { findings } = await replayText(only(text, CLOCK_EVENTS));
    const open = findings.filter(({ rule }) => rule === 'unmeasured');
    const found = steps(findings);
    const large = steps((await replayText(text)).findings).filter(({ ns }) => Math.abs(ns) > 1e4);
    const missed = large.filter(
      ({ of, ns }) => !found.some((f) => f.of === of && Math.abs(f.ns - ns) <= Math.abs(ns) / 1e3),
    );
    for (const { of } of missed) {
      expect(open.some(({ vcpu }) => of.endsWith(`vCPU ${vcpu}`))).toBe(true);
    }
  });
});
