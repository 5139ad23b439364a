/**
 * What a VMM keeps of a VM's clock, and puts back.
 *
 * Source: QEMU, hw/i386/kvm/clock.c (`kvmclock_vm_state_change()`, `kvmclock_pre_save()`,
 * `kvmclock_current_nsec()`), target/i386/kvm/kvm.c (`kvm_put_msrs()`, `kvm_get_msrs()`).
 */
import { type Composite, MSRS, type Observation } from '../../events/index.ts';
import { pvclockRead } from '../num/index.ts';
import type { Switches } from '../profiles/index.ts';
import type { VcpuState } from './vcpu-state.ts';
import type { VmmState, VmmVcpuState } from './vmm-state.ts';

/** What a VMM's recipe, guard or condition may read. */
export interface VmmCtx {
  readonly event: Composite;
  readonly switches: Switches;
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

/** The MSRs of the clock that travel with a vCPU, in the order in which they are put back. */
export const KEPT_MSRS = [
  { index: MSRS.IA32_TSC_ADJUST, field: 'tscAdjust' },
  { index: MSRS.IA32_TSC, field: 'tsc' },
  { index: MSRS.MSR_KVM_SYSTEM_TIME, field: 'systemTimeMsr' },
  { index: MSRS.MSR_KVM_WALL_CLOCK, field: 'wallClockMsr' },
  { index: MSRS.MSR_KVM_STEAL_TIME, field: 'stealTimeMsr' },
] as const;

/** Bit 0 of MSR_KVM_SYSTEM_TIME: the page is in use. */
const ENABLE = 1n;

function keepBootPage(self: VmmState, { bootKvm }: VmmCtx): void {
  self.hasPage = (bootKvm.systemTimeMsr & ENABLE) !== 0n;
  self.pageTscTimestamp = bootKvm.pageTscTimestamp;
  self.pageSystemTime = bootKvm.pageSystemTime;
  self.pageMul = bootKvm.pageMul;
  self.pageShift = bootKvm.pageShift;
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
    if (ctx.result?.type === 'ioctl_result') self.clock = ctx.result.clock ?? 0n;
    self.clockIsReliable = ctx.switches.getClock !== 'base';
    keepBootPage(self, ctx);
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
  takeSaved: (self, ctx) => {
    const { saved } = ctx;
    if (saved === undefined) return;
    self.tscKhz = saved.tscKhz;
    self.clock = saved.clock;
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
  },
  keepMsr: (self, { result }) => {
    if (result?.type !== 'msr_result') return;
    const kept = KEPT_MSRS.find(({ index }) => index === result.index);
    if (kept !== undefined) self[kept.field] = result.data ?? 0n;
  },
  takeSavedVcpu: (self, { savedVcpu }) => {
    if (savedVcpu === undefined) return;
    for (const { field } of KEPT_MSRS) self[field] = savedVcpu[field];
  },
} satisfies Record<string, VmmVcpuRecipe>;
