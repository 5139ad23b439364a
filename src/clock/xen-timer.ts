/**
 * Xen's timers: a guest asks to be woken when its clock reads a value, and KVM sets a timer of the
 * host's CLOCK_MONOTONIC by what it takes the guest's clock to read now.
 *
 * Where that is not what the guest reads, the timer fires late by the difference, which grows with
 * the time since the masterclock's reference if the guest's TSC is scaled; and where the two clocks
 * are read one after the other, late by the time between. Both are told with the timer.
 *
 * Source: `kvm_xen_start_timer()`, `kvm_xen_hcall_vcpu_op()`, `kvm_xen_hcall_set_timer_op()`,
 * `xen_timer_callback()`, arch/x86/kvm/xen.c.
 */
import { ERRNO } from '../../events/index.ts';
import { addU64, asS64, pvclockRead, subU64 } from '../num/index.ts';
import { type Ctx, inputOf, type VcpuGuard, type VcpuRecipe } from './context.ts';
import { monotonicAt } from './timekeeper.ts';
import { readL1Tsc } from './tsc.ts';
import type { VcpuState } from './vcpu-state.ts';
import { getKvmclock } from './vm-clock.ts';

type Vcpu = Readonly<VcpuState>;

/** Hypercalls and commands. */
const SET_TIMER_OP = 15;
const VCPU_OP = 24;
const SET_SINGLESHOT_TIMER = 8;
const STOP_SINGLESHOT_TIMER = 9;
/** VCPU_SSHOTTMR_future. */
const FUTURE = 1;
/** KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL. */
const INTERCEPT_HCALL = 2;

/** What a too large or negative timeout of set_timer_op becomes, ns; from where on it is too large. */
const WORKAROUND_NS = 100_000_000n;
const WORKAROUND_SHIFT = 50n;

/** A page that the guest may read its time from. */
interface Page {
  readonly tscTimestamp: bigint;
  readonly systemTime: bigint;
  readonly tscToSystemMul: number;
  readonly tscShift: number;
}

const xenPage = (vcpu: Vcpu, which: number): Page => ({
  tscTimestamp: vcpu.xenPageTscTimestamp.get(which),
  systemTime: vcpu.xenPageSystemTime.get(which),
  tscToSystemMul: vcpu.xenPageMul.get(which),
  tscShift: vcpu.xenPageShift.get(which),
});

/** The page in Xen's vcpu_info, or else the one in vcpu_time_info. */
function placedXenPage(vcpu: Vcpu): Page | undefined {
  if (vcpu.xenVcpuInfo === 'on') return xenPage(vcpu, 0);
  return vcpu.xenVcpuTimeInfo === 'on' ? xenPage(vcpu, 1) : undefined;
}

/** The page the guest reads: Xen's, or kvmclock's, once one was written. */
function guestPage(vcpu: Vcpu): Page | undefined {
  const page =
    placedXenPage(vcpu) ??
    (vcpu.kvmclock === 'off'
      ? undefined
      : {
          tscTimestamp: vcpu.pageTscTimestamp,
          systemTime: vcpu.pageSystemTime,
          tscToSystemMul: vcpu.pageMul,
          tscShift: vcpu.pageShift,
        });
  return page === undefined || page.tscToSystemMul === 0 ? undefined : page;
}

/** Until v6.14 the pvclock as last computed counts, if any page was made of it. */
const cachedPage = (vcpu: Vcpu): Page | undefined =>
  [vcpu.pageVersion, vcpu.xenPageVersion.get(0), vcpu.xenPageVersion.get(1)].every((v) => v === 0)
    ? undefined
    : {
        tscTimestamp: vcpu.pvTscTimestamp,
        systemTime: vcpu.pvSystemTime,
        tscToSystemMul: vcpu.pvclockTscMul,
        tscShift: vcpu.pvclockTscShift,
      };

/** From v6.15 on the page in guest memory counts, if its scale is the one KVM wrote. */
function checkedPage(vcpu: Vcpu): Page | undefined {
  const page = placedXenPage(vcpu);
  const isOurs =
    page?.tscToSystemMul === vcpu.pvclockTscMul && page.tscShift === vcpu.pvclockTscShift;
  return isOurs ? page : undefined;
}

/** The page by which a kernel reckons as the guest does; none where it cannot. */
function pageForTimer(vcpu: Vcpu, ctx: Ctx): Page | undefined {
  if (ctx.vm.masterclock !== 'on' || !ctx.host.constantTsc) return undefined;
  if (ctx.switches.xenTimer === 'guest-scale') return cachedPage(vcpu);
  return ctx.switches.xenTimer === 'guest-page' ? checkedPage(vcpu) : undefined;
}

/** What KVM takes for "now": the guest's clock, and the host TSCs of both readings. */
interface Now {
  readonly clock: bigint;
  readonly clockTsc: bigint;
  readonly timerTsc: bigint;
}

function nowOf(vcpu: Vcpu, ctx: Ctx): Now {
  const timerTsc = ctx.read('timer.tsc');
  const page = pageForTimer(vcpu, ctx);
  if (page === undefined) {
    const { clock } = getKvmclock(ctx.vm, ctx);
    return { clock, clockTsc: ctx.read('getClock.tsc'), timerTsc };
  }
  const clock = pvclockRead(page, readL1Tsc(vcpu, ctx.host, timerTsc));
  return { clock, clockTsc: timerTsc, timerTsc };
}

/** By how much what the guest itself reads is ahead of what KVM took for it, ns. */
function errorOf(vcpu: Vcpu, { clock, clockTsc }: Now, ctx: Ctx): bigint {
  const page = guestPage(vcpu);
  if (page === undefined) return 0n;
  return asS64(pvclockRead(page, readL1Tsc(vcpu, ctx.host, clockTsc)) - clock);
}

const timeoutOf = ({ input }: Ctx): bigint =>
  input.type === 'KVM_XEN_SET_TIMER'
    ? input.expiresNs
    : input.type === 'xen_hypercall'
      ? (input.timeoutNs ?? 0n)
      : 0n;

/** When it shall fire, and how far that is, ns; with Xen's workaround for Linux's overflows. */
function dueOf(clock: bigint, ctx: Ctx): { expires: bigint; delta: bigint } {
  const expires = timeoutOf(ctx);
  const delta = asS64(subU64(expires, clock));
  const { input } = ctx;
  if (input.type !== 'xen_hypercall' || input.nr !== SET_TIMER_OP) return { expires, delta };
  const far = delta > 0n && delta >> WORKAROUND_SHIFT !== 0n;
  return asS64(expires) < 0n || far
    ? { expires: addU64(clock, WORKAROUND_NS), delta: WORKAROUND_NS }
    : { expires, delta };
}

const isDue = (vcpu: Vcpu, ctx: Ctx): boolean => dueOf(nowOf(vcpu, ctx).clock, ctx).delta <= 0n;

function fire(self: VcpuState, expires: bigint, ctx: Ctx): void {
  const page = guestPage(self);
  const now =
    page === undefined
      ? getKvmclock(ctx.vm, ctx).clock
      : pvclockRead(page, readL1Tsc(self, ctx.host, ctx.read('getClock.tsc')));
  const lateNs = asS64(now - expires);
  ctx.out.emit({ type: 'timer_fired', vcpu: self.vcpuId, name: 'xen_timer', lateNs, vm: ctx.vmId });
  self.xenTimerExpiresNs = 0n;
}

export const xenTimerGuards = { xenTimerIsDue: isDue } satisfies Record<string, VcpuGuard>;

export const xenTimerRecipes = {
  armXenTimer: (self, ctx) => {
    const now = nowOf(self, ctx);
    const { expires, delta } = dueOf(now.clock, ctx);
    const base = monotonicAt(ctx.host, now.timerTsc);
    self.xenTimerExpiresNs = expires;
    ctx.out.emit({
      type: 'timer_armed',
      vcpu: self.vcpuId,
      name: 'xen_timer',
      delayNs: addU64(subU64(base, monotonicAt(ctx.host, ctx.input.tsc)), delta),
      expires,
      errorNs: errorOf(self, now, ctx),
      gapNs: asS64(base - monotonicAt(ctx.host, now.clockTsc)),
      vm: ctx.vmId,
    });
  },
  fireXenTimerAtOnce: (self, ctx) => {
    fire(self, dueOf(nowOf(self, ctx).clock, ctx).expires, ctx);
  },
  fireXenTimer: (self, ctx) => {
    fire(self, self.xenTimerExpiresNs, ctx);
  },
  stopXenTimer: (self) => {
    self.xenTimerExpiresNs = 0n;
  },
  storeXenTimerPort: (self, ctx) => {
    self.xenTimerPort = inputOf(ctx, 'KVM_XEN_SET_TIMER').port;
  },
  xenHypercallDone: (self, ctx) => {
    const deed = hypercallOf(ctx);
    const handled = deed !== 'not handled';
    const ret = deed === 'another vCPU' ? -ERRNO.EINVAL : deed === 'too late' ? -ERRNO.ETIME : 0;
    const vcpu = self.vcpuId;
    ctx.out.emit({
      type: 'xen_hypercall_result',
      vcpu,
      handled,
      ...(handled ? { ret } : {}),
      vm: ctx.vmId,
    });
  },
} satisfies Record<string, VcpuRecipe>;

/** What KVM does about a hypercall; periodic timers are left to the VMM. */
type Hypercall = 'not handled' | 'another vCPU' | 'too late' | 'start' | 'stop';

function hypercallOf(ctx: Ctx): Hypercall {
  const { nr, cmd, vcpuId, timeoutNs = 0n, flags = 0 } = inputOf(ctx, 'xen_hypercall');
  const { vcpu, vm, switches } = ctx;
  const hasTimer = switches.xenTimer !== 'none' && vcpu.xenTimerPort !== 0;
  if (!hasTimer || (vm.xenFlags & INTERCEPT_HCALL) === 0) return 'not handled';
  if (nr === SET_TIMER_OP) return timeoutNs === 0n ? 'stop' : 'start';
  if (nr !== VCPU_OP) return 'not handled';
  if (cmd !== SET_SINGLESHOT_TIMER && cmd !== STOP_SINGLESHOT_TIMER) return 'not handled';
  if (vcpuId !== undefined && vcpuId !== vcpu.vcpuId) return 'another vCPU';
  if (cmd === STOP_SINGLESHOT_TIMER) return 'stop';
  const isLate = switches.xenTimerPast === 'etime' && (flags & FUTURE) !== 0;
  return isLate && dueOf(nowOf(vcpu, ctx).clock, ctx).delta < 0n ? 'too late' : 'start';
}

/** Whether a hypercall, or the VMM, sets the timer. */
export const startsXenTimer = (ctx: Ctx): boolean =>
  ctx.input.type === 'KVM_XEN_SET_TIMER'
    ? ctx.input.port !== 0 && ctx.input.expiresNs !== 0n
    : hypercallOf(ctx) === 'start';

/** Whether a hypercall stops it. */
export const stopsXenTimer = (ctx: Ctx): boolean => hypercallOf(ctx) === 'stop';
