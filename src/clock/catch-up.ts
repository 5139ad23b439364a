/**
 * Catching up: a TSC that cannot run at the guest's frequency is pushed forward, at clock updates, to
 * where it would be had it run at that frequency since it was last synchronised.
 *
 * With a masterclock a page speaks of the reference, which may be old, while the TSC runs now. The
 * merged kernels push the TSC to what it should have read at the reference: it lags by what the two
 * frequencies have drifted apart since.
 *
 * Source: `kvm_guest_time_update()`, `compute_guest_tsc()`, arch/x86/kvm/x86.c.
 */
import { addU64, asS64, computeGuestTsc, subU64 } from '../num/index.ts';
import type { Ctx } from './context.ts';
import { gtodIsBasedOnTsc } from './timekeeper.ts';
import { readL1Tsc, writeTscOffset } from './tsc.ts';
import type { VcpuState } from './vcpu-state.ts';

/** A host TSC and the base clock at it. */
interface Instant {
  readonly hostTsc: bigint;
  readonly kernelNs: bigint;
}

/** Whether a page speaks of the VM's reference; series-v6 looks whether the host's clock still is the TSC. */
export const usesMasterclock = ({ vm, host, switches }: Ctx): boolean =>
  vm.masterclock === 'on' &&
  (switches.catchupFormula !== 'now' || gtodIsBasedOnTsc(host.vclockMode, switches));

/** The reference that a page is reckoned from: the VM's, or this vCPU's own. */
export const referenceOf = (ctx: Ctx): Instant =>
  usesMasterclock(ctx)
    ? { hostTsc: ctx.vm.masterCycleNow, kernelNs: ctx.vm.masterKernelNs }
    : { hostTsc: ctx.read('update.tsc'), kernelNs: ctx.read('update.ns') };

/** Now, as the KVM clock series reads it; without masterclock that is the reference. */
const nowOf = (ctx: Ctx): Instant =>
  usesMasterclock(ctx)
    ? { hostTsc: ctx.read('catchup.tsc'), kernelNs: ctx.read('catchup.ns') }
    : referenceOf(ctx);

/** Pushes the TSC to what it should read at an instant, unless it reads more. */
function pushAt(self: VcpuState, { hostTsc, kernelNs }: Instant, ctx: Ctx): void {
  const due = computeGuestTsc(kernelNs, self, 'signed');
  const missing = asS64(due - readL1Tsc(self, ctx.host, hostTsc));
  if (missing > 0n) writeTscOffset(self, addU64(self.l1TscOffset, missing), ctx);
}

/** As in all merged kernels: by unsigned numbers, at the reference. */
function pushAtReference(self: VcpuState, { hostTsc, kernelNs }: Instant, ctx: Ctx): bigint {
  const timestamp = readL1Tsc(self, ctx.host, hostTsc);
  const due = computeGuestTsc(kernelNs, self);
  if (due <= timestamp) return timestamp;
  writeTscOffset(self, addU64(self.l1TscOffset, subU64(due, timestamp)), ctx);
  return due;
}

/** The guest's TSC at a reference, for its page; a TSC that has to catch up does so. */
export function timestampAt(self: VcpuState, reference: Instant, ctx: Ctx): bigint {
  if (self.catchup === 'off') return readL1Tsc(self, ctx.host, reference.hostTsc);
  switch (ctx.switches.catchupFormula) {
    case 'reference':
      return pushAtReference(self, reference, ctx);
    case 'two-points':
      pushAt(self, nowOf(ctx), ctx);
      return computeGuestTsc(reference.kernelNs, self, 'signed');
    case 'now':
      pushAt(self, nowOf(ctx), ctx);
      return readL1Tsc(self, ctx.host, reference.hostTsc);
  }
}
