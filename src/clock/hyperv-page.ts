/**
 * Hyper-V's reference TSC page: the pvclock in units of 100 ns, on one page for the whole VM.
 *
 * Sequence 0 tells the guest not to use it. Every masterclock update goes through the page, so its
 * sequence moves even when its numbers come out equal.
 *
 * Source: `kvm_hv_setup_tsc_page()`, `kvm_hv_request_tsc_page_update()`, `get_time_ref_counter()`,
 * arch/x86/kvm/hyperv.c; layout: include/hyperv/hvgdk_mini.h.
 */
import { hvReferenceTime, hvTscPage } from '../num/index.ts';
import { type Ctx, inputOf, type VmGuard, type VmRecipe } from './context.ts';
import { readL1Tsc } from './tsc.ts';
import { getKvmclock } from './vm-clock.ts';
import type { VmState } from './vm-state.ts';

type Vm = Readonly<VmState>;

/** Enable bit of HV_X64_MSR_REFERENCE_TSC and where its page number starts. */
const ENABLE = 1n;
const PAGE_MASK = ~0xfffn;

const pageOf = (ctx: Ctx) =>
  hvTscPage({
    tscTimestamp: ctx.vcpu.pvTscTimestamp,
    systemTime: ctx.vcpu.pvSystemTime,
    tscToSystemMul: ctx.vcpu.pvclockTscMul,
    tscShift: ctx.vcpu.pvclockTscShift,
    flags: ctx.vcpu.pvFlags,
  });

/** The page as in guest memory: sequence, pad, scale, offset. */
function encode(vm: Vm, byteLength: number): Uint8Array {
  const bytes = new Uint8Array(24);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, vm.hvTscSequence, true);
  view.setBigUint64(8, vm.hvTscScale, true);
  view.setBigInt64(16, vm.hvTscOffset, true);
  return bytes.slice(0, byteLength);
}

const SEQUENCE_BYTES = 4;
const PAGE_BYTES = 24;

function write(self: Vm, byteLength: number, ctx: Ctx): void {
  ctx.out.emit({
    type: 'guest_write',
    gpa: self.hvTscGpa,
    bytes: encode(self, byteLength),
    what: 'hv_tsc_page',
    vm: ctx.vmId,
  });
}

/** The sequence after this one; 0 and 0xffffffff mean that the page is not to be used. */
const nextSequence = (sequence: number): number => {
  const next = (sequence + 1) >>> 0;
  return next === 0 || next === 0xffff_ffff ? 1 : next;
};

/** Until 42dcbe7d8bac (v5.18) the request itself wrote sequence 0, and a page that is set was rewritten. */
const isInvalidatedFirst = ({ switches }: Ctx): boolean =>
  switches.hvPage === 'status' && switches.hvPageFrom === 'vcpu0';

/** While reenlightenment and emulation are on, the guest counts on the page staying as it is. */
const isUpdateUnsafe = (vm: Vm): boolean =>
  vm.hvTscPage !== 'guestChanged' && vm.hvTscEmulationControl !== 0n;

const writesReference = (ctx: Ctx) => inputOf(ctx, 'wrmsr', 'KVM_SET_MSRS');
const setsEnableBit = (ctx: Ctx): boolean => (writesReference(ctx).data & ENABLE) !== 0n;
const enables = (ctx: Ctx): boolean => setsEnableBit(ctx) && ctx.switches.hvPage !== 'none';

/** Only where there is a status (v5.12+). */
const keepsPage: VmGuard = (self, ctx) =>
  ctx.switches.hvPage === 'status' && self.hvTscSequence !== 0 && isUpdateUnsafe(self);

/** Whether every clock update writes a page that is set, not only one that was asked for. */
const isAlwaysWritten: VmGuard = (self, ctx) =>
  ctx.switches.hvPage === 'sequence' || (isInvalidatedFirst(ctx) && !keepsPage(self, ctx));

export const hypervGuards = {
  guestEnablesPage: (_self, ctx) => enables(ctx) && ctx.input.type === 'wrmsr',
  hostEnablesPage: (_self, ctx) => enables(ctx) && ctx.input.type === 'KVM_SET_MSRS',
  /** A page that must stay constant keeps its numbers. */
  keepsPage,
  /** The clock is stable and slow enough for the page's units. */
  pageIsExpressible: (_self, ctx) => pageOf(ctx).ok,
  mayUpdatePage: (self, ctx) => ctx.switches.hvPage === 'status' && !isUpdateUnsafe(self),
  /** `kvm_hv_invalidate_tsc_page()`: the guest must not use the page from now on. */
  invalidatesAtRequest: (self, ctx) => isInvalidatedFirst(ctx) && !isUpdateUnsafe(self),
  rewritesPage: (self, ctx) => isAlwaysWritten(self, ctx) && pageOf(ctx).ok,
  invalidatesPage: (self, ctx) => isAlwaysWritten(self, ctx) && !pageOf(ctx).ok,
  /** Up to v5.12 there is no status: the next stable update mends the page. */
  mendsPage: (_self, ctx) => ctx.switches.hvPage === 'sequence' && pageOf(ctx).ok,
  cannotMendPage: (_self, ctx) => ctx.switches.hvPage === 'sequence' && !pageOf(ctx).ok,
} satisfies Record<string, VmGuard>;

export const hypervRecipes = {
  storeReferenceTsc: (self, ctx) => {
    const { data } = writesReference(ctx);
    const gpa = data & PAGE_MASK;
    // Another page is other memory; a fresh one reads 0.
    if (setsEnableBit(ctx) && gpa !== self.hvTscGpa) {
      self.hvTscGpa = gpa;
      self.hvTscSequence = 0;
    }
    self.hvReferenceTsc = data;
    // Up to v4.8 the page is cleared, and never filled.
    if (ctx.switches.hvPage === 'none' && setsEnableBit(ctx)) write(self, PAGE_BYTES, ctx);
  },
  invalidatePage: (self, ctx) => {
    self.hvTscSequence = 0;
    write(self, SEQUENCE_BYTES, ctx);
  },
  writeHvPage: (self, ctx) => {
    const sequence = nextSequence(self.hvTscSequence);
    const { tscScale, tscOffset } = pageOf(ctx);
    self.hvTscSequence = 0;
    write(self, SEQUENCE_BYTES, ctx);
    self.hvTscScale = tscScale;
    self.hvTscOffset = tscOffset;
    write(self, PAGE_BYTES, ctx);
    self.hvTscSequence = sequence;
    write(self, SEQUENCE_BYTES, ctx);
  },
  storeEmulationControl: (self, ctx) => {
    self.hvTscEmulationControl = writesReference(ctx).data;
  },
  storeReenlightenmentControl: (self, ctx) => {
    self.hvReenlightenmentControl = writesReference(ctx).data;
  },
  storeEmulationStatus: (self, ctx) => {
    self.hvTscEmulationStatus = writesReference(ctx).data;
  },
  storeInvtscControl: (self, ctx) => {
    self.hvInvtscControl = writesReference(ctx).data;
  },
} satisfies Record<string, VmRecipe>;

/** Whether a write to the MSR asks for a masterclock update, with which the page is made. */
export const asksForHvPage = (ctx: Ctx): boolean =>
  (ctx.vm.hvReferenceTsc & ENABLE) !== 0n && ctx.switches.hvPage !== 'none';

/** HV_X64_MSR_TIME_REF_COUNT: by the page while it is valid, else from the VM's clock; 100 ns. */
export function timeRefCount(vm: Vm, ctx: Ctx): bigint {
  const valid = ctx.switches.hvPage === 'status' ? vm.hvTscPage === 'set' : vm.hvTscSequence !== 0;
  if (!valid) return getKvmclock(vm, ctx).clock / 100n;
  const tsc = readL1Tsc(ctx.bootVcpu, ctx.host, ctx.read('getClock.tsc'));
  return hvReferenceTime(tsc, vm.hvTscScale, vm.hvTscOffset);
}
