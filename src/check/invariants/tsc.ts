/** Guests' TSCs: what a write makes them read, their frequency, and that they agree. */
import { MSRS } from '../../../events/index.ts';
import { hasTscControl, hasTscHostAccess, readL1Tsc, type VcpuState } from '../../clock/index.ts';
import { asS64, asU64, defaultTscRatio, subU64 } from '../../num/index.ts';
import { vcpuOf } from '../copy.ts';
import { always, type Invariant, memoryless, type Step } from '../invariant.ts';
import { tscRead } from '../pages.ts';

/** A write of an MSR that was done, with its vCPU before and after. */
function msrWrite({ input, dispatched, before, after, switches }: Step) {
  if ((input.type !== 'wrmsr' && input.type !== 'KVM_SET_MSRS') || dispatched.refused) return;
  const was = vcpuOf(before, input.vm, input.vcpu);
  const is = vcpuOf(after, input.vm, input.vcpu);
  if (was === undefined || is === undefined || is.guestTscProtected) return;
  const vm = after.vms.get(input.vm)?.state;
  const isAsGuests = vm !== undefined && !hasTscHostAccess({ switches, vm });
  return { input, was, is, byGuest: input.type === 'wrmsr' || isAsGuests };
}

const moved = (was: VcpuState, is: VcpuState): bigint => subU64(is.l1TscOffset, was.l1TscOffset);

/** How far TSC_ADJUST and the TSC must move with a write of either. */
const V13 = memoryless({
  id: 'V13',
  name: 'TSC and TSC_ADJUST',
  statement:
    'A guest’s write of IA32_TSC or TSC_ADJUST moves both alike; user space’s writes leave the other one as it is, unless the quirk that makes them so is disabled.',
  source: 'kvm_set_msr_common(); selftest tsc_msrs_test',
  bound: 'exact',
  holdsUnder: always,
  *check(step) {
    const write = msrWrite(step);
    if (write === undefined) return;
    const { input, was, is, byGuest } = write;
    const adjusted = asU64(is.ia32TscAdjust - was.ia32TscAdjust);
    const at = { vm: input.vm, vcpu: input.vcpu };
    if (input.index === MSRS.IA32_TSC) {
      const expected = byGuest ? moved(was, is) : 0n;
      if (adjusted !== expected) {
        yield { ...at, expected: `TSC_ADJUST moved by ${expected}`, found: String(adjusted) };
      }
    }
    if (input.index === MSRS.IA32_TSC_ADJUST) {
      const expected = byGuest ? adjusted : 0n;
      if (moved(was, is) !== expected || is.ia32TscAdjust !== asS64(input.data)) {
        yield { ...at, expected: `TSC moved by ${expected}`, found: String(moved(was, is)) };
      }
    }
  },
});

const V13V = memoryless({
  id: 'V13v',
  name: 'a guest’s TSC reads what it wrote',
  statement:
    'After a guest’s write of IA32_TSC its TSC reads that value at the instant of the write.',
  source: '0c899c25d754 (v5.8); selftest tsc_msrs_test',
  bound: 'exact',
  holdsUnder: ({ tscWriteByGuest }) => tscWriteByGuest !== 'sync',
  *check(step) {
    const write = msrWrite(step);
    if (write === undefined || !write.byGuest || write.input.index !== MSRS.IA32_TSC) return;
    const { input, is } = write;
    const tsc = readL1Tsc(is, step.after.host, tscRead(input, 'write.tsc'));
    if (tsc !== input.data) {
      yield { vm: input.vm, vcpu: input.vcpu, expected: String(input.data), found: String(tsc) };
    }
  },
});

/** Whether a step wrote a vCPU's offset. */
const wroteOffset = ({ dispatched }: Step, vm: number, vcpu: number): boolean =>
  dispatched.observations.some(
    (o) => o.type === 'kvm_write_tsc_offset' && o.vm === vm && o.vcpu === vcpu,
  );

const synchronized = ({ dispatched }: Step, vm: number, vcpu: number): boolean =>
  dispatched.observations.some((o) => o.type === 'kvm_track_tsc' && o.vm === vm && o.vcpu === vcpu);

const V14: Invariant = {
  id: 'V14',
  name: 'TSCs of one generation agree',
  statement:
    'vCPUs of the VM’s TSC generation have its offset from their synchronisation on, until their own TSC is moved: no TSC goes backwards from one of them to another. (TSC stable.)',
  source: '__kvm_synchronize_tsc(); selftest tsc_scaling_sync',
  bound: 'exact',
  holdsUnder: ({ syncRecord }) => syncRecord === 'raw',
  watch: () => {
    const apart = new Set<string>();
    return function* (step) {
      const unstable = step.before.host.tsc === 'unstable';
      for (const [vm, { state, vcpus }] of step.after.vms) {
        for (const [vcpu, its] of vcpus) {
          const key = `${vm}/${vcpu}`;
          // On an unstable TSC a matching write gets an offset of its own.
          if (synchronized(step, vm, vcpu) && !unstable) apart.delete(key);
          else if (wroteOffset(step, vm, vcpu)) apart.add(key);
          if (apart.has(key) || its.thisTscGeneration === 0n) continue;
          if (its.thisTscGeneration !== state.curTscGeneration) continue;
          if (its.l1TscOffset !== state.curTscOffset) {
            yield {
              vm,
              vcpu,
              expected: `offset ${state.curTscOffset}`,
              found: String(its.l1TscOffset),
            };
          }
        }
      }
    };
  },
};

/** Whether the input set a frequency that the hardware scales to. */
function setsRatio({ input, dispatched, before, after, switches }: Step): VcpuState | undefined {
  if (input.type !== 'KVM_SET_TSC_KHZ' && input.type !== 'KVM_CREATE_VCPU') return undefined;
  if (dispatched.refused || !hasTscControl(after.host, switches)) return undefined;
  const failed = dispatched.observations.some((o) => o.type === 'ioctl_result' && o.ret !== 0);
  const created =
    input.type === 'KVM_CREATE_VCPU' && vcpuOf(before, input.vm, input.vcpu) === undefined;
  const vcpu = vcpuOf(after, input.vm, input.vcpu);
  if (failed || vcpu === undefined || (created && vcpu.l1TscScalingRatio === 0n)) return undefined;
  return vcpu;
}

const V18 = memoryless({
  id: 'V18',
  name: 'frequency of a scaled TSC',
  statement:
    'A scaled TSC runs at most one step of the ratio slower than asked for, never faster; an unscaled one was asked for the host’s own, give or take its tolerance.',
  source: 'set_tsc_khz()',
  bound: 'host Hz / 2^frac; tsc_tolerance_ppm where not scaled',
  holdsUnder: always,
  *check(step) {
    const vcpu = setsRatio(step);
    const { host } = step.after;
    if (vcpu === undefined || !('vcpu' in step.input)) return;
    const frac = BigInt(host.tscScalingRatioFracBits);
    const asked = (BigInt(vcpu.virtualTscKhz) * 1000n) << frac;
    const hostHz = BigInt(host.tscKhz) * 1000n;
    const real = hostHz * vcpu.l1TscScalingRatio;
    const unscaled = vcpu.l1TscScalingRatio === defaultTscRatio(Number(frac));
    const slack = unscaled
      ? (asked * BigInt(host.tscTolerancePpm)) / 1_000_000n + (1000n << frac)
      : hostHz - 1n;
    const fast = unscaled ? slack : 0n;
    if (real > asked + fast || real < asked - slack) {
      yield {
        vm: step.input.vm,
        vcpu: step.input.vcpu,
        expected: `${vcpu.virtualTscKhz} kHz`,
        found: `ratio ${vcpu.l1TscScalingRatio}`,
      };
    }
  },
});

/** 100 ms. */
const HONOURED_MS = 100n;

const V22 = memoryless({
  id: 'V22',
  name: 'first TSC written by user space',
  statement:
    'The first TSC that user space writes, unless 0, is what the guest’s TSC goes on from. (Series v6 takes the frequency of a new vCPU for such a write.)',
  source: 'bf328e22e472 (v6.7); selftest tsc_user_set_test',
  bound: '0 … 100 ms of cycles',
  holdsUnder: ({ syncWindow, syncOnSetTscKhz }) =>
    syncWindow === 'cycles-after-user-set' && syncOnSetTscKhz !== 'continuous',
  *check(step) {
    const write = msrWrite(step);
    if (write === undefined || write.byGuest || write.input.index !== MSRS.IA32_TSC) return;
    const { input, is } = write;
    const vm = step.before.vms.get(input.vm)?.state;
    if (vm === undefined || vm.userSetTsc || input.data === 0n) return;
    const tsc = readL1Tsc(is, step.after.host, tscRead(input, 'sync.tsc'));
    const off = asS64(tsc - input.data);
    if (off < 0n || off >= HONOURED_MS * BigInt(is.virtualTscKhz)) {
      yield { vm: input.vm, vcpu: input.vcpu, expected: String(input.data), found: String(tsc) };
    }
  },
});

export const TSC_INVARIANTS: readonly Invariant[] = [V13, V13V, V14, V18, V22];
