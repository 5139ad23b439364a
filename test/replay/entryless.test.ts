import { describe, expect, test } from 'vitest';
import type { Finding } from '../../replay/index.ts';
import { replayText, unzipped } from './fixtures.ts';
import { only, threadPerVcpu, without } from './partial.ts';
import { at, BASE_NS, BORN, MS, of, pageAt, SECOND } from './small-vm.ts';
import { TraceText } from './trace-text.ts';

const IA32_TSC = 0x10;

/** Two vCPUs with pages, each on a thread of its own, and then offset writes of vCPU 0. */
const two = () =>
  new TraceText()
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

describe('recordings of no more than clock events', () => {
  test('an offset write that KVM does not track is the guest’s own, and a step at once', async () => {
    const trace = two()
      .track(at(15n), { vcpu: 1, use: 1, matched: 1, online: 2 }, SECOND)
      .offset(at(20n), -BORN, MOVED)
      .page(at(25n), { vcpu: 1, ...pageAt(25n), version: 4 }, SECOND)
      .offset(at(28n), MOVED, MOVED + 500n * MS)
      .page(at(30n), { ...FOLLOWS, tsc: 1030n * MS });
    expect(await of(trace, 'jump', 'tsc-jump', 'unmeasured')).toMatchObject([
      {
        rule: 'tsc-jump',
        timestamp: at(20n),
        deltaNs: 500_000_000n,
        mechanism: 'guest-tsc-write',
        cause: 'its guest wrote its TSC',
        visibility: 'unknown',
      },
      // The second write may be on its way to the page: it is netted with that.
      { rule: 'jump', timestamp: at(30n), deltaNs: -500_000_000n },
    ]);
  });

  test('a page that comes long after it does not undo it', async () => {
    const trace = two()
      .track(at(15n), { vcpu: 1, use: 1, matched: 1, online: 2 }, SECOND)
      .offset(at(19n), -BORN, MOVED)
      .page(at(30n), FOLLOWS);
    expect(await of(trace, 'jump', 'tsc-jump', 'unmeasured')).toMatchObject([
      { rule: 'tsc-jump', timestamp: at(19n), deltaNs: 500_000_000n },
      { rule: 'jump', timestamp: at(30n), deltaNs: -500_000_000n },
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
      .page(at(11n), { vcpu: 1, ...pageAt(9n) })
      .offset(at(20n), -BORN, MOVED)
      .page(at(25n), { vcpu: 1, ...pageAt(25n), version: 4 })
      .page(at(30n), FOLLOWS);
    expect(await of(one, 'tsc-jump')).toMatchObject([{ vcpu: 0, timestamp: at(20n) }]);
  });

  const HOSTS = { use: 0, matched: 0, online: 2 } as const;
  test.each([
    ['asks for no update', HOSTS, 1],
    ['asks for one: the masterclock is on', { ...HOSTS, use: 1 }, 0],
    ['asks for one: all match', { ...HOSTS, matched: 1 }, 0],
    ['is of a host without the TSC', { ...HOSTS, hostClock: 'none' }, 0],
  ] as const)('a VMM’s write that %s: may the guest have run with it?', async (_, track, count) => {
    const trace = two()
      .offset(at(20n), -BORN, MOVED)
      .track(at(20n) + 1n, track)
      .page(at(30n), FOLLOWS);
    expect(await of(trace, 'jump', 'tsc-jump')).toEqual([]);
    const told = await of(trace, 'unmeasured');
    expect(told).toHaveLength(count);
    for (const finding of told) {
      expect(finding).toMatchObject({ vcpu: 0, timestamp: at(20n), visibility: 'unknown' });
      expect(finding.cause).toBe('its TSC moved by +1,000,000,000 cycles');
    }
  });

  test('where nothing shows whose write it was, what it may have done is not measured', async () => {
    const trace = two()
      .offset(at(20n), -BORN, MOVED)
      .offset(at(22n), MOVED, MOVED + MS)
      .page(at(30n), { ...FOLLOWS, tsc: 531n * MS });
    expect(await of(trace, 'jump', 'tsc-jump')).toEqual([]);
    expect(await of(trace, 'unmeasured')).toMatchObject([{ timestamp: at(20n) }]);
  });

  test('of a host without the TSC, offsets are written at each load and say nothing', async () => {
    const trace = two()
      .track(at(15n), { vcpu: 1, use: 1, matched: 1, online: 2 }, SECOND)
      .masterclock(at(16n), 0, 1)
      .page(at(17n), { ...pageAt(17n), version: 4, flags: 0 })
      .offset(at(20n), -BORN, MOVED)
      .offset(at(21n), MOVED, MOVED + MS);
    const withoutTsc = String(trace).replaceAll(
      'masterclock 0 hostclock tsc',
      'masterclock 0 hostclock none',
    );
    const steps = (await replayText(withoutTsc)).findings.filter(({ rule }) => rule === 'tsc-jump');
    expect(steps).toEqual([]);
    // With it, it is the guest that writes.
    expect(await of(trace, 'tsc-jump')).toHaveLength(2);
  });

  test('after lost events nobody knows what followed a write', async () => {
    const trace = two()
      .track(at(15n), { vcpu: 1, use: 1, matched: 1, online: 2 }, SECOND)
      .offset(at(20n), -BORN, MOVED)
      .line('CPU:0 [LOST 42 EVENTS]')
      .offset(at(28n), MOVED, MOVED + MS)
      .page(at(30n), { ...FOLLOWS, tsc: 531n * MS });
    expect(await of(trace, 'tsc-jump')).toEqual([]);
  });

  const CLOCK_EVENTS =
    /: (kvm_pvclock_update|kvm_write_tsc_offset|kvm_update_master_clock|kvm_track_tsc): /;

  test.each([
    'clock-deep-6.12',
    'clocksource-6.12',
    'hotplug-deep-6.1',
    'legacy-5.10',
    'loadburst-7.3',
    'ntp-hotplug',
    'suspend-6.1',
    'threads-6.12',
    'tsc-guest-6.1',
    'tsc-host-unstable-6.12',
  ])('of %s they tell every step', async (name) => {
    const text = threadPerVcpu(unzipped(name, 'trace.txt'));
    await expectSameSteps(only(text, CLOCK_EVENTS), text);
  });
});
