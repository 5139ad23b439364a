/**
 * What a VMM keeps of a VM's clock, and puts back.
 *
 * Source: QEMU, hw/i386/kvm/clock.c (`kvmclock_vm_state_change()`, `kvmclock_pre_save()`,
 * `kvmclock_current_nsec()`), target/i386/kvm/kvm.c (`kvm_put_msrs()`, `kvm_get_msrs()`).
 */
import { type Composite, MSRS, type Observation, type ObservationOf } from '../../events/index.ts';
import { addU64, pvclockRead } from '../num/index.ts';
import type { Switches } from '../profiles/index.ts';
import type { VcpuState } from './vcpu-state.ts';
import { KVM_CLOCK_REALTIME } from './vm-clock.ts';
import type { VmmState, VmmVcpuState } from './vmm-state.ts';

/** What a VMM's recipe, guard or condition may read. */
export interface VmmCtx {
  readonly event: Composite;
  readonly switches: Switches;
  /** CLOCK_REALTIME now, ns. */
  readonly realtimeNs: bigint;
  /** KVM_CAP_TSC_CONTROL. */
  readonly tscControl: boolean;
  /** The result of the ioctl just made. */
  readonly result: Observation | undefined;
  /** What was saved elsewhere and is restored here: of the VMM, and of the vCPU whose turn it is. */
  readonly saved: Readonly<VmmState> | undefined;
  readonly savedVcpu: Readonly<VmmVcpuState> | undefined;
  readonly vmm: Readonly<VmmState>;
  /** The vCPU whose turn it is, and KVM's side of it. */
  readonly vcpu: Readonly<VmmVcpuState>;
  readonly kvm: Readonly<VcpuState>;
  /** The boot vCPU, and KVM's side of it. */
  readonly bootVcpu: Readonly<VmmVcpuState>;
  readonly bootKvm: Readonly<VcpuState>;
}

type VmmGuard = (self: Readonly<VmmState>, ctx: VmmCtx) => boolean;
type VmmRecipe = (self: VmmState, ctx: VmmCtx) => void;
type VmmVcpuRecipe = (self: VmmVcpuState, ctx: VmmCtx) => void;

/** The MSRs of the clock that travel with a vCPU; the old and the new ones of kvmclock are one. */
const KEPT_MSRS = [
  { name: 'IA32_TSC_ADJUST', field: 'tscAdjust' },
  { name: 'IA32_TSC', field: 'tsc' },
  { name: 'MSR_KVM_SYSTEM_TIME', field: 'systemTimeMsr' },
  { name: 'MSR_KVM_WALL_CLOCK', field: 'wallClockMsr' },
  { name: 'MSR_KVM_SYSTEM_TIME_NEW', field: 'systemTimeMsr' },
  { name: 'MSR_KVM_WALL_CLOCK_NEW', field: 'wallClockMsr' },
  { name: 'MSR_KVM_STEAL_TIME', field: 'stealTimeMsr' },
] as const satisfies readonly { name: keyof typeof MSRS; field: string }[];

type KeptMsrName = (typeof KEPT_MSRS)[number]['name'];

/** An MSR that travels: its number, and where the VMM keeps it. */
export interface KeptMsr {
  readonly index: number;
  readonly field: (typeof KEPT_MSRS)[number]['field'];
}

const KEPT: ReadonlyMap<string, KeptMsr> = new Map(
  KEPT_MSRS.map(({ name, field }) => [name, { index: MSRS[name], field }]),
);

/** MSRs that travel, in the order in which they are named. */
export const vmmMsrs = (...names: readonly KeptMsrName[]): readonly KeptMsr[] =>
  names.map((name) => KEPT.get(name)!);

const FIELD_OF: ReadonlyMap<number, KeptMsr['field']> = new Map(
  [...KEPT.values()].map(({ index, field }) => [index, field]),
);

type IoctlResult = ObservationOf<'ioctl_result'>;

/** What is kept of an ioctl's result. */
const KEEPERS: Readonly<Record<string, (self: VmmVcpuState, result: IoctlResult) => void>> = {
  KVM_GET_TSC_KHZ: (self, { ret }) => {
    self.tscKhz = ret;
  },
  KVM_GET_TSC_OFFSET: (self, { offset = 0n }) => {
    self.tscOffset = offset;
  },
  KVM_GET_TSC_SCALE: (self, { ratio = 0n, fracBits = 0 }) => {
    self.tscScalingRatio = ratio;
    self.tscScalingFracBits = fracBits;
  },
  KVM_GET_TSC_STATE: (self, { guestTsc = 0n, tscAdjust = 0n, nsec = 0n }) => {
    self.tsc = guestTsc;
    self.tscAdjust = tscAdjust;
    self.tscNsec = nsec;
  },
  KVM_GET_CLOCK_GUEST: (self, { tscTimestamp = 0n, systemTime = 0n, ...scale }) => {
    self.guestTscTimestamp = tscTimestamp;
    self.guestSystemTime = systemTime;
    self.guestMul = scale.tscToSystemMul ?? 0;
    self.guestShift = scale.tscShift ?? 0;
  },
};

/** Bit 0 of MSR_KVM_SYSTEM_TIME: the page is in use. */
const ENABLE = 1n;

function keepBootPage(self: VmmState, { bootKvm }: VmmCtx): void {
  self.hasPage = (bootKvm.systemTimeMsr & ENABLE) !== 0n;
  self.pageTscTimestamp = bootKvm.pageTscTimestamp;
  self.pageSystemTime = bootKvm.pageSystemTime;
  self.pageMul = bootKvm.pageMul;
  self.pageShift = bootKvm.pageShift;
}

/** What the event says of CLOCK_TAI − CLOCK_REALTIME, s; 0: nothing. */
const taiOffsetOf = ({ event }: VmmCtx): number =>
  event.type === 'migration' ? (event.taiOffset ?? 0) : 0;

/**
 * An instant of CLOCK_REALTIME at the source as the destination would call it: another one where a
 * leap second came between and both hosts tell what CLOCK_TAI is.
 */
export function realtimeHere(realtimeNs: bigint, ctx: VmmCtx): bigint {
  const there = ctx.saved?.taiOffset ?? 0;
  const here = taiOffsetOf(ctx);
  if (there === 0 || here === 0) return realtimeNs;
  return addU64(realtimeNs, BigInt(there - here) * 1_000_000_000n);
}

export const vmmGuards = {
  byUser: (_self, ctx) => ctx.event.type === 'pause',
  clockIsUnreliable: (self) => !self.clockIsReliable && self.hasPage,
} satisfies Record<string, VmmGuard>;

export const vmmRecipes = {
  storeFrequency: (self, ctx) => {
    if (ctx.event.type === 'launch') self.tscKhz = ctx.event.tscKhz ?? 0;
  },
  /** KVM_CAP_ADJUST_CLOCK names TSC_STABLE since KVM_GET_CLOCK extrapolates as guests do. */
  keepClock: (self, ctx) => {
    if (ctx.result?.type === 'ioctl_result') {
      self.clock = ctx.result.clock ?? 0n;
      self.clockFlags = ctx.result.flags ?? 0;
      self.clockRealtime = ctx.result.realtime ?? 0n;
      self.clockHostTsc = ctx.result.hostTsc ?? 0n;
    }
    self.clockIsReliable = ctx.switches.getClock !== 'base';
    keepBootPage(self, ctx);
  },
  /** The VMM reads the time itself where KVM_GET_CLOCK did not tell it. */
  fillRealtime: (self, ctx) => {
    if ((self.clockFlags & KVM_CLOCK_REALTIME) !== 0) return;
    self.clockFlags |= KVM_CLOCK_REALTIME;
    self.clockRealtime = ctx.realtimeNs;
  },
  /** What the guest itself would have read when its TSC was kept; 0 means that it cannot be told. */
  clockFromPage: (self, ctx) => {
    const page = {
      tscTimestamp: self.pageTscTimestamp,
      systemTime: self.pageSystemTime,
      tscToSystemMul: self.pageMul,
      tscShift: self.pageShift,
    };
    const clock = pvclockRead(page, ctx.bootVcpu.tsc);
    if (clock !== 0n) self.clock = clock;
  },
  storeTaiOffset: (self, ctx) => {
    self.taiOffset = taiOffsetOf(ctx);
  },
  takeSaved: (self, ctx) => {
    const { saved } = ctx;
    if (saved === undefined) return;
    self.tscKhz = saved.tscKhz;
    self.clock = saved.clock;
    self.clockFlags = saved.clockFlags;
    self.clockRealtime = realtimeHere(saved.clockRealtime, ctx);
    self.clockHostTsc = saved.clockHostTsc;
    self.clockIsReliable = saved.clockIsReliable;
    self.hasPage = saved.hasPage;
    self.pageTscTimestamp = saved.pageTscTimestamp;
    self.pageSystemTime = saved.pageSystemTime;
    self.pageMul = saved.pageMul;
    self.pageShift = saved.pageShift;
  },
} satisfies Record<string, VmmRecipe>;

export const vmmVcpuRecipes = {
  /** Its thread runs where the hotplug says, or where it ran when it was saved. */
  placeThread: (self, { event, savedVcpu }) => {
    if (event.type === 'hotplug') {
      self.vcpuId = event.vcpu;
      self.cpu = event.cpu;
    } else if (savedVcpu !== undefined) {
      self.vcpuId = savedVcpu.vcpuId;
      self.cpu = savedVcpu.cpu;
    }
  },
  /** A vCPU that is plugged in starts with its MSRs as after reset. */
  forgetMsrs: (self) => {
    for (const { field } of KEPT_MSRS) self[field] = 0n;
    self.tscNsec = 0n;
  },
  keepResult: (self, { result }) => {
    if (result?.type === 'msr_result') {
      const field = FIELD_OF.get(result.index);
      if (field !== undefined) self[field] = result.data ?? 0n;
    } else if (result?.type === 'ioctl_result' && result.ret >= 0) {
      KEEPERS[result.name]?.(self, result);
    }
  },
  takeSavedVcpu: (self, ctx) => {
    const { savedVcpu } = ctx;
    if (savedVcpu === undefined) return;
    for (const { field } of KEPT_MSRS) self[field] = savedVcpu[field];
    self.tscKhz = savedVcpu.tscKhz;
    self.tscOffset = savedVcpu.tscOffset;
    self.tscNsec = savedVcpu.tscNsec === 0n ? 0n : realtimeHere(savedVcpu.tscNsec, ctx);
  },
} satisfies Record<string, VmmVcpuRecipe>;
