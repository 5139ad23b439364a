/** The VM's clock as user space reads and sets it, and the wall clock. */
import {
  baseAt,
  clockAtHostTsc,
  gtodIsBasedOnTsc,
  hostTscKhz,
  KVM_CLOCK_REALTIME,
  KVM_CLOCK_TSC_STABLE,
  readL1Tsc,
  realtimeAt,
  type VcpuState,
  type VmState,
} from '../../clock/index.ts';
import { addU64, asS64, defaultTscRatio, pvclockRead } from '../../num/index.ts';
import { vcpuOf } from '../copy.ts';
import { type Invariant, memoryless, type Step } from '../invariant.ts';
import { isCurrent, readAt, tscRead } from '../pages.ts';

/** The host CPU that KVM_GET_CLOCK runs on in a history: no input says another. */
const IOCTL_CPU = 0;

const V6 = memoryless({
  id: 'V6',
  name: 'KVM_GET_CLOCK is what the guest reads',
  statement:
    'With the masterclock, KVM_GET_CLOCK gives what an unscaled guest reads at that host TSC. (A scaled guest’s page has a rate of its own, and the two drift apart.)',
  source: 'get_kvmclock(); kvm_clock_test',
  bound: 'exact',
  holdsUnder: ({ getClock }) => getClock === 'host-scale',
  *check({ input, dispatched, switches, after, pages }) {
    if (input.type !== 'KVM_GET_CLOCK') return;
    const [answer] = dispatched.observations;
    if (answer?.type !== 'ioctl_result' || answer.clock === undefined) return;
    if (((answer.flags ?? 0) & KVM_CLOCK_TSC_STABLE) === 0) return;
    const vm = after.vms.get(input.vm)!;
    const { host } = after;
    const hostTsc = answer.hostTsc || tscRead(input, 'getClock.tsc');
    const hz = BigInt(hostTscKhz(host, IOCTL_CPU, switches)) * 1000n;
    const reference = `${vm.state.masterCycleNow}/${vm.state.masterKernelNs}`;
    const epoch = `${reference}/${vm.state.kvmclockOffset}/${host.offsBoot}`;
    for (const page of pages) {
      const vcpu = vcpuOf(after, page.vm, page.vcpu);
      if (page.vm !== input.vm || page.epoch !== epoch || page.hwTscHz !== hz) continue;
      if (vcpu === undefined || !isCurrent(page, vcpu)) continue;
      if (vcpu.l1TscScalingRatio !== defaultTscRatio(host.tscScalingRatioFracBits)) continue;
      const guest = readAt(vcpu, host, hostTsc);
      if (guest !== answer.clock) {
        yield {
          vm: page.vm,
          vcpu: page.vcpu,
          expected: `${guest} ns`,
          found: `${answer.clock} ns`,
        };
      }
    }
  },
});

const V7 = memoryless({
  id: 'V7',
  name: 'KVM_SET_CLOCK_GUEST sets what its page says',
  statement:
    'After KVM_SET_CLOCK_GUEST the VM’s clock at its new reference is what the given page reads there.',
  source: 'RFC v3 3, series v6 5; pvclock_test',
  bound: 'exact',
  holdsUnder: ({ clockGuestIoctls }) => clockGuestIoctls !== 'none',
  *check({ input, dispatched, after }) {
    if (input.type !== 'KVM_SET_CLOCK_GUEST') return;
    if (!dispatched.observations.some((o) => o.type === 'ioctl_result' && o.ret === 0)) return;
    const { masterCycleNow, masterKernelNs, kvmclockOffset } = after.vms.get(input.vm)!.state;
    const vcpu = vcpuOf(after, input.vm, input.vcpu)!;
    const asked = pvclockRead(input, readL1Tsc(vcpu, after.host, masterCycleNow));
    const found = addU64(masterKernelNs, kvmclockOffset);
    if (found !== asked) {
      yield { vm: input.vm, vcpu: input.vcpu, expected: `${asked} ns`, found: `${found} ns` };
    }
  },
});

const V8 = memoryless({
  id: 'V8',
  name: 'KVM_CLOCK_REALTIME never sets back',
  statement: 'KVM_SET_CLOCK with KVM_CLOCK_REALTIME sets the clock to no less than was asked for.',
  source: 'kvm_vm_ioctl_set_clock(); Documentation/virt/kvm/api.rst 4.30',
  bound: 'exact',
  holdsUnder: ({ setClockFlags }) => (setClockFlags & KVM_CLOCK_REALTIME) !== 0,
  *check({ input, dispatched, switches, after }) {
    if (input.type !== 'KVM_SET_CLOCK' || dispatched.refused) return;
    if ((input.flags & KVM_CLOCK_REALTIME) === 0) return;
    const { masterclock, masterKernelNs, kvmclockOffset } = after.vms.get(input.vm)!.state;
    const told = input.readings?.['setClock.ns'];
    if (masterclock !== 'on' && told !== undefined) return;
    const base =
      masterclock === 'on' ? masterKernelNs : baseAt(after.host, input.tsc, switches.otherBase);
    const set = addU64(base, kvmclockOffset);
    if (asS64(set - input.clock) < 0n) {
      yield { vm: input.vm, expected: `at least ${input.clock} ns`, found: `${set} ns` };
    }
  },
});

/** Half a second in the test; five in its specification. */
const WALL_CLOCK_BOUND_NS = 5_000_000_000n;

/** The VM's clock now, as its masterclock or its base has it. */
function clockNow({ input, switches, after }: Step, vm: VmState, vcpu: VcpuState): bigint {
  const khz = hostTscKhz(after.host, Math.max(0, vcpu.cpu), switches);
  return vm.masterclock === 'on' && khz !== 0
    ? clockAtHostTsc(vm, input.tsc, khz)
    : addU64(baseAt(after.host, input.tsc, switches.otherBase), vm.kvmclockOffset);
}

/** Whether the wall clock goes by the host's clock although there is a masterclock. */
const goesByBase = ({ switches, after: { host } }: Step): boolean =>
  switches.wallClock === 'boottime' ||
  (switches.wallClock === 'guest-scale' && !gtodIsBasedOnTsc(host.vclockMode, switches));

const V16W = memoryless({
  id: 'V16w',
  name: 'wall clock',
  statement:
    'The wall clock written plus the VM’s clock is the host’s realtime. (Until v5.5, and in series v6 once the host’s clock has left the TSC, only without the masterclock, whose reference may be older than a suspend.)',
  source: 'kvm_write_wall_clock(); kvm-unit-tests kvmclock_test',
  bound: '5 s',
  holdsUnder: () => true,
  *check(step) {
    const { input, dispatched, after } = step;
    if (!('vcpu' in input)) return;
    const write = dispatched.observations.find(
      (o) => o.type === 'guest_write' && o.what === 'wall_clock' && o.bytes.length === 12,
    );
    if (write?.type !== 'guest_write') return;
    const vm = after.vms.get(input.vm)!.state;
    const vcpu = vcpuOf(after, input.vm, input.vcpu)!;
    if (vm.masterclock === 'on' && goesByBase(step)) return;
    const clock = clockNow(step, vm, vcpu);
    const realtime = realtimeAt(after.host, input.tsc);
    // Seconds are a u32: a clock ahead of the realtime leaves no epoch to write.
    if (clock > realtime) return;
    const view = new DataView(write.bytes.buffer, write.bytes.byteOffset);
    const epoch =
      BigInt(view.getUint32(4, true)) * 1_000_000_000n + BigInt(view.getUint32(8, true));
    const off = epoch + clock - realtime;
    if (off > WALL_CLOCK_BOUND_NS || off < -WALL_CLOCK_BOUND_NS) {
      yield { vm: input.vm, expected: `${realtime} ns since 1970`, found: `${off} ns off` };
    }
  },
});

export const CLOCK_INVARIANTS: readonly Invariant[] = [V6, V7, V8, V16W];
