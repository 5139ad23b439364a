/** How far the clocks of one VM's vCPUs may differ. */
import type { HostState, VcpuState } from '../../clock/index.ts';
import { asS64, defaultTscRatio } from '../../num/index.ts';
import { vcpuOf } from '../copy.ts';
import { always, type Breach, type Invariant, memoryless, type Step } from '../invariant.ts';
import { isCurrent, type PageWrite, readAt } from '../pages.ts';

const NSEC_PER_SEC = 1_000_000_000n;

/** A cycle of the guest, rounded up, ns. */
const cycleNs = (hz: bigint): bigint => (NSEC_PER_SEC + hz - 1n) / hz;

const isUnscaled = (page: PageWrite, host: Readonly<HostState>): boolean =>
  page.l1TscScalingRatio === defaultTscRatio(host.tscScalingRatioFracBits);

/** By how much two pages of one reference may differ, ns: scaled TSCs are rounded on their own. */
function agreementBound(a: PageWrite, b: PageWrite, host: Readonly<HostState>): bigint {
  const alike = a.l1TscOffset === b.l1TscOffset && a.l1TscScalingRatio === b.l1TscScalingRatio;
  return alike || (isUnscaled(a, host) && isUnscaled(b, host)) ? 0n : cycleNs(a.hwTscHz) + 1n;
}

const magnitude = (value: bigint): bigint => (value < 0n ? -value : value);

/** A page beside the vCPU that reads it, both as they are now. */
interface Reader {
  readonly page: PageWrite;
  readonly vcpu: VcpuState;
}

/** The VM's pages that can be read now and still mean what they were written for. */
function readersOf(step: Step, vm: number): Reader[] {
  return step.pages.flatMap((page) => {
    const vcpu = page.vm === vm ? vcpuOf(step.after, vm, page.vcpu) : undefined;
    return vcpu !== undefined && isCurrent(page, vcpu) ? [{ page, vcpu }] : [];
  });
}

/** The TSC did not start again since the page's reference. */
const isAfter = (page: PageWrite, tsc: bigint): boolean => asS64(tsc - page.hostTsc) >= 0n;

/** A page that was just written, and another that must agree with it. */
function* pairsOf(step: Step): Iterable<[mine: Reader, other: Reader]> {
  for (const { vm, vcpu } of step.written) {
    const readers = readersOf(step, vm);
    const mine = readers.find(({ page }) => page.vcpu === vcpu);
    if (mine === undefined || !isAfter(mine.page, step.input.tsc)) continue;
    for (const other of readers) {
      if (other.page.epoch === mine.page.epoch && other !== mine) yield [mine, other];
    }
  }
}

const difference = ([a, b]: readonly [Reader, Reader], { after, input }: Step): bigint =>
  asS64(readAt(a.vcpu, after.host, input.tsc) - readAt(b.vcpu, after.host, input.tsc));

const breachOf = (mine: Reader, other: Reader, bound: bigint, found: bigint): Breach => ({
  vm: mine.page.vm,
  vcpu: mine.page.vcpu,
  expected: `within ${bound} ns of vCPU ${other.page.vcpu}`,
  found: `${found} ns`,
});

const V3 = memoryless({
  id: 'V3',
  name: 'pages of one reference agree',
  statement:
    'With the masterclock, pages of one reference read the same at one host TSC. (Not where the vCPUs’ pages were made for different frequencies: CPUs without constant TSC, or a copy of the frequency that one CPU has renewed.)',
  source: 'kvm_guest_time_update(); masterclock_offset_test',
  bound: '0; a cycle and 1 ns for different offsets under scaling',
  holdsUnder: always,
  *check(step) {
    for (const [mine, other] of pairsOf(step)) {
      if (!mine.page.master || mine.page.hwTscHz !== other.page.hwTscHz) continue;
      const bound = agreementBound(mine.page, other.page, step.after.host);
      const found = difference([mine, other], step);
      if (magnitude(found) > bound) yield breachOf(mine, other, bound, found);
    }
  },
});

/** The latest that any vCPU of a VM read of one reference. */
interface Latest {
  readonly tsc: bigint;
  readonly ns: bigint;
}

const V16: Invariant = {
  id: 'V16',
  name: 'no warps between vCPUs',
  statement:
    'With the masterclock and one reference, a later reading on any vCPU is not less than an earlier one on any other.',
  source: 'kvm-unit-tests kvmclock_test',
  bound: 'as V3',
  holdsUnder: always,
  watch: () => {
    const latest = new Map<string, Latest>();
    return function* (step) {
      const { tsc } = step.input;
      for (const id of step.after.vms.keys()) {
        for (const { page, vcpu } of readersOf(step, id)) {
          if (!page.master || !isAfter(page, tsc)) continue;
          // Pages made for another frequency, or rounded differently, are another clock.
          const rate = `${page.hwTscHz}/${page.l1TscOffset}/${page.l1TscScalingRatio}`;
          const key = `${id}/${page.epoch}/${isUnscaled(page, step.after.host) ? page.hwTscHz : rate}`;
          const ns = readAt(vcpu, step.after.host, tsc);
          const before = latest.get(key);
          if (before !== undefined && asS64(tsc - before.tsc) < 0n) continue;
          if (before !== undefined && asS64(ns - before.ns) < 0n) {
            yield {
              vm: id,
              vcpu: page.vcpu,
              expected: `at least ${before.ns} ns`,
              found: `${ns} ns`,
            };
          }
          latest.set(key, { tsc, ns });
        }
      }
    };
  },
};

/** NTP steers by 500 ppm at most; the rest is a host whose own frequency is not known exactly. */
const DRIFT_PPM = 600n;

const V20 = memoryless({
  id: 'V20',
  name: 'skew without masterclock',
  statement:
    'Without the masterclock, two pages differ by no more than the clocks drift between the instants they were made at: 50 µs for the 100 ms of the delayed update. (TSC stable and constant. v4.4’s pages have the rate that user space asked for, which the TSC need not have.)',
  source: '7e44e4495a39',
  bound: '600 ppm of the time between the two pages, a cycle and 2 ns',
  holdsUnder: ({ pvScaleUnit }) => pvScaleUnit !== 'user-khz',
  *check(step) {
    const { host } = step.after;
    if (!host.constantTsc || host.tsc === 'unstable') return;
    for (const [mine, other] of pairsOf(step)) {
      if (mine.page.master || !isAfter(other.page, step.input.tsc)) continue;
      const apart = magnitude(asS64(mine.page.hostTsc - other.page.hostTsc));
      const apartNs = (apart * 1_000_000n) / BigInt(host.tscKhz);
      const bound = (apartNs * DRIFT_PPM) / 1_000_000n + cycleNs(mine.page.hwTscHz) + 2n;
      const found = difference([mine, other], step);
      if (magnitude(found) > bound) yield breachOf(mine, other, bound, found);
    }
  },
});

export const AGREEMENT_INVARIANTS: readonly Invariant[] = [V3, V16, V20];
