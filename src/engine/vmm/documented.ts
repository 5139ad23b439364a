/**
 * Ways to move a VM that the kernel's documentation gives, or that need no more than it: as a VMM
 * without opinions of its own would follow them.
 *
 * `plain` and `plain-realtime` put back TSCs as MSRs and the clock, `tsc-offset` is the procedure of
 * Documentation/virt/kvm/devices/vcpu.rst (Linux 5.16 to 7.3).
 */
import type { VmmCtx, VmmState, VmmVcpuState } from '../../clock/index.ts';
import { addU64, asS64, subU64 } from '../../num/index.ts';
import type { Call, VmmRoute } from './phase.ts';
import { eachPlugged, eachSaved, ioctl, moment, vcpu, vmm, when } from './phase.ts';
import {
  CLOCK_MSRS,
  CREATE_VCPU,
  GET_CLOCK,
  GET_TSC,
  GET_TSC_KHZ,
  GET_TSC_OFFSET,
  getMsrs,
  isRunning,
  OTHER_MSRS,
  PLUG,
  PUT_TSC_KHZ,
  putMsrs,
  RESUME,
  routesOf,
  SET_CLOCK,
  SET_CLOCK_REALTIME,
  STOP,
  tscsThenClock,
  type VmmPolicy,
} from './policy.ts';

const plainWith = (setClock: VmmRoute): VmmPolicy['routes'] =>
  tscsThenClock({
    get: [GET_TSC_KHZ, getMsrs(OTHER_MSRS), GET_TSC],
    put: [putMsrs(CLOCK_MSRS)],
    setClock,
  });

export const PLAIN: VmmPolicy = {
  title: 'TSCs as MSRs, and KVM_SET_CLOCK: time stops while the guest is away',
  tsc: 'freeze',
  kvmclock: 'freeze',
  source: 'Linux Documentation/virt/kvm/api.rst, KVM_SET_MSRS and KVM_SET_CLOCK',
  routes: plainWith(SET_CLOCK),
};

export const PLAIN_REALTIME: VmmPolicy = {
  title: 'TSCs as MSRs, and KVM_SET_CLOCK with KVM_CLOCK_REALTIME: only kvmclock goes on',
  tsc: 'freeze',
  kvmclock: 'advance',
  source: 'Linux Documentation/virt/kvm/api.rst, KVM_SET_MSRS and KVM_SET_CLOCK',
  routes: plainWith(SET_CLOCK_REALTIME),
};

/** KVM_GET_CLOCK at one side: kvmclock and host TSC of one instant. */
interface ClockRead {
  readonly clock: bigint;
  readonly hostTsc: bigint;
}

/**
 * The offset that vcpu.rst has a VMM compute, in cycles:
 * ofs_src − (guest_src − guest_dest) · freq + (tsc_src − tsc_dest). It knows of no TSC scaling.
 */
export function documentedOffset(
  source: ClockRead,
  destination: ClockRead,
  { tscOffset, tscKhz }: Pick<VmmVcpuState, 'tscOffset' | 'tscKhz'>,
): bigint {
  const elapsedNs = asS64(subU64(destination.clock, source.clock));
  const cycles = (elapsedNs * BigInt(tscKhz)) / 1_000_000n;
  const advanced = addU64(tscOffset, BigInt.asUintN(64, cycles));
  return addU64(advanced, subU64(source.hostTsc, destination.hostTsc));
}

const clockOf = ({ clock, clockHostTsc }: Readonly<VmmState>): ClockRead => ({
  clock,
  hostTsc: clockHostTsc,
});

const putDocumentedOffset = ({ saved, savedVcpu, vmm: here }: VmmCtx): Call => ({
  type: 'KVM_SET_TSC_OFFSET',
  offset:
    saved === undefined || savedVcpu === undefined
      ? 0n
      : documentedOffset(clockOf(saved), clockOf(here), savedVcpu),
});

export const TSC_OFFSET: VmmPolicy = {
  title: 'KVM_VCPU_TSC_OFFSET and KVM_CLOCK_REALTIME, as vcpu.rst of 5.16 to 7.3 has it',
  tsc: 'advance',
  kvmclock: 'advance',
  source: 'Linux Documentation/virt/kvm/devices/vcpu.rst, KVM_VCPU_TSC_OFFSET',
  routes: routesOf({
    hotplug: PLUG,
    pause: STOP,
    resume: RESUME,
    save: [
      when(isRunning, ...STOP),
      moment('save-clock'),
      GET_CLOCK,
      moment('save-tscs'),
      eachPlugged(GET_TSC_OFFSET, GET_TSC_KHZ, getMsrs(OTHER_MSRS)),
      moment('save-memory'),
      vmm('SAVE'),
    ],
    restore: [
      eachSaved(vcpu('PLUG'), ...CREATE_VCPU, vcpu('RESTORE'), PUT_TSC_KHZ, putMsrs(OTHER_MSRS)),
      moment('restore-clock'),
      ...SET_CLOCK_REALTIME,
      GET_CLOCK,
      moment('restore-tscs'),
      eachSaved(ioctl(putDocumentedOffset)),
    ],
  }),
};
