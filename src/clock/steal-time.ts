/**
 * Steal time: how long the vCPU's thread waited for a CPU, as its guest is told.
 *
 * Source: `record_steal_time()`, `kvm_steal_time_set_preempted()`, arch/x86/kvm/x86.c; layout:
 * `struct kvm_steal_time`, arch/x86/include/uapi/asm/kvm_para.h.
 */
import { addU64, subU64 } from '../num/index.ts';
import { type Ctx, inputOf, type VcpuRecipe } from './context.ts';
import { raise } from './requests.ts';
import type { VcpuState } from './vcpu-state.ts';
import { countsRunstate } from './xen-runstate.ts';

/** Bit 0 of MSR_KVM_STEAL_TIME. */
const ENABLE = 1n;
/** The address in MSR_KVM_STEAL_TIME. */
const ADDRESS_MASK = ~0x3fn;
/** KVM_VCPU_PREEMPTED. */
const PREEMPTED = 1;

/** `struct kvm_steal_time` up to `preempted`. */
function write(self: Readonly<VcpuState>, ctx: Ctx): void {
  if (!ctx.out.seesWrites) return;
  const bytes = new Uint8Array(20);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, self.stealNs, true);
  view.setUint32(8, self.stealVersion, true);
  view.setUint8(16, self.stealPreempted);
  const gpa = self.stealTimeMsr & ADDRESS_MASK;
  ctx.out.emit({
    type: 'guest_write',
    vcpu: self.vcpuId,
    gpa,
    bytes,
    what: 'steal_time',
    vm: ctx.vmId,
  });
}

const isEnabled = (vcpu: Readonly<VcpuState>): boolean => (vcpu.stealTimeMsr & ENABLE) !== 0n;

export const stealTimeRecipes = {
  storeStealTimeMsr: (self, ctx) => {
    self.stealTimeMsr = inputOf(ctx, 'wrmsr', 'KVM_SET_MSRS').data;
    if (isEnabled(self)) raise(self, 'STEAL_UPDATE', ctx);
  },
  /** Reset and INIT turn the record off (`kvm_vcpu_reset()`); what was counted stays counted. */
  forgetStealTimeMsr: (self) => {
    self.stealTimeMsr = 0n;
  },
  /** Counts the waiting since the last time; what the clock of a moved record was is kept. */
  recordStealTime: (self, ctx) => {
    if (!isEnabled(self)) return;
    self.stealPreempted = 0;
    self.stealVersion += 1 + (self.stealVersion & 1);
    write(self, ctx);
    const runDelay = ctx.read('run_delay');
    self.stealNs = addU64(self.stealNs, subU64(runDelay, self.lastSteal));
    self.lastSteal = runDelay;
    write(self, ctx);
    self.stealVersion += 1;
    write(self, ctx);
  },
  /**
   * The scheduler took the vCPU off its CPU while it could have run; until v5.18 any put will do.
   * A vCPU preempted in the middle of an instruction is to finish it first (v5.19+).
   */
  markPreempted: (self, ctx) => {
    if (!isEnabled(self) || self.stealPreempted !== 0 || countsRunstate(ctx)) return;
    if (ctx.switches.stealPreempted === 'preempted') {
      // A vCPU that leaves its CPU with its VM, or after its creation, was not preempted.
      if (ctx.input.type !== 'vcpu_put' || ctx.input.preempted !== true) return;
      if (ctx.input.midInstruction === true) return;
    }
    self.stealPreempted = PREEMPTED;
    write(self, ctx);
  },
} satisfies Record<string, VcpuRecipe>;
