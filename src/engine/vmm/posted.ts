/**
 * Ways to move a VM by ioctls that were posted and not merged: TSCs with the time at which they were
 * read (2020), and the clock as a function of the guest's TSC (2024 to 2026).
 *
 * Source: QEMU, “Precise TSC migration”, Maxim Levitsky, 2020-11-30 (`kvm_get_tsc()`,
 * `kvm_set_tsc()`); KVM_VCPU_TSC_OFFSET in Documentation/virt/kvm/devices/vcpu.rst of the KVM clock
 * series (RFC v3 prints `tsc_dst + raw_dst` for the offset; later ones subtract, and so do we).
 */
import {
  KVM_CLOCK_HOST_TSC,
  KVM_CLOCK_REALTIME,
  realtimeHere,
  type VmmCtx,
  type VmmState,
  type VmmVcpuState,
} from '../../clock/index.ts';
import { addU64, asS64, scaleTsc, subU64 } from '../../num/index.ts';
import type { Call, VmmPhase, VmmRoute } from './phase.ts';
import { callVm, eachPlugged, eachSaved, ioctl, moment, vcpu, vmm, when } from './phase.ts';
import {
  CREATE_VM,
  GET_CLOCK,
  GET_TSC_KHZ,
  GET_TSC_OFFSET,
  getMsrs,
  isBoot,
  isRunning,
  NEW_VCPU,
  OTHER_MSRS,
  putMsrs,
  RESUME,
  routesOf,
  SET_CLOCK_REALTIME,
  STOP,
  tscsThenClock,
  type VmmPolicy,
} from './policy.ts';
import { qemuRoutes } from './qemu.ts';

/** `KVM_SET_TSC_STATE` has the rest. */
const NOT_OF_TSC = OTHER_MSRS.filter(({ field }) => field !== 'tscAdjust');

const GET_TSC_STATE: VmmPhase = ioctl(() => ({ type: 'KVM_GET_TSC_STATE' }), 'KEEP_TSC');

/** Flags of `struct kvm_tsc_state`: v1 has TSC_ADJUST_VALID alone, v2 says whether the time counts. */
function tscStateFlags({ switches, vcpu: { tscNsec } }: VmmCtx): number {
  if (switches.tscStateIoctls !== 'v2') return 1;
  return tscNsec === 0n ? 2 : 3;
}

/** A TSC never read has no time, 0, by which nothing is added: it starts where it is told, now. */
const PUT_TSC_STATE: VmmPhase = ioctl((ctx) => ({
  type: 'KVM_SET_TSC_STATE',
  flags: tscStateFlags(ctx),
  nsec: ctx.vcpu.tscNsec,
  guestTsc: ctx.vcpu.tsc,
  tscAdjust: ctx.vcpu.tscAdjust,
}));

/**
 * With `x-precise-tsc`: TSC and TSC_ADJUST go together, after the other MSRs and at the levels of
 * reset and above. kvmclock is still its device's, which stands still.
 */
export const QEMU_PRECISE_TSC: VmmPolicy = {
  title: 'QEMU with x-precise-tsc: TSCs go on, kvmclock does not',
  tsc: 'advance',
  kvmclock: 'freeze',
  source: 'QEMU “Precise TSC migration”, 2020-11-30: not merged',
  routes: qemuRoutes({
    getTsc: GET_TSC_STATE,
    getMsrs: getMsrs(NOT_OF_TSC),
    put: [putMsrs(NOT_OF_TSC), PUT_TSC_STATE],
  }),
};

export const TSC_STATE: VmmPolicy = {
  title: 'KVM_GET_TSC_STATE and KVM_SET_TSC_STATE, and KVM_CLOCK_REALTIME',
  tsc: 'advance',
  kvmclock: 'advance',
  source: 'Linux “RFC: Precise TSC migration”, 2020-11-30: not merged',
  routes: tscsThenClock({
    get: [GET_TSC_KHZ, getMsrs(NOT_OF_TSC), GET_TSC_STATE],
    put: [putMsrs(NOT_OF_TSC), PUT_TSC_STATE],
    setClock: SET_CLOCK_REALTIME,
  }),
};

const GET_TSC_SCALE: VmmPhase = ioctl(() => ({ type: 'KVM_GET_TSC_SCALE' }), 'KEEP');

/** A host TSC as the vCPU's scale has it; without the attribute TSCs are not scaled. */
const scaled = (hostTsc: bigint, of: Readonly<VmmVcpuState>): bigint =>
  of.tscScalingFracBits === 0
    ? hostTsc
    : scaleTsc(hostTsc, of.tscScalingRatio, of.tscScalingFracBits);

/** tsc_dst − raw_dst: what the vCPU's TSC should be at the instant of KVM_GET_CLOCK here, less the host's. */
function preciseOffset(
  ctx: VmmCtx,
  saved: Readonly<VmmState>,
  savedVcpu: Readonly<VmmVcpuState>,
): bigint {
  const { vmm: here, vcpu: its } = ctx;
  const tscSrc = addU64(scaled(saved.clockHostTsc, savedVcpu), savedVcpu.tscOffset);
  const elapsedNs = asS64(subU64(here.clockRealtime, realtimeHere(saved.clockRealtime, ctx)));
  const cycles = (elapsedNs * BigInt(savedVcpu.tscKhz)) / 1_000_000n;
  const tscDst = addU64(tscSrc, BigInt.asUintN(64, cycles));
  return subU64(tscDst, scaled(here.clockHostTsc, its));
}

const putPreciseOffset = (ctx: VmmCtx): Call => ({
  type: 'KVM_SET_TSC_OFFSET',
  offset:
    ctx.saved === undefined || ctx.savedVcpu === undefined
      ? 0n
      : preciseOffset(ctx, ctx.saved, ctx.savedVcpu),
});

/** KVM_SET_CLOCK of the clock as it was saved, and what passed since. */
const SET_SAVED_CLOCK: VmmRoute = [
  callVm((ctx) => ({
    type: 'KVM_SET_CLOCK',
    clock: ctx.saved?.clock ?? 0n,
    flags: (ctx.saved?.clockFlags ?? 0) & KVM_CLOCK_REALTIME,
    realtime: realtimeHere(ctx.saved?.clockRealtime ?? 0n, ctx),
  })),
  vmm('CLOCK_SET'),
];

const lacksHostTsc = (ctx: VmmCtx): boolean => (ctx.vmm.clockFlags & KVM_CLOCK_HOST_TSC) === 0;
const failed = ({ result }: VmmCtx): boolean => result?.type === 'ioctl_result' && result.ret < 0;

const SET_CLOCK_GUEST: VmmPhase = ioctl(({ savedVcpu }) => ({
  type: 'KVM_SET_CLOCK_GUEST',
  tscTimestamp: savedVcpu?.guestTscTimestamp ?? 0n,
  systemTime: savedVcpu?.guestSystemTime ?? 0n,
  tscToSystemMul: savedVcpu?.guestMul ?? 0,
  tscShift: savedVcpu?.guestShift ?? 0,
}));

export const CLOCK_GUEST: VmmPolicy = {
  title: 'KVM_VCPU_TSC_SCALE and KVM_SET_CLOCK_GUEST, as vcpu.rst of the KVM clock series has it',
  tsc: 'advance',
  kvmclock: 'advance',
  source: 'Linux “Cleaning up the KVM clock mess”, vcpu.rst: not merged',
  tolerates: [
    'KVM_GET_TSC_SCALE',
    'KVM_GET_CLOCK_GUEST',
    'KVM_SET_CLOCK_GUEST',
    'KVM_SET_VM_TSC_KHZ',
  ],
  routes: routesOf({
    launch: [
      ...CREATE_VM,
      when(
        (ctx) => ctx.vmm.tscKhz !== 0,
        callVm((ctx) => ({ type: 'KVM_SET_VM_TSC_KHZ', khz: ctx.vmm.tscKhz })),
      ),
    ],
    hotplug: [
      when((ctx) => ctx.vcpu.life === 'parked', vcpu('PLUG')),
      when((ctx) => ctx.vcpu.life === 'absent', vcpu('PLUG'), ...NEW_VCPU),
    ],
    pause: STOP,
    resume: RESUME,
    save: [
      when(isRunning, ...STOP),
      moment('save-clock'),
      GET_CLOCK,
      moment('save-tscs'),
      eachPlugged(
        GET_TSC_OFFSET,
        GET_TSC_SCALE,
        GET_TSC_KHZ,
        getMsrs(OTHER_MSRS),
        when(
          isBoot,
          ioctl(() => ({ type: 'KVM_GET_CLOCK_GUEST' }), 'KEEP'),
        ),
      ),
      moment('save-memory'),
      vmm('SAVE'),
    ],
    restore: [
      eachSaved(
        when(
          ({ savedVcpu, bootVcpu }) => savedVcpu?.vcpuId === bootVcpu.vcpuId,
          callVm(({ savedVcpu }) => ({ type: 'KVM_SET_VM_TSC_KHZ', khz: savedVcpu?.tscKhz ?? 0 })),
        ),
      ),
      eachSaved(vcpu('PLUG'), ...NEW_VCPU, vcpu('RESTORE'), putMsrs(OTHER_MSRS)),
      GET_CLOCK,
      // Where the masterclock is not on yet KVM tells no host TSC; RFC v3 sets the clock first.
      when(lacksHostTsc, ...SET_SAVED_CLOCK, GET_CLOCK),
      moment('restore-tscs'),
      eachSaved(GET_TSC_SCALE, ioctl(putPreciseOffset)),
      moment('restore-clock'),
      eachSaved(when(isBoot, SET_CLOCK_GUEST, when(failed, ...SET_SAVED_CLOCK))),
    ],
  }),
};
