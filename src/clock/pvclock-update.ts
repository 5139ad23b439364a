/**
 * The pvclock: what a vCPU is told of time, computed at CLOCK_UPDATE and written to its page.
 *
 * Source: `kvm_guest_time_update()`, arch/x86/kvm/x86.c.
 */
import {
  addU64,
  PVCLOCK_COUNTS_FROM_ZERO,
  PVCLOCK_GUEST_STOPPED,
  PVCLOCK_TSC_STABLE_BIT,
  scaleTsc,
  timeScale,
} from '../num/index.ts';
import { referenceOf, timestampAt, usesMasterclock } from './catch-up.ts';
import type { Ctx, VcpuGuard, VcpuRecipe } from './context.ts';
import { hasTscControl, hostTscKhz } from './host-tsc.ts';
import { contentOf, type PagePlace, writeUnderVersion } from './pvclock-page.ts';
import { raise } from './requests.ts';
import type { VcpuState } from './vcpu-state.ts';
import { updateXenLeaf } from './xen-cpuid.ts';

type Vcpu = Readonly<VcpuState>;

/** The frequency the page's scale is made for, Hz; 0 when KVM cannot tell. */
export function pageHz(vcpu: Vcpu, ctx: Ctx): bigint {
  const { host, switches } = ctx;
  const khz = hostTscKhz(host, vcpu.cpu, switches);
  if (khz === 0) return 0n;
  const isScaled = hasTscControl(host, switches);
  const scale = (value: bigint): bigint =>
    isScaled ? scaleTsc(value, vcpu.l1TscScalingRatio, host.tscScalingRatioFracBits) : value;
  switch (switches.pvScaleUnit) {
    case 'user-khz':
      return isScaled ? BigInt(vcpu.virtualTscKhz) * 1000n : BigInt(khz) * 1000n;
    case 'khz':
      return scale(BigInt(khz)) * 1000n;
    case 'khz-nonzero':
      return (scale(BigInt(khz)) || 1n) * 1000n;
    case 'hz-u32':
    case 'hz':
      return scale(BigInt(khz) * 1000n);
  }
}

/** Until v4.8 the pvclock is for kvmclock's page only, and not computed while there is none. */
const isReadByGuest = (self: Vcpu, ctx: Ctx): boolean =>
  ctx.switches.hvPage !== 'none' ||
  self.kvmclock !== 'off' ||
  self.xenVcpuInfo !== 'off' ||
  self.xenVcpuTimeInfo !== 'off';

/** The flags of a page that is computed now. */
function flagsNow(ctx: Ctx): number {
  const { stableBit, countsFromZero } = ctx.switches;
  const isStable =
    usesMasterclock(ctx) && (stableBit === 'masterclock' || ctx.vm.allVcpusMatchedTsc);
  const stable = isStable ? PVCLOCK_TSC_STABLE_BIT : 0;
  return countsFromZero ? stable | PVCLOCK_COUNTS_FROM_ZERO : stable;
}

/**
 * Up to v4.8 the scale stays when only the guest's own frequency changed. RFC v3 remembers 32 bits
 * of the frequency only, so that it makes the scale of a fast TSC anew each time, the same.
 */
function updateScale(self: VcpuState, hz: bigint, ctx: Ctx): void {
  const hostKhz = hostTscKhz(ctx.host, self.cpu, ctx.switches);
  const isCurrent =
    ctx.switches.pvScaleUnit === 'user-khz' ? hostKhz === self.hwTscKhz : hz === self.hwTscHz;
  if (isCurrent) return;
  const { shift, mul } = timeScale(1_000_000_000n, hz);
  self.pvclockTscShift = shift;
  self.pvclockTscMul = mul;
  self.hwTscHz = ctx.switches.pvScaleUnit === 'hz-u32' ? BigInt.asUintN(32, hz) : hz;
  self.hwTscKhz = hostKhz;
  updateXenLeaf(self, ctx);
}

export const pvclockGuards = {
  /** The CPU it is on is just going offline: the update is tried again. */
  hostFrequencyIsUnknown: (self, ctx) => hostTscKhz(ctx.host, self.cpu, ctx.switches) === 0,
  hasPage: (self) => self.kvmclock !== 'off',
  /** The update writes the page, and with it the flag. */
  writesPage: (self, ctx) =>
    self.kvmclock !== 'off' && hostTscKhz(ctx.host, self.cpu, ctx.switches) !== 0,
} satisfies Record<string, VcpuGuard>;

export const pvclockRecipes = {
  /** Computes the pvclock and leaves it for the pages that are made of it. */
  computePvclock: (self, ctx) => {
    const reference = referenceOf(ctx);
    const timestamp = timestampAt(self, reference, ctx);
    if (!isReadByGuest(self, ctx)) return;
    updateScale(self, pageHz(self, ctx), ctx);
    self.pvTscTimestamp = timestamp;
    self.pvSystemTime = addU64(reference.kernelNs, ctx.vm.kvmclockOffset);
    self.pvFlags = flagsNow(ctx);
    self.lastGuestTsc = timestamp;
  },
  /** Writes the page. A guest's own GUEST_STOPPED bit survives until the guest clears it. */
  writePage: (self, ctx) => {
    const stopped = self.stopped === 'requested' || (self.pageFlags & PVCLOCK_GUEST_STOPPED) !== 0;
    self.pageTscTimestamp = self.pvTscTimestamp;
    self.pageSystemTime = self.pvSystemTime;
    self.pageMul = self.pvclockTscMul;
    self.pageShift = self.pvclockTscShift;
    self.pageFlags = stopped ? self.pvFlags | PVCLOCK_GUEST_STOPPED : self.pvFlags;
    // Until v6.14 the bit stays in what the other pages of this update are made of.
    if (stopped && ctx.switches.pvStoppedInCache) self.pvFlags |= PVCLOCK_GUEST_STOPPED;
    const place: PagePlace = { vcpuId: self.vcpuId, gpa: self.pageGpa, what: 'pvclock' };
    self.pageVersion = writeUnderVersion(
      place,
      self.pageVersion,
      contentOf(self, self.pageFlags),
      ctx,
    );
  },
  clearStoppedFlag: (self) => {
    self.pageFlags &= ~PVCLOCK_GUEST_STOPPED;
  },
  /** Asks again, which keeps the vCPU out of the guest. */
  retryClockUpdate: (self, ctx) => {
    raise(self, 'CLOCK_UPDATE', ctx);
  },
} satisfies Record<string, VcpuRecipe>;
