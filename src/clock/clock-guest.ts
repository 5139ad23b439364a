/**
 * KVM_GET_CLOCK_GUEST and KVM_SET_CLOCK_GUEST: the VM's clock as a function of a guest's TSC, to be
 * put back as the same function on another host. Posted with the KVM clock series, not merged.
 *
 * Source: `kvm_vcpu_ioctl_get_clock_guest()`, `kvm_vcpu_ioctl_set_clock_guest()`, patches 3 of
 * RFC v3 and 5 of v6, arch/x86/kvm/x86.c.
 */
import { ERRNO } from '../../events/index.ts';
import {
  addU64,
  asU64,
  hvclockToHz,
  PVCLOCK_TSC_STABLE_BIT,
  pvclockRead,
  scaleTsc,
  subU64,
} from '../num/index.ts';
import { type Ctx, inputOf, type VcpuRecipe, type VmGuard, type VmRecipe } from './context.ts';
import { hasTscControl, hostTscKhz } from './host-tsc.ts';
import { answerVcpu } from './ioctl-result.ts';
import { isRequested } from './requests.ts';
import { readL1Tsc } from './tsc.ts';
import type { VcpuState } from './vcpu-state.ts';
import { storeOffset } from './vm-clock.ts';
import type { VmState } from './vm-state.ts';

/** How far the frequency of the page may be off, Hz: calibrations differ. */
const TOLERANCE_HZ = 1000n;
/** Largest shift that v6 takes, in either direction. */
const MOST_SHIFT = 31;

/** Whether the page to set the clock by is refused as it stands. */
export function isPageRefused(ctx: Ctx): boolean {
  const page = inputOf(ctx, 'KVM_SET_CLOCK_GUEST');
  const { clockGuestIoctls } = ctx.switches;
  if (clockGuestIoctls === 'none' || page.tscToSystemMul === 0) return true;
  if (clockGuestIoctls === 'rfc-v3') return false;
  return (page.pad ?? 0) !== 0 || Math.abs(page.tscShift) > MOST_SHIFT;
}

/** Whether the page is computed before it is returned. */
export function isPageOutdated(ctx: Ctx): boolean {
  const { vcpu, switches } = ctx;
  const isMissing =
    switches.clockGuestIoctls === 'rfc-v3'
      ? (vcpu.pvFlags & PVCLOCK_TSC_STABLE_BIT) === 0
      : vcpu.hwTscHz === 0n;
  return isMissing || isRequested(vcpu, 'CLOCK_UPDATE');
}

/** Frequency of the vCPU's TSC as KVM reckons with it, Hz. */
function guestHz({ vcpu, host, switches }: Ctx): bigint {
  const hz = BigInt(hostTscKhz(host, vcpu.cpu, switches)) * 1000n;
  if (!hasTscControl(host, switches)) return hz;
  return scaleTsc(hz, vcpu.l1TscScalingRatio, host.tscScalingRatioFracBits);
}

/** What KVM_SET_CLOCK_GUEST returns, once the reference was taken anew: 0 or minus errno. */
function answerTo(vm: Readonly<VmState>, ctx: Ctx): number {
  const page = inputOf(ctx, 'KVM_SET_CLOCK_GUEST');
  const hz = guestHz(ctx);
  if (vm.masterclock !== 'on' || hz === 0n) return -ERRNO.EINVAL;
  const asked = hvclockToHz(page.tscToSystemMul, page.tscShift);
  if (asked < asU64(hz - TOLERANCE_HZ) || asked > hz + TOLERANCE_HZ) return -ERRNO.ERANGE;
  const guestTsc = readL1Tsc(ctx.vcpu, ctx.host, vm.masterCycleNow);
  const isOfFuture = ctx.switches.clockGuestIoctls !== 'rfc-v3' && guestTsc < page.tscTimestamp;
  return isOfFuture ? -ERRNO.EINVAL : 0;
}

/** The page to return, or minus errno when the clock is no function of the guest's TSC. */
function pageOf(self: Readonly<VcpuState>, ctx: Ctx) {
  const { vm, switches } = ctx;
  // The update that was due came to nothing.
  if (isRequested(self, 'CLOCK_UPDATE')) return { ret: -ERRNO.EINVAL };
  const scale = { tscToSystemMul: self.pvclockTscMul, tscShift: self.pvclockTscShift };
  if (switches.clockGuestIoctls === 'rfc-v3') {
    if ((self.pvFlags & PVCLOCK_TSC_STABLE_BIT) === 0) return { ret: -ERRNO.EINVAL };
    const { pageVersion: version, pvTscTimestamp: tscTimestamp, pvSystemTime: systemTime } = self;
    return { ret: 0, version, tscTimestamp, systemTime, ...scale, flags: self.pvFlags };
  }
  if (vm.masterclock !== 'on') {
    return { ret: switches.clockGuestIoctls === 'after-v6' ? -ERRNO.ENODATA : -ERRNO.EINVAL };
  }
  const isStable = switches.stableBit === 'masterclock' || vm.allVcpusMatchedTsc;
  return {
    ret: 0,
    version: 0,
    tscTimestamp: readL1Tsc(self, ctx.host, vm.masterCycleNow),
    systemTime: addU64(vm.masterKernelNs, vm.kvmclockOffset),
    ...scale,
    flags: isStable ? PVCLOCK_TSC_STABLE_BIT : 0,
  };
}

export const clockGuestVmGuards = {
  acceptsClockGuest: (self, ctx) => answerTo(self, ctx) === 0,
} satisfies Record<string, VmGuard>;

export const clockGuestVmRecipes = {
  /** At the reference both clocks, that of the page and the VM's, read the same. */
  setClockByGuest: (self, ctx) => {
    const page = inputOf(ctx, 'KVM_SET_CLOCK_GUEST');
    const clock = pvclockRead(page, readL1Tsc(ctx.vcpu, ctx.host, self.masterCycleNow));
    storeOffset(self, subU64(clock, self.masterKernelNs), ctx);
  },
} satisfies Record<string, VmRecipe>;

export const clockGuestRecipes = {
  reportClockGuest: (self, ctx) => {
    const { ret, ...page } = pageOf(self, ctx);
    answerVcpu(self, ret, ctx, page);
  },
  reportClockGuestSet: (self, ctx) => {
    answerVcpu(self, answerTo(ctx.vm, ctx), ctx);
  },
} satisfies Record<string, VcpuRecipe>;
