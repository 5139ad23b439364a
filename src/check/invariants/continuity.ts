/** How a guest's clock goes on: between two updates, and over a new masterclock reference. */
import { l1Rdtsc } from '../../clock/index.ts';
import { asS64, pvclockRead, subU64 } from '../../num/index.ts';
import { vcpuOf } from '../copy.ts';
import { always, type Invariant, memoryless } from '../invariant.ts';
import { type PageWrite, pageOf } from '../pages.ts';

/** A reading of one page. */
interface Reading {
  readonly page: PageWrite;
  readonly tsc: bigint;
  readonly ns: bigint;
}

/** Cycles since the reference that a scale can take without losing bits at the top. */
const isInReach = (page: PageWrite, tsc: bigint): boolean =>
  subU64(tsc, page.tscTimestamp) < 1n << BigInt(62 - Math.max(0, page.tscShift));

const V4: Invariant = {
  id: 'V4',
  name: 'a page’s clock goes forward',
  statement:
    'While its page stays as it is and its TSC goes forward from the page’s reference on, a guest’s clock never goes back.',
  source: '__pvclock_read_cycles()',
  bound: 'exact',
  holdsUnder: always,
  watch: () => {
    const last = new Map<string, Reading>();
    return function* ({ input, after, pages }) {
      for (const page of pages) {
        const { vm, vcpu } = page;
        const state = vcpuOf(after, vm, vcpu);
        if (state === undefined) continue;
        const tsc = l1Rdtsc(state, after.host, input.tsc);
        const key = `${vm}/${vcpu}`;
        const before = last.get(key);
        if (!isInReach(page, tsc)) {
          last.delete(key);
          continue;
        }
        const ns = pvclockRead(pageOf(state), tsc);
        if (before?.page === page && asS64(tsc - before.tsc) >= 0n && asS64(ns - before.ns) < 0n) {
          yield { vm, vcpu, expected: `at least ${before.ns} ns`, found: `${ns} ns` };
        }
        last.set(key, { page, tsc, ns });
      }
    };
  },
};

/** Two pages of one vCPU between which nothing changed but the masterclock's reference. */
const isNewReference = (page: PageWrite, previous: PageWrite): boolean =>
  page.master &&
  previous.master &&
  page.hostTsc > previous.hostTsc &&
  page.kvmclockOffset === previous.kvmclockOffset &&
  page.offsBoot === previous.offsBoot &&
  page.l1TscOffset === previous.l1TscOffset &&
  page.l1TscScalingRatio !== 0n &&
  page.l1TscScalingRatio === previous.l1TscScalingRatio &&
  page.hwTscHz === previous.hwTscHz;

const V5 = memoryless({
  id: 'V5',
  name: 'step of a new reference',
  statement:
    'Where the masterclock takes a new reference, the clock steps back by no more than the page’s rate gained on CLOCK_MONOTONIC_RAW since the old one.',
  source: 'rates: kvm_get_time_scale(), clocks_calc_mult_shift(); 53fafdbb8b21 (v5.5)',
  bound: 'T · max(0, r_B − r_A) + 1 ns',
  holdsUnder: ({ masterBase }) => masterBase === 'raw',
  *check({ written, after: { host } }) {
    for (const page of written) {
      const { previous, vm, vcpu } = page;
      if (previous === undefined || !isNewReference(page, previous)) continue;
      const step = asS64(page.systemTime - pvclockRead(previous, page.tscTimestamp));
      // Both rates over the time between the references, as fractions of one denominator.
      const pageNs =
        (subU64(page.tscTimestamp, previous.tscTimestamp) * BigInt(previous.tscToSystemMul)) <<
        BigInt(host.rawShift + 32 + previous.tscShift);
      const rawNs = ((page.hostTsc - previous.hostTsc) * BigInt(host.rawMult)) << 64n;
      const gain = pageNs > rawNs ? pageNs - rawNs : 0n;
      const bound = (gain >> BigInt(host.rawShift + 64)) + 2n;
      if ((-step - 1n) << BigInt(host.rawShift + 64) > gain) {
        yield { vm, vcpu, expected: `at most ${bound} ns back`, found: `${step} ns` };
      }
    }
  },
});

export const CONTINUITY_INVARIANTS: readonly Invariant[] = [V4, V5];
