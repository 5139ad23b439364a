/**
 * Hyper-V's synthetic timers: four a vCPU, in units of 100 ns of the VM's reference time.
 *
 * A write to one, or its hrtimer, marks it pending and raises HV_STIMER; before the vCPU next enters,
 * after its clock was brought up to date, a pending timer is looked at: it expires if its time has
 * come, and is started if it is enabled. What it is compared with and started by is reference time,
 * so that a clock that was set shows in the next period and not in the one that runs.
 *
 * The SynIC is taken to be on. A message finds its slot free unless `hv_message_slot` said otherwise.
 *
 * Source: `stimer_set_config()`, `stimer_set_count()`, `stimer_start()`, `kvm_hv_process_stimers()`,
 * arch/x86/kvm/hyperv.c.
 */
import { ERRNO, MSRS } from '../../events/index.ts';
import { addU64, S64_MAX, subU64 } from '../num/index.ts';
import { type Ctx, inputOf, type VcpuRecipe } from './context.ts';
import { timeRefCount } from './hyperv-page.ts';
import { raise } from './requests.ts';
import { STIMERS, type VcpuState } from './vcpu-state.ts';

/** Bits of STIMERn_CONFIG. */
const ENABLE = 1n;
const PERIODIC = 2n;
const AUTO_ENABLE = 8n;
const DIRECT = 1n << 12n;
const SINT_SHIFT = 16n;
const SINT_MASK = 0xfn;

/** Nanoseconds of one unit of reference time. */
const TICK_NS = 100n;
/** The input that tells that a timer's hrtimer fired. */
const TIMER = 'kvm_hv_stimer_callback';

/** Which timer an MSR belongs to, CONFIG and COUNT of each standing side by side. */
const timerOf = (index: number): number => (index - MSRS.HV_X64_MSR_STIMER0_CONFIG) >> 1;

const has = (bits: number, timer: number): boolean => (bits & (1 << timer)) !== 0;
const isEnabled = (self: VcpuState, timer: number): boolean =>
  (self.stimerConfig.get(timer) & ENABLE) !== 0n;

/** Stops it and forgets what it was about to do. */
function cleanUp(self: VcpuState, timer: number): void {
  const others = ~(1 << timer);
  self.stimerArmed &= others;
  self.stimerPending &= others;
  self.stimerMsgPending &= others;
  self.stimerExpTime.set(timer, 0n);
}

function markPending(self: VcpuState, timer: number, ctx: Ctx): void {
  self.stimerPending |= 1 << timer;
  raise(self, 'HV_STIMER', ctx);
}

/** Sets its hrtimer, which is one of CLOCK_MONOTONIC. */
function setTimer(self: VcpuState, timer: number, now: bigint, expires: bigint, ctx: Ctx): void {
  const ns = subU64(expires, now) * TICK_NS;
  const delayNs = ns > S64_MAX ? S64_MAX : ns;
  self.stimerArmed |= 1 << timer;
  ctx.out.emit({
    type: 'timer_armed',
    vcpu: self.vcpuId,
    name: TIMER,
    delayNs,
    timer,
    expires,
    vm: ctx.vmId,
  });
}

/** The next expiry of a periodic timer: periods that were missed are skipped. */
function nextPeriod(self: VcpuState, timer: number, now: bigint): bigint {
  const count = self.stimerCount.get(timer);
  const expires = self.stimerExpTime.get(timer);
  if (expires === 0n) return addU64(now, count);
  return now < expires ? expires : addU64(now, count - ((now - expires) % count));
}

function start(self: VcpuState, timer: number, ctx: Ctx): void {
  const timeNow = timeRefCount(ctx.vm, ctx);
  const { vcpuId } = self;
  const named = { vcpu: vcpuId, vcpuId, timerIndex: timer, timeNow };
  if ((self.stimerConfig.get(timer) & PERIODIC) !== 0n) {
    const expTime = nextPeriod(self, timer, timeNow);
    self.stimerExpTime.set(timer, expTime);
    ctx.out.emit({ type: 'kvm_hv_stimer_start_periodic', ...named, expTime, vm: ctx.vmId });
    setTimer(self, timer, timeNow, expTime, ctx);
    return;
  }
  const count = self.stimerCount.get(timer);
  self.stimerExpTime.set(timer, count);
  // One that lies in the past expires when pending timers are next looked at.
  if (timeNow >= count) {
    markPending(self, timer, ctx);
    return;
  }
  ctx.out.emit({ type: 'kvm_hv_stimer_start_one_shot', ...named, count, vm: ctx.vmId });
  setTimer(self, timer, timeNow, count, ctx);
}

/** Sends the message, or raises the interrupt; a message whose slot is taken waits. */
function expire(self: VcpuState, timer: number, ctx: Ctx): void {
  const config = self.stimerConfig.get(timer);
  const direct = (config & DIRECT) === 0n ? 0 : 1;
  const busy = direct === 0 && has(self.stimerSlotBusy, timer);
  // A periodic timer's message is not tried again.
  const msgSendResult = busy && (config & PERIODIC) === 0n ? -ERRNO.EAGAIN : 0;
  const { vcpuId } = self;
  ctx.out.emit({
    type: 'kvm_hv_stimer_expiration',
    vcpu: vcpuId,
    vcpuId,
    timerIndex: timer,
    direct,
    msgSendResult,
    vm: ctx.vmId,
  });
  self.stimerMsgPending |= 1 << timer;
  if (msgSendResult !== 0) return;
  self.stimerMsgPending &= ~(1 << timer);
  if ((config & PERIODIC) === 0n) self.stimerConfig.set(timer, config & ~ENABLE);
}

function process(self: VcpuState, timer: number, ctx: Ctx): void {
  const expires = self.stimerExpTime.get(timer);
  if (expires !== 0n && timeRefCount(ctx.vm, ctx) >= expires) expire(self, timer, ctx);
  if (!isEnabled(self, timer) || self.stimerCount.get(timer) === 0n) cleanUp(self, timer);
  else if (!has(self.stimerMsgPending, timer)) start(self, timer, ctx);
}

const written = (ctx: Ctx) => inputOf(ctx, 'wrmsr', 'KVM_SET_MSRS');
const byHost = (ctx: Ctx): boolean => ctx.input.type === 'KVM_SET_MSRS';

/** The enable bit that a count leaves: 0 turns the timer off, another one may turn it on. */
function enabledBy(config: bigint, count: bigint, ctx: Ctx): bigint {
  if (byHost(ctx) && !ctx.switches.hvStimerByHost) return config;
  if (count === 0n) return config & ~ENABLE;
  return (config & AUTO_ENABLE) === 0n ? config : config | ENABLE;
}

export const stimerRecipes = {
  storeStimerConfig: (self, ctx) => {
    const { index, data: config } = written(ctx);
    const timer = timerOf(index);
    const wasEnabled = isEnabled(self, timer);
    const { vcpuId } = self;
    const named = { vcpu: vcpuId, vcpuId, timerIndex: timer, host: byHost(ctx) };
    ctx.out.emit({ type: 'kvm_hv_stimer_set_config', ...named, config, vm: ctx.vmId });
    cleanUp(self, timer);
    const goesNowhere = (config & DIRECT) === 0n && ((config >> SINT_SHIFT) & SINT_MASK) === 0n;
    self.stimerConfig.set(timer, wasEnabled && goesNowhere ? config & ~ENABLE : config);
    if (isEnabled(self, timer)) markPending(self, timer, ctx);
  },
  storeStimerCount: (self, ctx) => {
    const { index, data: count } = written(ctx);
    const timer = timerOf(index);
    const { vcpuId } = self;
    const named = { vcpu: vcpuId, vcpuId, timerIndex: timer, host: byHost(ctx) };
    ctx.out.emit({ type: 'kvm_hv_stimer_set_count', ...named, count, vm: ctx.vmId });
    cleanUp(self, timer);
    self.stimerCount.set(timer, count);
    self.stimerConfig.set(timer, enabledBy(self.stimerConfig.get(timer), count, ctx));
    if (isEnabled(self, timer)) markPending(self, timer, ctx);
  },
  stimerFired: (self, ctx) => {
    const { timer } = inputOf(ctx, 'kvm_hv_stimer_callback');
    self.stimerArmed &= ~(1 << timer);
    ctx.out.emit({ type: 'timer_fired', vcpu: self.vcpuId, name: TIMER, timer, vm: ctx.vmId });
    markPending(self, timer, ctx);
  },
  processStimers: (self, ctx) => {
    for (let timer = 0; timer < STIMERS; timer++) {
      if (!has(self.stimerPending, timer)) continue;
      self.stimerPending &= ~(1 << timer);
      if (isEnabled(self, timer)) process(self, timer, ctx);
    }
  },
  /** A slot that is free again lets a message that waits be sent (`kvm_hv_notify_acked_sint()`). */
  noteMessageSlot: (self, ctx) => {
    const { timer, busy } = inputOf(ctx, 'hv_message_slot');
    if (busy) {
      self.stimerSlotBusy |= 1 << timer;
      return;
    }
    self.stimerSlotBusy &= ~(1 << timer);
    if (has(self.stimerMsgPending, timer)) markPending(self, timer, ctx);
  },
} satisfies Record<string, VcpuRecipe>;
