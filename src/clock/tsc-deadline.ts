/**
 * The TSC deadline timer: fires when the guest's TSC reaches a value.
 *
 * The hypervisor turns the distance into nanoseconds once, when the guest writes the deadline; a TSC
 * offset that changes later does not move a timer that is running. The product in that conversion
 * wraps at 2^64, so a deadline of hours ahead fires early.
 *
 * With a VMX preemption timer, where the kernel uses it (`hvTimer`), the distance becomes host cycles
 * instead, which nothing wraps but which must fit a register of 32 bits; else the other way is taken.
 * Such a timer is reckoned anew when the vCPU is loaded on another CPU, and so follows the offset there.
 *
 * Source: `start_sw_tscdeadline()`, `start_hv_timer()`, `kvm_set_lapic_tscdeadline_msr()`,
 * `kvm_lapic_restart_hv_timer()`, arch/x86/kvm/lapic.c; `vmx_set_hv_timer()`,
 * arch/x86/kvm/vmx/vmx.c.
 */
import { asS64, asU64, defaultTscRatio, nsecToCycles, subU64 } from '../num/index.ts';
import { type Ctx, inputOf, type VcpuGuard, type VcpuRecipe } from './context.ts';
import { readL1Tsc } from './tsc.ts';
import type { VcpuState } from './vcpu-state.ts';

type Vcpu = Readonly<VcpuState>;

/** The timer's name in observations, and the input that lets it fire. */
const TIMER = 'tsc_deadline';

/** The deadline at hand: the one being written, or the one there is. */
const deadlineOf = (self: Vcpu, { input }: Ctx): bigint =>
  input.type === 'wrmsr' || input.type === 'KVM_SET_MSRS' ? input.data : self.tscDeadline;

const guestNow = (self: Vcpu, ctx: Ctx): bigint =>
  readL1Tsc(self, ctx.host, ctx.read('getClock.tsc'));

/** Guest cycles until the deadline; 0 when it has passed. */
function cyclesAhead(self: Vcpu, ctx: Ctx): bigint {
  const deadline = deadlineOf(self, ctx);
  const now = guestNow(self, ctx);
  return deadline <= now ? 0n : subU64(deadline, now);
}

/** How far the deadline is as software reckons, ns; 0 when it fires at once. */
function softwareDelayNs(self: Vcpu, ctx: Ctx): bigint {
  const ns = asU64(cyclesAhead(self, ctx) * 1_000_000n) / BigInt(self.virtualTscKhz);
  const advance = BigInt(ctx.host.timerAdvanceNs);
  return ns > advance ? ns - advance : 0n;
}

/** The preemption timer counts this many host cycles; `undefined` where it cannot. */
function preemptionCycles(self: Vcpu, ctx: Ctx): bigint | undefined {
  const { host, switches } = ctx;
  if (switches.hvTimer === 'none' || !host.hasPreemptionTimer) return undefined;
  const { virtualTscMult, virtualTscShift, l1TscScalingRatio } = self;
  const advanceNs = switches.hvTimer === 'advanced' ? BigInt(host.timerAdvanceNs) : 0n;
  const advance = nsecToCycles(advanceNs, virtualTscMult, virtualTscShift);
  const ahead = cyclesAhead(self, ctx);
  let cycles = ahead > advance ? ahead - advance : 0n;
  if (l1TscScalingRatio !== defaultTscRatio(host.tscScalingRatioFracBits) && cycles !== 0n) {
    const shifted = cycles << BigInt(host.tscScalingRatioFracBits);
    // The kernel's division faults where the quotient has more than 64 bits, so it looks first.
    if (shifted >> 64n >= l1TscScalingRatio) return undefined;
    cycles = shifted / l1TscScalingRatio;
  }
  return cycles >> BigInt(host.preemptionTimerRate + 32) === 0n ? cycles : undefined;
}

const usesPreemptionTimer: VcpuGuard = (self, ctx) => preemptionCycles(self, ctx) !== undefined;

function fire(self: VcpuState, ctx: Ctx): void {
  const khz = BigInt(self.virtualTscKhz);
  const late = asS64(guestNow(self, ctx) - self.tscDeadline);
  const lateNs = khz === 0n ? {} : { lateNs: (late * 1_000_000n) / khz };
  self.tscDeadline = 0n;
  ctx.out.emit({ type: 'timer_fired', vcpu: self.vcpuId, name: TIMER, ...lateNs, vm: ctx.vmId });
}

function arm(self: Vcpu, delayNs: bigint, byHardware: boolean, ctx: Ctx): void {
  const { vcpuId, tscDeadline: expires } = self;
  ctx.out.emit({ type: 'timer_armed', vcpu: vcpuId, name: TIMER, delayNs, expires, vm: ctx.vmId });
  if (ctx.switches.hvTimer === 'none') return;
  const hvTimerInUse = byHardware ? 1 : 0;
  ctx.out.emit({ type: 'kvm_hv_timer_state', vcpu: vcpuId, vcpuId, hvTimerInUse, vm: ctx.vmId });
}

export const tscDeadlineGuards = {
  /** 0 means none, and without a frequency nothing can be reckoned. */
  isNoDeadline: (self, ctx) => deadlineOf(self, ctx) === 0n || self.virtualTscKhz === 0,
  deadlineIsDue: (self, ctx) =>
    usesPreemptionTimer(self, ctx)
      ? preemptionCycles(self, ctx) === 0n
      : softwareDelayNs(self, ctx) === 0n,
  usesPreemptionTimer,
} satisfies Record<string, VcpuGuard>;

export const tscDeadlineRecipes = {
  storeTscDeadline: (self, ctx) => {
    self.tscDeadline = inputOf(ctx, 'wrmsr', 'KVM_SET_MSRS').data;
  },
  armDeadline: (self, ctx) => {
    arm(self, softwareDelayNs(self, ctx), false, ctx);
  },
  armPreemptionTimer: (self, ctx) => {
    const cycles = preemptionCycles(self, ctx) ?? 0n;
    arm(self, (cycles * 1_000_000n) / BigInt(ctx.host.tscKhz), true, ctx);
  },
  /** The interrupt is the guest's; the deadline is spent. */
  fireTscDeadline: fire,
} satisfies Record<string, VcpuRecipe>;
