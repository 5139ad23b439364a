/**
 * The VM's clock as user space sees and sets it: KVM_GET_CLOCK, KVM_SET_CLOCK, and the same value
 * where KVM itself needs it.
 *
 * While the masterclock is in use the value is computed from the host's TSC with the host's own
 * frequency ("definition C" of the KVM clock series), whatever the guest's frequency is; in that
 * series through the guest's scaled TSC, as the guest reads it ("definition B").
 *
 * Source: `get_kvmclock()`, `kvm_vm_ioctl_set_clock()`, arch/x86/kvm/x86.c.
 */
import {
  addU64,
  asS64,
  defaultTscRatio,
  pvclockRead,
  scaleDelta,
  scaleTsc,
  subU64,
  timeScale,
} from '../num/index.ts';
import { type Ctx, inputOf, type VmRecipe } from './context.ts';
import { hasTscControl, hostTscKhz } from './host-tsc.ts';
import { gtodIsBasedOnTsc } from './timekeeper.ts';
import { seedGeneration } from './tsc-sync.ts';
import type { VmState } from './vm-state.ts';

/** Flags of `struct kvm_clock_data`. */
export const KVM_CLOCK_TSC_STABLE = 2;
export const KVM_CLOCK_REALTIME = 4;
export const KVM_CLOCK_HOST_TSC = 8;

type Vm = Readonly<VmState>;

/** `struct kvm_clock_data`. */
interface KvmClockData {
  readonly clock: bigint;
  readonly flags: number;
  readonly realtime: bigint;
  readonly hostTsc: bigint;
}

/** The clock at a host TSC as the masterclock reference has it, with the host's own frequency. */
export function clockAtHostTsc(vm: Vm, hostTsc: bigint, khz: number): bigint {
  const scale = timeScale(1_000_000_000n, BigInt(khz) * 1000n);
  return pvclockRead(
    {
      tscTimestamp: vm.masterCycleNow,
      systemTime: addU64(vm.masterKernelNs, vm.kvmclockOffset),
      tscToSystemMul: scale.mul,
      tscShift: scale.shift,
    },
    hostTsc,
  );
}

/** The same through the guest's scaled TSC, with the scale kept at the reference. */
export function clockAtGuestTsc(vm: Vm, hostTsc: bigint, fracBits: number): bigint {
  const cycles = subU64(hostTsc, vm.masterCycleNow);
  const scaled = scaleTsc(cycles, vm.masterTscScalingRatio, fracBits);
  const ns = scaleDelta(scaled, vm.masterTscMul, vm.masterTscShift);
  return addU64(addU64(vm.masterKernelNs, vm.kvmclockOffset), ns);
}

/** The host CPU that this happens on: told, or that of the vCPU that acts, or the first. */
const cpuHere = ({ input, vcpu }: Ctx): number =>
  (input.type === 'KVM_GET_CLOCK' || input.type === 'KVM_SET_CLOCK' ? input.cpu : undefined) ??
  Math.max(0, vcpu.cpu);

/**
 * Keeps, at a masterclock reference, how host cycles become the guest's and those ns: by the ratio
 * of the vCPU whose TSC was synchronised last.
 */
export function takeGuestScale(self: VmState, ctx: Ctx): void {
  const { host, switches } = ctx;
  if (switches.getClock !== 'guest-scale' && switches.wallClock !== 'guest-scale') return;
  const hostHz = BigInt(hostTscKhz(host, cpuHere(ctx), switches)) * 1000n;
  if (hostHz === 0n) return;
  const fracBits = host.tscScalingRatioFracBits;
  const isScaled = hasTscControl(host, switches) && self.lastTscScalingRatio !== 0n;
  self.masterTscScalingRatio = isScaled ? self.lastTscScalingRatio : defaultTscRatio(fracBits);
  const hz = scaleTsc(hostHz, self.masterTscScalingRatio, fracBits);
  const { mul, shift } = timeScale(1_000_000_000n, hz);
  self.masterTscMul = mul;
  self.masterTscShift = shift;
}

/** The clock through the guest's TSC, at a host TSC that CLOCK_REALTIME is read with. */
export function clockThroughGuest(vm: Vm, ctx: Ctx): bigint | undefined {
  const { host, switches } = ctx;
  const isPossible =
    vm.masterclock === 'on' &&
    gtodIsBasedOnTsc(host.vclockMode, switches) &&
    hostTscKhz(host, cpuHere(ctx), switches) !== 0;
  return isPossible
    ? clockAtGuestTsc(vm, ctx.read('getClock.tsc'), host.tscScalingRatioFracBits)
    : undefined;
}

/** The clock by the host's clock alone. */
export const clockOfHost = (vm: Vm, ctx: Ctx): bigint =>
  addU64(ctx.read('getClock.ns'), vm.kvmclockOffset);

/** `get_kvmclock()` of the KVM clock series: all flags or none. */
function getThroughGuest(vm: Vm, ctx: Ctx): KvmClockData {
  const clock = clockThroughGuest(vm, ctx);
  if (clock === undefined) {
    return { clock: clockOfHost(vm, ctx), flags: 0, realtime: 0n, hostTsc: 0n };
  }
  if (!ctx.switches.getClockRealtime) {
    return { clock, flags: KVM_CLOCK_TSC_STABLE, realtime: 0n, hostTsc: 0n };
  }
  const flags = KVM_CLOCK_TSC_STABLE | KVM_CLOCK_REALTIME | KVM_CLOCK_HOST_TSC;
  return { clock, flags, realtime: ctx.read('realtime.ns'), hostTsc: ctx.read('getClock.tsc') };
}

/** `get_kvmclock()`: the VM's clock now. */
export function getKvmclock(vm: Vm, ctx: Ctx): KvmClockData {
  if (ctx.switches.getClock === 'guest-scale') return getThroughGuest(vm, ctx);
  const khz = hostTscKhz(ctx.host, cpuHere(ctx), ctx.switches);
  if (ctx.switches.getClock === 'base' || vm.masterclock !== 'on' || khz === 0) {
    return { clock: clockOfHost(vm, ctx), flags: 0, realtime: 0n, hostTsc: 0n };
  }
  const hostTsc = ctx.read('getClock.tsc');
  const clock = clockAtHostTsc(vm, hostTsc, khz);
  if (!ctx.switches.getClockRealtime) {
    return { clock, flags: KVM_CLOCK_TSC_STABLE, realtime: 0n, hostTsc: 0n };
  }
  // The clocksource has left the TSC and the request to give up the masterclock is still to be
  // served: no realtime belongs to this TSC.
  if (!gtodIsBasedOnTsc(ctx.host.vclockMode, ctx.switches)) {
    return { clock, flags: KVM_CLOCK_TSC_STABLE, realtime: 0n, hostTsc };
  }
  const flags = KVM_CLOCK_TSC_STABLE | KVM_CLOCK_REALTIME | KVM_CLOCK_HOST_TSC;
  return { clock, flags, realtime: ctx.read('realtime.ns'), hostTsc };
}

/** Sets the VM's clock off against its base clock. */
export function storeOffset(self: VmState, offset: bigint, ctx: Ctx): void {
  self.kvmclockOffset = offset;
  ctx.out.emit({ type: 'kvmclock_offset', offset: asS64(offset), vm: ctx.vmId });
}

/** The clock asked for, moved on by the realtime that passed since it was read (v5.16+). */
function requestedClock(ctx: Ctx): bigint {
  const { clock, flags, realtime = 0n } = inputOf(ctx, 'KVM_SET_CLOCK');
  if ((flags & KVM_CLOCK_REALTIME) === 0) return clock;
  const now = ctx.read('realtime.ns');
  return now > realtime ? addU64(clock, now - realtime) : clock;
}

/** Until v5.18 whatever was found when KVM was loaded, also where the TSC is constant. */
function newVcpuTscKhz({ host, switches }: Ctx): number {
  const isCurrent = switches.newVcpuTscKhz === 'tsc-khz' && host.constantTsc;
  return isCurrent || host.maxTscKhz === 0 ? host.tscKhz : host.maxTscKhz;
}

export const vmClockRecipes = {
  /** A new VM's clock starts at 0 (before v4.9 at the host's boot), and in series-v6 its TSC too. */
  initVmClock: (self, ctx) => {
    const fromZero = ctx.switches.kvmclockOffsetInit !== 'zero';
    storeOffset(self, fromZero ? -ctx.read('create.ns') : 0n, ctx);
    self.defaultTscKhz = newVcpuTscKhz(ctx);
    self.allVcpusMatchedFreq = ctx.switches.mclkCriterion === 'frequency-generation';
    if (ctx.switches.masterclockAtVmCreate) seedGeneration(self, ctx);
  },
  reportClock: (self, ctx) => {
    const { clock, flags, realtime, hostTsc } = getKvmclock(self, ctx);
    const { type: name } = ctx.input;
    const vm = ctx.vmId;
    ctx.out.emit({ type: 'ioctl_result', name, ret: 0, clock, flags, realtime, hostTsc, vm });
  },
  /** v4.4: against the base clock now. */
  setClockAgainstBase: (self, ctx) => {
    storeOffset(self, subU64(requestedClock(ctx), ctx.read('setClock.ns')), ctx);
  },
  /** v4.9 to v5.11: against the VM's clock now, whichever reference that is computed from. */
  setClockAgainstNow: (self, ctx) => {
    const off = subU64(requestedClock(ctx), getKvmclock(self, ctx).clock);
    storeOffset(self, addU64(self.kvmclockOffset, off), ctx);
  },
  /** v5.12+: against the reference just taken, so that the clock is exact there. */
  setClockAgainstReference: (self, ctx) => {
    const on = self.masterclock === 'on';
    const now = on ? self.masterKernelNs : ctx.read('setClock.ns');
    storeOffset(self, subU64(requestedClock(ctx), now), ctx);
  },
  /** vCPU 0 registers its clock, which starts again (v4.2). */
  restartClock: (self, ctx) => {
    storeOffset(self, -ctx.read('restart.ns'), ctx);
  },
  disableQuirks: (self, ctx) => {
    self.disabledQuirks = inputOf(ctx, 'KVM_CAP_DISABLE_QUIRKS').quirks;
  },
  reportDone: (_self, ctx) => {
    ctx.out.emit({ type: 'ioctl_result', name: ctx.input.type, ret: 0, vm: ctx.vmId });
  },
  setDefaultTscKhz: (self, ctx) => {
    self.defaultTscKhz = inputOf(ctx, 'KVM_SET_VM_TSC_KHZ').khz || ctx.host.tscKhz;
  },
  reportDefaultTscKhz: (self, ctx) => {
    ctx.out.emit({
      type: 'ioctl_result',
      name: ctx.input.type,
      ret: self.defaultTscKhz,
      vm: ctx.vmId,
    });
  },
  countVcpu: (self) => {
    self.createdVcpus += 1;
    self.onlineVcpus += 1;
  },
} satisfies Record<string, VmRecipe>;
