import { describe, expect, test } from 'vitest';
import type { Finding } from '../../replay/index.ts';
import { unjudgeable, verdict } from '../../replay/report/text.ts';
import { replayText, unzipped } from './fixtures.ts';
import { begunAt, losing, only, threadPerVcpu, twice, without } from './partial.ts';
import { at, BORN, MS, pageAt } from './small-vm.ts';
import { type ThreadText, TraceText } from './trace-text.ts';

const textOf = (name: string): string => unzipped(name, 'trace.txt');

/** Jumps and their like, so that two recordings can be compared that differ in VMs' names. */
const steps = (findings: readonly Finding[]) =>
  findings
    .filter(({ rule }) => rule === 'jump' || rule === 'tsc-jump')
    .map(({ rule, vcpu, deltaNs, timestamp }) => ({ rule, vcpu, deltaNs, timestamp }));

const found = async (text: string, ...rules: Finding['rule'][]) => {
  const { findings } = await replayText(text);
  return findings.filter(({ rule }) => rules.includes(rule));
};

const IOCTLS = /: sys_ioctl/;

describe('a recording that shows only part of it', () => {
  test('without pages it cannot tell, though clocks were moved', async () => {
    const { summary } = await replayText(without(textOf('ntp-hotplug'), /: kvm_pvclock_update/));
    expect(unjudgeable(summary)).toContain('no pvclock page was recorded');
  });

  test('where nothing wrote a clock the verdict says so', async () => {
    const { summary } = await replayText(only(textOf('ntp-hotplug'), /: kvm_(entry|exit): /));
    expect(unjudgeable(summary)).toBeUndefined();
    expect(verdict(summary, undefined)).toContain('no clock was written on 4 vCPUs of 1 VM');
  });

  test('a TSC that moves under a page from before is unmeasured', async () => {
    const text = begunAt(textOf('tsc-guest-6.1'), 0.55);
    const moved = await found(
      only(text, /: kvm_(entry|exit|msr|write_tsc_offset): /),
      'unmeasured',
    );
    expect(moved.length).toBeGreaterThan(0);
    for (const { cause } of moved) expect(cause).toMatch(/^its TSC moved by [−+][\d,]+ cycles$/);
  });

  test.each(['xen-6.12', 'xen-7.3', 'xen-deep-6.12', 'clock-deep-6.12', 'tsc-guest-6.1'])(
    '%s: without ioctls, on one thread or on one each, the jumps are the same',
    async (name) => {
      const whole = steps((await replayText(textOf(name))).findings);
      expect(whole.length).toBeGreaterThan(3);
      const oneThread = without(textOf(name), IOCTLS);
      expect(steps((await replayText(oneThread)).findings)).toEqual(whole);
      const oneEach = without(threadPerVcpu(textOf(name)), IOCTLS);
      expect(steps((await replayText(oneEach)).findings)).toEqual(whole);
    },
  );

  test.each([
    ['kvm_update_master_clock', 'clock-deep-6.12'],
    ['kvm_update_master_clock', 'clock-deep-7.3'],
    ['kvm_exit', 'clock-deep-6.12'],
    ['kvm_exit', 'loadburst-7.3'],
  ])('without %s the vCPUs of %s are not held against each other', async (event, name) => {
    const text = without(textOf(name), new RegExp(`: ${event}: `));
    expect(await found(text, 'cross-vcpu')).toEqual([]);
  });

  test('without entries a guest’s own TSC write is a step of its own, from the first on', async () => {
    // The instant is another, which decides how the two readings are rounded.
    const sizes = async (text: string) =>
      (await found(text, 'tsc-jump')).map(({ vcpu, deltaNs }) => ({ vcpu, µs: deltaNs! / 1_000n }));
    const whole = await sizes(textOf('tsc-guest-6.1'));
    const entryless = await sizes(without(textOf('tsc-guest-6.1'), /: kvm_entry: /));
    expect(whole.length).toBeGreaterThan(3);
    expect(entryless.slice(0, 3)).toEqual(whole.slice(0, 3));
  });

  test.each(['tsc-host-deep-6.12', 'tsc-host-unstable-6.12', 'tsckhz-7.3'])(
    'without TSC offsets no write of the TSC of %s is told as a step of kvmclock',
    async (name) => {
      const large = async (text: string) =>
        (await found(text, 'jump')).filter(({ deltaNs }) => deltaNs! ** 2n > MS ** 2n);
      const whole = await large(textOf(name));
      const text = without(textOf(name), /: kvm_write_tsc_offset: /);
      for (const { vcpu, deltaNs } of await large(text)) {
        expect(whole.some((of) => of.vcpu === vcpu && (of.deltaNs! - deltaNs!) ** 2n <= 25n)).toBe(
          true,
        );
      }
    },
  );

  test('by a clock that NTP steers no TSC seems to have moved', async () => {
    // Each ns of CLOCK_MONOTONIC is 2.6 cycles or so; the guest's clock follows it at each update.
    const page = (ms: bigint, ns: bigint, version: number) => ({
      ...{ tsc: at(ms), ns, version },
    });
    const trace = new TraceText('ns')
      .masterclock(10_000_000n, 1)
      .page(10_010_000n, page(10n, 0n, 2))
      .entry(10_020_000n)
      .masterclock(1_015_000_000n, 1)
      .page(1_015_010_000n, page(1_010n, 1_005_000_000n, 4))
      .entry(1_015_020_000n);
    const { findings } = await replayText(String(trace));
    const told = findings.filter(({ cause }) => cause.startsWith('its TSC moved'));
    expect(told).toEqual([]);
    expect(findings.filter(({ rule }) => rule === 'jump')).toMatchObject([{ deltaNs: 5_000_000n }]);
  });

  describe('without TSC offsets', () => {
    const FIRST = 3_000n;
    /** A vCPU's first page; then one, 100 ms later, whose TSC was moved, and kvmclock not. */
    const moved = (cycles: bigint, clock?: 'ns') => {
      const [first, second] = [at(FIRST), at(FIRST + 100n)];
      return new TraceText(clock)
        .masterclock(first, 1)
        .page(first + 100n, { tsc: first, ns: 1_000_000_000n })
        .entry(first + 200n)
        .masterclock(second, 1)
        .page(second + 100n, { tsc: second + cycles, ns: 1_100_000_000n, version: 4 })
        .entry(second + 200n);
    };
    const told = async (trace: TraceText) =>
      (await found(String(trace), 'jump', 'unmeasured'))
        .filter(({ timestamp }) => timestamp > at(FIRST + 1n))
        .map(({ rule, cause }) => `${rule}: ${cause}`);

    test('a move of 0.1 ms is told by how late the pages are', async () => {
      const by = (cycles: string) => [`unmeasured: its TSC moved by about ${cycles} cycles`];
      expect(await told(moved(200_000n))).toEqual(by('+200,000'));
      expect(await told(moved(-200_000n))).toEqual(by('−200,000'));
      expect(await told(moved(199_998n))).toEqual(['jump: a clock update']);
    });

    test('a TSC that went back by more than a second did not do so by itself', async () => {
      // By another clock nothing tells how far.
      expect(await told(moved(-1_101n * MS, 'ns'))).toEqual(['unmeasured: its TSC moved back']);
      expect(await told(moved(-1_099n * MS, 'ns'))).toEqual(['jump: a clock update']);
    });
  });

  test('a TSC that was moved by an unseen write is told so, and by how much', async () => {
    const text = without(textOf('tsc-host-deep-6.12'), /: kvm_write_tsc_offset: /);
    const moved = (await found(text, 'unmeasured')).filter(({ cause }) =>
      /^its TSC moved by about [−+][\d,]+ cycles$/.test(cause),
    );
    expect(moved.length).toBeGreaterThan(2);
  });

  test.each([
    'clock-deep-5.10',
    'clock-deep-6.12',
    'clocksource-6.12',
    'hotplug-deep-6.1',
    'ntp-hotplug',
    'set-clock-7.3',
    'several-vms-6.1',
  ])('without entries the jumps of %s have the same causes', async (name) => {
    const told = async (text: string) =>
      (await found(text, 'jump')).map(
        ({ vm, vcpu, deltaNs, cause, mechanism }) =>
          `vCPU ${vcpu} of ${vm?.id}: ${deltaNs} ${mechanism} after ${cause}`,
      );
    const whole = await told(textOf(name));
    expect(whole.length).toBeGreaterThan(5);
    expect((await told(without(textOf(name), /: kvm_entry: /))).sort()).toEqual(whole.sort());
  });

  test.each(['hyperv-5.10', 'hyperv-deep-6.12', 'tsc-guest-6.1'])(
    'with neither entries nor ioctls the MSRs that the vCPUs of %s write stay apart',
    async (name) => {
      const text = without(textOf(name), /: (kvm_entry: |sys_ioctl)/);
      expect(await found(text, 'divergence')).toEqual([]);
    },
  );

  test.each(['legacy-5.10', 'periodic-6.1', 'clock-deep-6.12'])(
    'without TSC offsets %s shows nothing that the model does not do',
    async (name) => {
      const text = without(textOf(name), /: kvm_write_tsc_offset: /);
      expect(await found(text, 'divergence')).toEqual([]);
    },
  );
});

describe('a recording that begins in the VM’s life, of a VMM with a thread for each vCPU', () => {
  const names = ['hotplug-deep-6.1', 'ntp-hotplug', 'clocksource-6.12', 'tsc-guest-6.1'];
  const starts = [0.04, 0.12, 0.3, 0.45, 0.7];
  const cases = names.flatMap((name) => starts.map((share) => [name, share] as const));

  test.each(cases)(
    '%s from %d on: nothing is said that the whole does not say',
    async (name, share) => {
      const whole = await replayText(textOf(name));
      const known = new Set(whole.findings.map((f) => `${f.rule} ${f.vcpu} ${f.timestamp}`));
      const part = await replayText(begunAt(threadPerVcpu(textOf(name)), share));
      const sure = part.findings.filter(({ rule }) => rule !== 'unmeasured' && rule !== 'drift');
      expect(sure.filter((f) => !known.has(`${f.rule} ${f.vcpu} ${f.timestamp}`))).toEqual([]);
      expect(part.findings.filter(({ cause }) => cause.includes('several vCPUs'))).toEqual([]);
    },
  );

  test('an update of a VM that is not known yet makes no page of another stale', async () => {
    for (const share of [0.2, 0.3, 0.4, 0.5, 0.6]) {
      expect(await found(begunAt(textOf('migrate-7.3'), share), 'stale')).toEqual([]);
    }
  });
});

describe('a VMM whose main thread writes the TSCs of vCPUs that other threads run', () => {
  test.each([undefined, 100])(
    'is one VM, from wherever the recording begins (process %s)',
    async (tgid) => {
      const main = tgid === undefined ? {} : { tgid };
      const own = { ...main, tid: 101, cpu: 1 };
      const trace = new TraceText()
        .offset(at(5n), -BORN - 2n * MS, -BORN, 0, main)
        .masterclock(at(9n), 1, 1, own)
        .page(at(10n), { ...pageAt(9n), version: 8 }, own)
        .entry(at(10n) + 100n, 0, own)
        .exit(at(11n), 0, own)
        .offset(at(12n), -BORN, -BORN + 7n * MS, 0, main)
        .entry(at(13n), 0, own);
      const { findings, summary } = await replayText(String(trace));
      expect(summary.vmCount).toBe(1);
      expect(steps(findings)).toMatchObject([{ rule: 'tsc-jump', vcpu: 0, deltaNs: 7_000_000n }]);
    },
  );
});

describe('a VMM’s main thread that writes the TSCs of running vCPUs', () => {
  const main = { tid: 777 };
  const born = () =>
    new TraceText()
      .offset(BORN, 0n, -BORN)
      .masterclock(at(9n), 1)
      .page(at(10n), pageAt(9n))
      .entry(at(10n) + 100n);
  const moved = (cycles: bigint) =>
    born()
      .offset(at(20n), -BORN, -BORN + cycles, 0, main)
      .masterclock(at(21n), 1)
      .page(at(22n), { tsc: 21n * MS + cycles, ns: pageAt(21n).ns, version: 4 })
      .entry(at(23n));

  test.each([500n * MS, -5n * MS])('writes them by %d cycles: the page follows', async (cycles) => {
    const { findings, summary } = await replayText(String(moved(cycles)));
    expect(steps(findings)).toEqual([]);
    expect(summary.vmCount).toBe(1);
  });
});

describe('a write of a TSC offset that several vCPUs could mean', () => {
  const OTHER = { tid: 200, cpu: 1 };
  /** Two VMs of one vCPU each, which enter at 30 ms once one of their TSCs was moved. */
  const moved = (offsetOfOther: bigint, by: ThreadText) =>
    new TraceText()
      .offset(BORN, 0n, -BORN)
      .page(at(10n), pageAt(9n))
      .entry(at(10n) + 100n)
      .offset(at(11n), 0n, offsetOfOther, 0, OTHER)
      .page(at(12n), { tsc: 12n * MS, ns: 5_000_000_000n }, OTHER)
      .entry(at(13n), 0, OTHER)
      .offset(at(20n), offsetOfOther, offsetOfOther + MS, 0, by)
      .entry(at(30n))
      .entry(at(31n), 0, OTHER);

  test('is that of the thread, if it carries one', async () => {
    const { findings } = await replayText(String(moved(-2n * BORN, { tid: 100 })));
    expect(findings.filter(({ vm, rule }) => vm?.id === '200' && rule === 'tsc-jump')).toEqual([]);
  });

  test('is nobody’s, if two had that offset', async () => {
    const { findings } = await replayText(String(moved(-BORN, { tid: 777 })));
    expect(steps(findings)).toEqual([]);
    const sure = await replayText(String(moved(-2n * BORN, { tid: 777 })));
    expect(steps(sure.findings)).toMatchObject([{ rule: 'tsc-jump', deltaNs: 1_000_000n }]);
  });
});

test('a page below its offset does not make the TSC another clock', async () => {
  const trace = new TraceText()
    .offset(BORN, 0n, 500n * MS)
    .page(at(10n), { tsc: MS, ns: 0n })
    .entry(at(11n));
  expect((await replayText(String(trace))).summary.clock.unit).toBe('tsc');
});

describe('two VMs at once', () => {
  test.each(['clocksource-6.12', 'hotplug-deep-6.1', 'tsc-guest-6.1'])(
    '%s twice: each has its own findings and no others',
    async (name) => {
      const one = (await replayText(textOf(name))).findings;
      const two = (await replayText(twice(textOf(name)))).findings;
      for (const rule of ['jump', 'tsc-jump', 'cross-vcpu', 'stale', 'divergence'] as const) {
        const of = (findings: readonly Finding[]) => findings.filter((f) => f.rule === rule);
        expect(of(two), rule).toHaveLength(2 * of(one).length);
      }
    },
  );
});

describe('a VM without pages beside one that has them', () => {
  /** The second VM is one of a guest without kvmclock. */
  const PAGE_OF_SECOND = /-5\d{3} .*: kvm_pvclock_update:/;
  const text = without(twice(textOf('periodic-6.1')), PAGE_OF_SECOND);

  test('the verdict names it', async () => {
    const { summary } = await replayText(text);
    const silent = summary.vms.find(({ pages }) => pages === 0);
    expect(silent?.moves).toBeGreaterThan(0);
    expect(unjudgeable(summary)).toBeUndefined();
    expect(verdict(summary, undefined)).toContain(`; no page of VM ${silent?.id} was recorded`);
  });

  test('asked for it alone, nothing can be told', async () => {
    const { vms } = (await replayText(text)).summary;
    const [silent, other] = [true, false].map((is) =>
      vms.find(({ pages }) => (pages === 0) === is),
    );
    const { summary } = await replayText(text, { vm: silent!.id });
    expect(unjudgeable(summary)).toContain('no pvclock page was recorded');
    const ofOther = (await replayText(text, { vm: other!.id })).summary;
    expect(unjudgeable(ofOther)).toBeUndefined();
    expect(verdict(ofOther, undefined)).not.toContain('was recorded');
  });
});

describe('lost events', () => {
  test.each(['tsc-host-deep-6.12', 'clock-deep-6.12', 'legacy-5.10', 'hotplug-deep-6.1'])(
    '%s: one event lost, wherever it is, leaves nearly all findings and invents none',
    async (name) => {
      const text = textOf(name);
      const size = text.split('\n').filter((line) => line !== '' && !line.startsWith('#')).length;
      const whole = steps((await replayText(text)).findings);
      const known = new Set(whole.map(({ vcpu, timestamp }) => `${vcpu} ${timestamp}`));
      let left = 0;
      const places = Array.from({ length: 12 }, (_, i) => Math.floor((size * (i + 0.5)) / 12));
      for (const at of places) {
        const lossy = steps((await replayText(losing(text, at, 1))).findings);
        expect(lossy.filter(({ vcpu, timestamp }) => !known.has(`${vcpu} ${timestamp}`))).toEqual(
          [],
        );
        left += lossy.length;
      }
      expect(left).toBeGreaterThan(0.9 * whole.length * places.length);
    },
  );

  test('descriptors of a VM that is gone are not trusted after a loss', async () => {
    const text = textOf('migrate-7.3');
    const creates = /sys_ioctl\(fd: 9, cmd: (0x)?ae41, arg: 0\)/;
    const at = text
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
      .findLastIndex((line) => creates.test(line));
    const whole = new Set(steps((await replayText(text)).findings).map((step) => step.timestamp));
    const lossy = steps((await replayText(losing(text, at, 45))).findings);
    expect(lossy.filter(({ timestamp }) => !whole.has(timestamp))).toEqual([]);
  });
});
