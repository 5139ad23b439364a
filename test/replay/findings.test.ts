import { describe, expect, test } from 'vitest';
import { replayText, unzipped } from './fixtures.ts';
import { at, BASE_NS, BORN, MS, of, pageAt, SECOND, vm } from './small-vm.ts';
import { TraceText } from './trace-text.ts';

const IA32_TSC = 0x10;
const SYSTEM_TIME_NEW = 0x4b564d01;

describe('jump', () => {
  test.each([
    [1n, 'info'],
    [999n, 'info'],
    [1_000n, 'notice'],
    [999_999n, 'notice'],
    [1_000_000n, 'warning'],
    [1_000_000_000n, 'error'],
    [-999n, 'info'],
    [-1_000n, 'warning'],
    [-1_000_000_000n, 'error'],
  ] as const)('a step of %i ns under STABLE is of severity %s', async (stepNs, severity) => {
    const trace = vm()
      .masterclock(at(20n), 1)
      .page(at(20n) + 9n, { ...pageAt(20n, stepNs), version: 4 })
      .entry(at(21n));
    expect(await of(trace, 'jump')).toMatchObject([
      { deltaNs: stepNs, severity, tsc: at(21n), visibility: 'entry' },
    ]);
  });

  test('without STABLE a step backwards is clamped by the guest: a notice', async () => {
    const trace = new TraceText()
      .offset(BORN, 0n, -BORN)
      .page(at(10n), { ...pageAt(10n), flags: 0 })
      .entry(at(10n) + 100n)
      .page(at(20n), { ...pageAt(20n, -5_000n), flags: 0, version: 4 })
      .entry(at(21n));
    expect(await of(trace, 'jump')).toMatchObject([
      { deltaNs: -5_000n, severity: 'notice', mechanism: 'own-reference' },
    ]);
  });

  test('a step that outruns the bring-up of a CPU says so', async () => {
    const step = async (ns: bigint) => {
      const page = { ...pageAt(20n, ns), version: 4 };
      const [jump] = await of(vm().page(at(20n), page).entry(at(21n)), 'jump');
      return jump!.reason;
    };
    expect(await step(10_000_000_000n)).toContain('Linux waits 10 s');
    expect(await step(9_999_999_999n)).not.toContain('Linux waits 10 s');
  });

  test('several updates between two entries count once, net', async () => {
    const trace = vm()
      .page(at(20n), { ...pageAt(20n, 700_000n), version: 4 })
      .page(at(21n), { ...pageAt(21n, 40n), version: 6 })
      .entry(at(22n));
    expect(await of(trace, 'jump')).toMatchObject([{ deltaNs: 40n }]);
  });

  test('an entry that leaves at once shows the guest nothing', async () => {
    const trace = vm()
      .page(at(20n), { ...pageAt(20n, 700_000n), version: 4 })
      .event(at(20n) + 5n, 'kvm_entry: vcpu 0, rip 0x1000[immediate exit]')
      .exit(at(20n) + 9n)
      .page(at(21n), { ...pageAt(21n, 40n), version: 6 })
      .entry(at(22n));
    expect(await of(trace, 'jump')).toMatchObject([{ deltaNs: 40n, timestamp: at(22n) }]);
  });

  test('a new offset and a page that makes up for it are no jump', async () => {
    const trace = vm()
      .offset(at(20n), -BORN, -BORN + 500n * MS)
      .page(at(21n), { tsc: 521n * MS, ns: BASE_NS + 21_000_000n, version: 4 })
      .entry(at(22n));
    expect(await of(trace, 'jump', 'tsc-jump')).toEqual([]);
  });

  test('a negative system_time shows as what it is, and modulo 2^64', async () => {
    const negative = (1n << 64n) - 7_000n;
    const trace = vm()
      .masterclock(at(20n), 1)
      .page(at(20n) + 1n, { tsc: 20n * MS, ns: negative, version: 4 })
      .entry(at(21n));
    const [jump] = await of(trace, 'jump');
    expect(jump).toMatchObject({
      deltaNs: negative - BASE_NS - 20_000_000n,
      wrappedDeltaNs: -7_000n - BASE_NS - 20_000_000n,
      severity: 'error',
      mechanism: 'negative-time',
    });
  });

  test('--min-ns hides smaller steps', async () => {
    const trace = vm()
      .page(at(20n), { ...pageAt(20n, 40n), version: 4 })
      .entry(at(21n));
    const { findings } = await replayText(String(trace), { minNs: 41n });
    expect(findings.filter((f) => f.rule === 'jump')).toEqual([]);
  });
});

describe('tsc-jump', () => {
  test('a guest’s TSC write moves an unrefreshed page; the refresh takes it back', async () => {
    const trace = vm()
      .wrmsr(at(20n), IA32_TSC, 120n * MS)
      .offset(at(20n) + 1n, -BORN, -BORN + 100n * MS)
      .entry(at(21n))
      .exit(at(22n))
      .page(at(30n), { tsc: 130n * MS, ns: BASE_NS + 30_000_000n, version: 4 })
      .entry(at(31n));
    expect(await of(trace, 'tsc-jump', 'jump')).toMatchObject([
      { rule: 'tsc-jump', deltaNs: 100_000_000n, mechanism: 'guest-tsc-write', tsc: at(21n) },
      { rule: 'jump', deltaNs: -100_000_000n, mechanism: 'refreshed', remainderNs: 0n },
    ]);
  });

  test('a TSC set below the page’s reference wraps', async () => {
    const trace = vm()
      .offset(at(20n), -BORN, -BORN - 50n * MS)
      .entry(at(21n));
    const [jump] = await of(trace, 'tsc-jump');
    // The unsigned difference is 2^64 − 38 ms of cycles; half of it in ns, less what was read before.
    expect(jump).toMatchObject({
      deltaNs: (1n << 63n) - 38n * 1_000_000n - 12n * 1_000_000n,
      severity: 'error',
    });
  });
});

describe('masterclock', () => {
  const lost = () =>
    vm()
      .masterclock(at(20n), 0)
      .page(at(20n) + 9n, { ...pageAt(20n), flags: 0, version: 4 })
      .entry(at(21n))
      .exit(at(22n));

  test('lost for good is an error', async () => {
    expect(await of(lost(), 'masterclock-lost')).toMatchObject([
      { severity: 'error', vcpu: 0, cause: "the vCPUs' TSCs no longer match" },
    ]);
  });

  test('lost and regained is a warning', async () => {
    const trace = lost()
      .masterclock(at(30n), 1)
      .page(at(30n) + 9n, { ...pageAt(30n), version: 6 })
      .entry(at(31n));
    expect(await of(trace, 'masterclock-lost', 'masterclock-regained')).toMatchObject([
      { rule: 'masterclock-lost', severity: 'warning' },
      { rule: 'masterclock-regained', severity: 'notice', tsc: at(31n) },
    ]);
  });

  test('the first activation is no finding', async () => {
    const trace = new TraceText()
      .offset(BORN, 0n, -BORN)
      .page(at(10n), { ...pageAt(10n), flags: 0 })
      .entry(at(11n))
      .masterclock(at(20n), 1)
      .page(at(20n) + 9n, { ...pageAt(20n), version: 4 })
      .entry(at(21n));
    expect(await of(trace, 'masterclock-lost', 'masterclock-regained')).toEqual([]);
  });
});

describe('other rules', () => {
  /** Two vCPUs; the second one's page reads `apartNs` more. */
  const two = (apartNs: bigint) =>
    vm()
      .offset(at(12n), 0n, -BORN, 1, SECOND)
      .page(at(13n), { vcpu: 1, ...pageAt(9n, apartNs) }, SECOND)
      .entry(at(14n), 1, SECOND);

  test('cross-vcpu: STABLE vCPUs that disagree', async () => {
    expect(await of(two(3_000n), 'cross-vcpu')).toMatchObject([
      { vcpu: 1, deltaNs: 3_000n, severity: 'warning', tsc: at(14n) },
    ]);
    expect(await of(two(0n), 'cross-vcpu')).toEqual([]);
  });

  test('stale: a vCPU that enters with a page from before a masterclock update', async () => {
    const trace = two(0n)
      .masterclock(at(20n), 1)
      .page(at(20n) + 9n, { ...pageAt(20n), version: 4 })
      .entry(at(21n))
      .exit(at(22n))
      .entry(at(23n), 1, SECOND)
      .entry(at(24n), 1, SECOND);
    expect(await of(trace, 'stale')).toMatchObject([{ vcpu: 1, tsc: at(23n) }]);
  });

  test('rate: another multiplier', async () => {
    const trace = vm()
      .page(at(20n), { ...pageAt(20n), mul: 0x8000_4000, version: 4 })
      .entry(at(21n));
    expect(await of(trace, 'rate')).toMatchObject([{ severity: 'notice', vcpu: 0 }]);
  });

  test('flags: the guest is told that it was stopped', async () => {
    const trace = vm()
      .page(at(20n), { ...pageAt(20n), flags: 3, version: 4 })
      .entry(at(21n));
    expect(await of(trace, 'flags')).toMatchObject([
      { severity: 'info', cause: 'PVCLOCK_GUEST_STOPPED set' },
    ]);
  });

  test('drift: what the next masterclock update will step by', async () => {
    // 2,100,000 kHz: MONOTONIC_RAW is 59.6 ppb slow, the page 0.2 ppb.
    const scale = { mul: 4090445043, shift: -1 };
    const trace = new TraceText()
      .offset(BORN, 0n, -BORN)
      .page(at(10n), { tsc: 10n, ns: 10n, ...scale })
      .entry(at(10n) + 1n)
      .page(at(20n), { tsc: 10n, ns: 10n, ...scale, flags: 3, version: 4 })
      .entry(BORN + 2_100_000_010n * 100n);
    const [drift] = await of(trace, 'drift');
    // 100 s at (−59.605 + 0.198) ppb
    expect(drift).toMatchObject({ severity: 'info', deltaNs: -5_941n });
  });

  test('unmeasured: the first page of a vCPU whose beginning is not recorded', async () => {
    const trace = new TraceText().entry(at(1n)).page(at(2n), pageAt(2n)).entry(at(3n));
    expect(await of(trace, 'unmeasured')).toMatchObject([{ vcpu: 0, severity: 'info' }]);
    expect(await of(vm(), 'unmeasured')).toEqual([]);
  });

  test('kvmclock turned off and on again is not compared', async () => {
    const trace = vm()
      .wrmsr(at(15n), SYSTEM_TIME_NEW, 0n)
      .entry(at(16n))
      .exit(at(17n))
      .wrmsr(at(18n), SYSTEM_TIME_NEW, 0x2001n)
      .page(at(20n), { ...pageAt(20n, 5_000_000n), version: 4 })
      .entry(at(21n));
    expect(await of(trace, 'jump', 'unmeasured')).toEqual([]);
  });
});

describe('clocks other than the TSC', () => {
  test('a TSC derived from the pages tells a wrap', async () => {
    // 1 ms of this clock is 2,000,000 cycles; it reads 5 ms when the VM is created.
    const ms = (n: bigint) => 5_000_000n + n * 1_000_000n;
    const trace = new TraceText('ns')
      .offset(ms(0n), 0n, -BORN)
      .masterclock(ms(9n), 1)
      .page(ms(10n), { tsc: 9n * MS, ns: 9_000_000n })
      .entry(ms(11n))
      .exit(ms(12n))
      .offset(ms(20n), -BORN, -BORN - 50n * MS)
      .entry(ms(21n));
    const { findings, summary } = await replayText(String(trace));
    expect(summary.clock).toMatchObject({ unit: 'ns', tscDerived: true });
    expect(findings.filter((f) => f.rule === 'tsc-jump')).toMatchObject([
      { deltaNs: (1n << 63n) - 50n * 1_000_000n, tsc: at(21n), timeNs: ms(21n) },
    ]);
  });

  test('whole numbers that are no TSC are found out by the pages', async () => {
    const trace = new TraceText()
      .offset(1n, 0n, -BORN)
      .page(2n, pageAt(10n))
      .entry(3n)
      .page(4n, { ...pageAt(20n, 5_000n), version: 4 })
      .entry(5n);
    const { findings, summary } = await replayText(String(trace));
    expect(summary.clock.unit).toBe('order');
    expect(findings.filter((f) => f.rule === 'jump')).toMatchObject([
      { deltaNs: 5_000n, timeNs: undefined },
    ]);
  });

  test('nanoseconds printed without a point are found out by the rate of the pages', async () => {
    // As trace-cmd report prints the trace clock `boot`, and others when asked for raw instants.
    const stamped = (point: string): string =>
      unzipped('tsc-host-mono-raw-6.12', 'trace.txt').replace(
        /( +)(\d+)\.(\d{6}): /g,
        `$1$2${point}$3000: `,
      );
    const asSeconds = await replayText(stamped('.'));
    const asNumbers = await replayText(stamped(''));
    expect(asNumbers.summary.clock).toMatchObject({ unit: 'ns', tscDerived: true });
    const told = ({ findings }: typeof asNumbers) =>
      findings
        .filter(({ rule }) => rule !== 'divergence')
        .map(({ rule, vcpu, deltaNs, timeNs, cause, mechanism }) => {
          return { rule, vcpu, deltaNs, timeNs, cause, mechanism };
        });
    expect(told(asSeconds).length).toBeGreaterThan(20);
    expect(told(asNumbers)).toEqual(told(asSeconds));
  });

  test('the TSC of a recording is taken for nothing else', async () => {
    for (const name of ['ntp-hotplug', 'tsckhz-7.3', 'clock-deep-5.10', 'tsc-host-deep-6.12']) {
      const { summary } = await replayText(unzipped(name, 'trace.txt'));
      expect(summary.clock.unit, name).toBe('tsc');
    }
  });
});
