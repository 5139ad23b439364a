/**
 * The pvclock: what a vCPU is told of time, computed at CLOCK_UPDATE and written to its page.
 *
 * Source: `kvm_guest_time_update()`, arch/x86/kvm/x86.c.
 */
import {
  addU64,
  computeGuestTsc,
  PVCLOCK_GUEST_STOPPED,
  PVCLOCK_TSC_STABLE_BIT,
  scaleTsc,
  subU64,
  timeScale,
} from '../num/index.ts';
import type { Ctx, VcpuGuard, VcpuRecipe } from './context.ts';
import { hostTscKhz } from './host-tsc.ts';
import { contentOf, type PagePlace, writeUnderVersion } from './pvclock-page.ts';
import { raise } from './requests.ts';
import { readL1Tsc, writeTscOffset } from './tsc.ts';
import type { VcpuState } from './vcpu-state.ts';
import { updateXenLeaf } from './xen-cpuid.ts';

type Vcpu = Readonly<VcpuState>;

/** The frequency the page's scale is made for, Hz; 0 when KVM cannot tell. */
export function pageHz(vcpu: Vcpu, ctx: Ctx): bigint {
  const { host, switches } = ctx;
  const khz = hostTscKhz(host, vcpu.cpu, switches);
  if (khz === 0) return 0n;
  const scale = (value: bigint): bigint =>
    host.hasTscControl
      ? scaleTsc(value, vcpu.l1TscScalingRatio, host.tscScalingRatioFracBits)
      : value;
  switch (switches.pvScaleUnit) {
    case 'user-khz':
      return host.hasTscControl ? BigInt(vcpu.virtualTscKhz) * 1000n : BigInt(khz) * 1000n;
    case 'khz':
      return scale(BigInt(khz)) * 1000n;
    case 'khz-nonzero':
      return (scale(BigInt(khz)) || 1n) * 1000n;
    case 'hz-u32':
      return BigInt.asUintN(32, scale(BigInt(khz) * 1000n));
    case 'hz':
      return scale(BigInt(khz) * 1000n);
  }
}

/** Pushes the TSC forward to where it should be, had it run at the guest's frequency. */
function catchUp(self: VcpuState, timestamp: bigint, kernelNs: bigint, ctx: Ctx): bigint {
  const due = computeGuestTsc(kernelNs, self);
  if (due <= timestamp) return timestamp;
  writeTscOffset(self, addU64(self.l1TscOffset, subU64(due, timestamp)), ctx);
  return due;
}

/** Until v4.8 the pvclock is for kvmclock's page only, and not computed while there is none. */
const isReadByGuest = (self: Vcpu, ctx: Ctx): boolean =>
  ctx.switches.hvPage !== 'none' ||
  self.kvmclock !== 'off' ||
  self.xenVcpuInfo !== 'off' ||
  self.xenVcpuTimeInfo !== 'off';

/** The reference to reckon from: the VM's, or this vCPU's own. */
function referenceOf(ctx: Ctx): { hostTsc: bigint; kernelNs: bigint } {
  const { vm } = ctx;
  return vm.masterclock === 'on'
    ? { hostTsc: vm.masterCycleNow, kernelNs: vm.masterKernelNs }
    : { hostTsc: ctx.read('update.tsc'), kernelNs: ctx.read('update.ns') };
}

/** Up to v4.8 the scale stays when only the guest's own frequency changed. */
function updateScale(self: VcpuState, hz: bigint, ctx: Ctx): void {
  const hostKhz = hostTscKhz(ctx.host, self.cpu, ctx.switches);
  const isCurrent =
    ctx.switches.pvScaleUnit === 'user-khz' ? hostKhz === self.hwTscKhz : hz === self.hwTscHz;
  if (isCurrent) return;
  const { shift, mul } = timeScale(1_000_000_000n, hz);
  self.pvclockTscShift = shift;
  self.pvclockTscMul = mul;
  self.hwTscHz = hz;
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
    const { hostTsc, kernelNs } = referenceOf(ctx);
    let timestamp = readL1Tsc(self, ctx.host, hostTsc);
    if (self.catchup !== 'off') timestamp = catchUp(self, timestamp, kernelNs, ctx);
    if (!isReadByGuest(self, ctx)) return;
    updateScale(self, pageHz(self, ctx), ctx);
    self.pvTscTimestamp = timestamp;
    self.pvSystemTime = addU64(kernelNs, ctx.vm.kvmclockOffset);
    self.pvFlags = ctx.vm.masterclock === 'on' ? PVCLOCK_TSC_STABLE_BIT : 0;
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
