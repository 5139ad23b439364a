/** Hyper-V's reference TSC page and the MSR that says the same. */
import { MSRS } from '../../../events/index.ts';
import { l1Rdtsc, monotonicRawAt, type VcpuState, type VmState } from '../../clock/index.ts';
import { asS64, hvReferenceTime } from '../../num/index.ts';
import { vcpuOf } from '../copy.ts';
import { type Breach, type Invariant, memoryless, type Step } from '../invariant.ts';
import { tscRead } from '../pages.ts';

const hasPage = ({ hvPage }: { readonly hvPage: string }): boolean => hvPage !== 'none';

/**
 * What the guest finds on the page at the instant of an input, 100 ns; undefined while the page is
 * not valid, or is about to be written anew before the guest next runs.
 */
function pageTime(vm: VmState, vcpu: VcpuState, step: Step): bigint | undefined {
  const { after, input, switches } = step;
  if (vm.hvTscSequence === 0) return undefined;
  if (switches.hvPage === 'status' && vm.hvTscPage !== 'set') return undefined;
  const tsc = l1Rdtsc(vcpu, after.host, tscRead(input, 'getClock.tsc'));
  return hvReferenceTime(tsc, vm.hvTscScale, vm.hvTscOffset);
}

/** A read of HV_X64_MSR_TIME_REF_COUNT, with the page as each vCPU that shares vCPU 0's TSC has it. */
function* referenceReads(step: Step): Iterable<{ msr: bigint; page: bigint; at: Breach }> {
  const { input, dispatched, after } = step;
  if (input.type !== 'rdmsr' && input.type !== 'KVM_GET_MSRS') return;
  if (input.index !== MSRS.HV_X64_MSR_TIME_REF_COUNT) return;
  const [answer] = dispatched.observations;
  const boot = vcpuOf(after, input.vm, 0);
  if (answer?.type !== 'msr_result' || answer.data === undefined || boot === undefined) return;
  const { state, vcpus } = after.vms.get(input.vm)!;
  for (const [id, vcpu] of vcpus) {
    if (vcpu.l1TscOffset !== boot.l1TscOffset || vcpu.l1TscScalingRatio === 0n) continue;
    if (vcpu.l1TscScalingRatio !== boot.l1TscScalingRatio) continue;
    const page = pageTime(state, vcpu, step);
    if (page === undefined) continue;
    const at = { vm: input.vm, vcpu: id, expected: `${page} ticks`, found: `${answer.data} ticks` };
    yield { msr: answer.data, page, at };
  }
}

const V9 = memoryless({
  id: 'V9',
  name: 'page and MSR are one clock',
  statement:
    'While the reference TSC page is valid and not about to be written anew, HV_X64_MSR_TIME_REF_COUNT lies between a reading of the page before and one after.',
  source: 'get_time_ref_counter(); kvm-unit-tests hyperv_clock',
  bound: 'exact',
  holdsUnder: hasPage,
  *check(step) {
    for (const { msr, page, at } of referenceReads(step)) if (msr !== page) yield at;
  },
});

/** 10 ms. */
const SLACK_TICKS = 100_000n;

const V11 = memoryless({
  id: 'V11',
  name: 'MSR ahead of page',
  statement: 'HV_X64_MSR_TIME_REF_COUNT less the page is at least 0 and less than 10 ms.',
  source: 'selftest hyperv_clock',
  bound: '0 … 100000 ticks of 100 ns',
  holdsUnder: hasPage,
  *check(step) {
    for (const { msr, page, at } of referenceReads(step)) {
      const ahead = asS64(msr - page);
      if (ahead < 0n || ahead >= SLACK_TICKS) yield at;
    }
  },
});

/** The page's numbers in a step that wrote them, and the vCPU whose pvclock they are made of. */
function pageWritten(step: Step): { vm: number; id: number; vcpu: VcpuState } | undefined {
  const { dispatched, input, after } = step;
  const isWritten = dispatched.observations.some(
    (o) => o.type === 'guest_write' && o.what === 'hv_tsc_page' && o.bytes.length === 24,
  );
  if (!isWritten || !('vcpu' in input)) return undefined;
  const vcpu = vcpuOf(after, input.vm, input.vcpu);
  return vcpu === undefined ? undefined : { vm: input.vm, id: input.vcpu, vcpu };
}

const TICKS_PER_SEC = 10_000_000n;

const V10 = memoryless({
  id: 'V10',
  name: 'rate of the reference time',
  statement:
    'The page counts 10^7 ticks in as many cycles as HV_X64_MSR_TSC_FREQUENCY says. (Not where the guest’s TSC does not run at the frequency it is told: no scaling in hardware, no constant TSC, or a frequency that could not be set.)',
  source: 'selftest hyperv_clock',
  bound: '1 %',
  holdsUnder: hasPage,
  *check(step) {
    const written = pageWritten(step);
    const { host, vms } = step.after;
    if (written === undefined || !host.constantTsc || !host.hasTscControl) return;
    const { vm, id, vcpu } = written;
    const hz = BigInt(vcpu.virtualTscKhz) * 1000n;
    // A frequency that was refused stays as what the guest is told, but its TSC has another.
    const real =
      (BigInt(host.tscKhz) * 1000n * vcpu.l1TscScalingRatio) >>
      BigInt(host.tscScalingRatioFracBits);
    if (real * 1000n < hz * 999n || real * 1000n > hz * 1001n) return;
    const ticks = (vms.get(vm)!.state.hvTscScale * hz) >> 64n;
    if (ticks * 100n < TICKS_PER_SEC * 99n || ticks * 100n > TICKS_PER_SEC * 101n) {
      yield { vm, vcpu: id, expected: `${TICKS_PER_SEC} ticks a second`, found: String(ticks) };
    }
  },
});

/** A clock that was set, and when. */
interface Setting {
  readonly clock: bigint;
  readonly rawNs: bigint;
  readonly offsBoot: bigint;
}

const V12: Invariant = {
  id: 'V12',
  name: 'page after KVM_SET_CLOCK',
  statement:
    'The first page after KVM_SET_CLOCK tells the time that was set plus what passed since. (Up to v5.11 the clock lands just before it, which read unsigned is centuries off.)',
  source: 'selftest hyperv_clock; 77fcbe823f00 (v5.12)',
  bound: '10 ms and 0.1 % of the time since',
  holdsUnder: (switches) => hasPage(switches) && switches.setClockOrder === 'update-then-reference',
  watch: () => {
    const settings = new Map<number, Setting>();
    return function* (step) {
      const { input, dispatched, after } = step;
      const rawNs = monotonicRawAt(after.host, input.tsc);
      if (input.type === 'KVM_SET_CLOCK' && !dispatched.refused) {
        const { clock } = input;
        const exact = input.flags === 0 && asS64(clock) >= 0n;
        if (exact) settings.set(input.vm, { clock, rawNs, offsBoot: after.host.offsBoot });
        else settings.delete(input.vm);
      }
      const written = pageWritten(step);
      if (written === undefined || !after.host.constantTsc) return;
      const { vm, id, vcpu } = written;
      const setting = settings.get(vm);
      settings.delete(vm);
      if (setting === undefined || setting.offsBoot !== after.host.offsBoot) return;
      const time = pageTime(after.vms.get(vm)!.state, vcpu, step) ?? 0n;
      const sinceNs = asS64(rawNs - setting.rawNs);
      const expected = (setting.clock + sinceNs) / 100n;
      const slack = SLACK_TICKS + sinceNs / 100_000n;
      const off = asS64(time - expected);
      // Unlike the pvclock the page does not survive a TSC that wraps at 2^64.
      const wraps = l1Rdtsc(vcpu, after.host, input.tsc) < vcpu.pvTscTimestamp;
      if (vcpu.l1TscScalingRatio !== 0n && !wraps && (off > slack || off < -slack)) {
        yield { vm, vcpu: id, expected: `${expected} ticks`, found: `${time} ticks` };
      }
    };
  },
};

const V12E = memoryless({
  id: 'V12e',
  name: 'page under emulation',
  statement:
    'While the guest has its TSC emulated (TSC_EMULATION_CONTROL), the host leaves the page’s scale, offset and sequence as they are.',
  source: 'tsc_page_update_unsafe(); selftest hyperv_clock',
  bound: 'exact',
  holdsUnder: ({ hvPage }) => hvPage === 'status',
  *check({ before, after }) {
    for (const [id, { state }] of after.vms) {
      const was = before.vms.get(id)?.state;
      if (was === undefined || was.hvTscSequence === 0) continue;
      if (was.hvTscEmulationControl === 0n || state.hvTscEmulationControl === 0n) continue;
      // What the guest itself asks for is done.
      if (was.hvTscPage === 'guestChanged' || was.hvReferenceTsc !== state.hvReferenceTsc) continue;
      const text = (vm: VmState): string =>
        `${vm.hvTscSequence} ${vm.hvTscScale} ${vm.hvTscOffset}`;
      if (text(was) !== text(state)) yield { vm: id, expected: text(was), found: text(state) };
    }
  },
});

export const HYPERV_INVARIANTS: readonly Invariant[] = [V9, V10, V11, V12, V12E];
