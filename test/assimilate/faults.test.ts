/** A recording with one thing changed diverges there: at that event, in that VM, on that vCPU. */
import { describe, expect, test } from 'vitest';
import { profile, withSwitches } from '../../src/profiles/index.ts';
import { compare, kernelOf, textOf } from './recordings.ts';

const hex = (line: string, name: string, by: bigint): string =>
  line.replace(
    new RegExp(`(${name} 0x)([\\da-f]+)`),
    (_, head: string, digits: string) => `${head}${(BigInt(`0x${digits}`) + by).toString(16)}`,
  );
const decimal = (line: string, name: RegExp, by: bigint): string =>
  line.replace(name, (_, head: string, digits: string) => `${head}${BigInt(digits) + by}`);

interface Fault {
  readonly name: string;
  /** The events in which it can be. */
  readonly event: RegExp;
  readonly make: (line: string) => string;
  /** What the finding has to say of the fields. */
  readonly says: RegExp;
}

const PAGE = /kvm_pvclock_update/;
const OWN_PAGE = /kvm_pvclock_update.*flags 0x0/;

const FAULTS: readonly Fault[] = [
  {
    name: 'a page 5 ns late',
    event: PAGE,
    make: (line) => hex(line, 'system_time', 5n),
    says: /system_time (\d+); recorded is system_time \d+/,
  },
  {
    name: 'a page from 2 cycles later',
    event: PAGE,
    make: (line) => hex(line, 'tsc_timestamp', 2n),
    says: /tsc_timestamp (\d+); recorded is tsc_timestamp \d+/,
  },
  {
    name: 'a wrong multiplier',
    event: PAGE,
    make: (line) => hex(line, 'tsc_to_system_mul', 1n),
    says: /tsc_to_system_mul/,
  },
  {
    name: 'STABLE missing',
    event: /kvm_pvclock_update.*flags 0x1/,
    make: (line) => line.replace('flags 0x1', 'flags 0x0'),
    says: /TSC_STABLE set; recorded is TSC_STABLE clear/,
  },
  {
    name: 'STABLE without masterclock',
    event: OWN_PAGE,
    make: (line) => line.replace('flags 0x0', 'flags 0x1'),
    says: /TSC_STABLE clear; recorded is TSC_STABLE set/,
  },
  {
    name: 'a version of the wrong parity',
    event: PAGE,
    make: (line) => decimal(line, /(version )(\d+)/, 1n),
    says: /version parity even; recorded is version parity odd/,
  },
  {
    name: 'a masterclock decision flipped',
    event: /kvm_update_master_clock/,
    make: (line) =>
      line.replace(/masterclock ([01])/, (_, on: string) => `masterclock ${on === '1' ? 0 : 1}`),
    says: /use_master_clock (true|false); recorded is use_master_clock/,
  },
  {
    name: 'a vCPU too many that match',
    event: /kvm_track_tsc/,
    make: (line) => decimal(line, /(offsetmatched )(\d+)/, 1n),
    says: /vCPUs matched/,
  },
];

const RECORDING = 'clock-deep-6.12';

const linesOf = (name: string): string[] => textOf(name).split('\n');

/** Instant, and vCPU where it names one, of an event. */
function whereOf(line: string): { readonly timestamp: bigint; readonly vcpu: number | undefined } {
  const timestamp = BigInt(/ (\d+): kvm_/.exec(line)![1]!);
  const vcpu = /(?:vcpu_id |vcpu=)(\d+)/.exec(line)?.[1];
  return { timestamp, vcpu: vcpu === undefined ? undefined : Number(vcpu) };
}

/** The VM that was created last before a line: the driver has one at a time. */
const vmAt = (lines: readonly string[], place: number): string =>
  lines.slice(0, place).filter((line) => /cmd: (0x)?ae01/.test(line)).length === 1
    ? '60-6'
    : '60-6.2';

/** Replays with one event changed; the divergence told of it, if any is. */
async function seed(lines: readonly string[], at: number, make: (line: string) => string) {
  const changed = lines.map((line, index) => (index === at ? make(line) : line)).join('\n');
  const { divergences } = await compare(changed, kernelOf(RECORDING));
  const { timestamp } = whereOf(lines[at]!);
  return { all: divergences, there: divergences.find((each) => each.timestamp === timestamp) };
}

describe.each(FAULTS)('$name', ({ event, make, says }) => {
  const lines = linesOf(RECORDING);
  const places = lines.flatMap((line, index) => (event.test(line) ? [index] : []));
  // A dozen places spread over the recording.
  const step = Math.max(1, Math.floor(places.length / 12));
  const some = places.filter((_, index) => index % step === 0);

  test('is noticed where it is', async () => {
    let noticed = 0;
    for (const place of some) {
      const { there } = await seed(lines, place, make);
      if (there === undefined) continue;
      expect(there.reason).toMatch(says);
      const { vcpu } = whereOf(lines[place]!);
      if (vcpu !== undefined) expect(there.vcpu).toBe(vcpu);
      expect(there.vm?.id).toBe(vmAt(lines, place));
      noticed += 1;
    }
    // The first page of a reference whose clock was just set shows what nothing else does.
    expect(noticed).toBeGreaterThan(some.length / 2);
  });
});

test('an offset 2 cycles off is noticed by what is made of it', async () => {
  const lines = linesOf(RECORDING);
  const places = lines.flatMap((line, index) => (/kvm_write_tsc_offset/.test(line) ? [index] : []));
  const make = (line: string): string => decimal(line, /(next=)(\d+)/, 2n);
  const told = await Promise.all(places.map((place) => seed(lines, place, make)));
  const found = told.flatMap(({ all }) => all.map(({ reason }) => reason));
  expect(found.some((reason) => /next offset \d+; recorded is next offset/.test(reason))).toBe(
    true,
  );
  expect(found.some((reason) => /prev \d+; recorded is prev/.test(reason))).toBe(true);
});

test('a page of its own that is early by a second is noticed by the base clock', async () => {
  const lines = linesOf(RECORDING);
  const places = lines.flatMap((line, index) => (OWN_PAGE.test(line) ? [index] : []));
  const make = (line: string): string => hex(line, 'system_time', -1_000_000_000n);
  const told = await Promise.all(places.map((place) => seed(lines, place, make)));
  // Once the clock was set without a masterclock, it is only nearly known.
  const found = told.flatMap(({ there }) => there?.reason ?? []);
  expect(found.join('\n')).toMatch(/system_time from \d+ on; recorded is system_time \d+/);
});

test('a page that is left out is noticed when its versions go on without it', async () => {
  const lines = linesOf(RECORDING);
  const pages = lines.flatMap((line, index) => (PAGE.test(line) ? [index] : []));
  const place = pages[4]!;
  const { divergences } = await compare(
    lines.filter((_, index) => index !== place).join('\n'),
    kernelOf(RECORDING),
  );
  expect(divergences.length).toBeGreaterThan(0);
});

describe('another kernel than the recording is of', () => {
  test.each([
    // A vCPU that joins takes a new reference until v6.7, and none later.
    ['hotplug-deep-6.1', 'v6.8', /recomputed though nothing asked/],
    ['hotplug-deep-6.1', 'v5.10', /version parity odd; recorded is version parity even/],
    ['boot-deep-5.10', 'v6.1', /version parity even; recorded is version parity odd/],
    // The NTP-steered base clock leaves RAW's line.
    ['ntp-deep-base-6.1', 'v6.1', /base clock left its line: .*MONOTONIC_RAW/],
    ['ntp-snap-deep-base-7.3', 'v7.3', /base clock left its line/],
    ['loadburst-7.3', 'v5.10', /version parity/],
    ['threads-6.12', 'v6.1', /not recomputed though it was asked for/],
    ['periodic-6.1', 'v7.3', /though nothing asked for it/],
  ])('%s under %s', async (name, kernel, says) => {
    const { divergences } = await compare(textOf(name), profile(kernel));
    expect(divergences.map(({ cause, reason }) => `${cause}: ${reason}`).join('\n')).toMatch(says);
    expect(divergences[0]).toMatchObject({ rule: 'divergence', severity: 'warning' });
  });

  test('a single switch set otherwise', async () => {
    const other = withSwitches(kernelOf('hotplug-deep-6.1'), {
      mclkRequestOnTrack: 'toggle-or-generation',
    });
    const { divergences } = await compare(textOf('hotplug-deep-6.1'), other);
    expect(divergences.length).toBeGreaterThan(0);
  });
});
