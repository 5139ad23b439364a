/**
 * Xen's pvclock pages: one within `vcpu_info`, and `vcpu_time_info`. They hold what the kvmclock page
 * holds, each under its own version.
 *
 * Source: `kvm_guest_time_update()`, arch/x86/kvm/x86.c; `kvm_xen_vcpu_set_attr()`,
 * `kvm_xen_hvm_set_attr()`, arch/x86/kvm/xen.c.
 */
import { PVCLOCK_GUEST_STOPPED, PVCLOCK_TSC_STABLE_BIT, U64_MAX } from '../num/index.ts';
import { type Ctx, inputOf, type VcpuGuard, type VcpuRecipe, type VmRecipe } from './context.ts';
import { contentOf, type PagePlace, writeUnderVersion } from './pvclock-page.ts';
import { raise } from './requests.ts';
import type { VcpuState } from './vcpu-state.ts';

/** Where the page lies in vcpu_info. */
const TIME_IN_VCPU_INFO = 32n;
/** The places of the two pages in the struct's arrays. */
const VCPU_INFO = 0;
const VCPU_TIME_INFO = 1;
/** KVM_XEN_HVM_CONFIG_PVCLOCK_TSC_UNSTABLE. */
const PVCLOCK_TSC_UNSTABLE = 1 << 7;

/** The flags of a page: those computed, without STABLE where the VMM says so, and the guest's own. */
function flagsOf(self: Readonly<VcpuState>, which: number, ctx: Ctx): number {
  const unstable =
    ctx.switches.xenTscUnstableFlag && (ctx.vm.xenFlags & PVCLOCK_TSC_UNSTABLE) !== 0;
  const flags = unstable ? self.pvFlags & ~PVCLOCK_TSC_STABLE_BIT : self.pvFlags;
  return flags | (self.xenPageFlags.get(which) & PVCLOCK_GUEST_STOPPED);
}

const writePage =
  (which: number): VcpuRecipe =>
  (self, ctx) => {
    const content = contentOf(self, flagsOf(self, which, ctx));
    self.xenPageFlags.set(which, content.flags);
    self.xenPageTscTimestamp.set(which, content.tscTimestamp);
    self.xenPageSystemTime.set(which, content.systemTime);
    self.xenPageMul.set(which, content.tscToSystemMul);
    self.xenPageShift.set(which, content.tscShift);
    const { vcpuId } = self;
    const place: PagePlace = { vcpuId, gpa: self.xenPageGpa.get(which), what: 'xen_pvclock' };
    const before = self.xenPageVersion.get(which);
    // Until v6.14 the bit is cleared only in what the guest has.
    const traced = ctx.switches.xenUnstableTraced
      ? content
      : { ...content, flags: content.flags | (self.pvFlags & PVCLOCK_TSC_STABLE_BIT) };
    self.xenPageVersion.set(which, writeUnderVersion(place, before, content, ctx, traced));
  };

const gpaOf = (ctx: Ctx): bigint =>
  inputOf(ctx, 'KVM_XEN_SET_VCPU_INFO', 'KVM_XEN_SET_VCPU_TIME_INFO').gpa;

const place =
  (which: number, offset: bigint): VcpuRecipe =>
  (self, ctx) => {
    const gpa = gpaOf(ctx) + offset;
    // Another page is other memory; a fresh one reads 0.
    if (gpa !== self.xenPageGpa.get(which)) {
      self.xenPageGpa.set(which, gpa);
      self.xenPageVersion.set(which, 0);
      self.xenPageTscTimestamp.set(which, 0n);
      self.xenPageSystemTime.set(which, 0n);
      self.xenPageMul.set(which, 0);
      self.xenPageShift.set(which, 0);
      self.xenPageFlags.set(which, 0);
    }
    raise(self, 'CLOCK_UPDATE', ctx);
  };

/** Whether KVM_XEN_SET_SHARED_INFO places a page; else it takes the page away. */
export const placesSharedInfo = (ctx: Ctx): boolean =>
  inputOf(ctx, 'KVM_XEN_SET_SHARED_INFO').gpa !== U64_MAX;

/** Whether a change of the flags changes what pages say, which are then written anew. */
export const changesXenTscUnstable = (ctx: Ctx): boolean => {
  const { flags } = inputOf(ctx, 'KVM_XEN_HVM_CONFIG');
  return (
    ctx.switches.xenTscUnstableFlag && ((flags ^ ctx.vm.xenFlags) & PVCLOCK_TSC_UNSTABLE) !== 0
  );
};

export const xenGuards = {
  placesXenPage: (_self, ctx) => gpaOf(ctx) !== U64_MAX,
} satisfies Record<string, VcpuGuard>;

export const xenRecipes = {
  placeVcpuInfo: place(VCPU_INFO, TIME_IN_VCPU_INFO),
  placeVcpuTimeInfo: place(VCPU_TIME_INFO, 0n),
  writeVcpuInfo: writePage(VCPU_INFO),
  writeVcpuTimeInfo: writePage(VCPU_TIME_INFO),
} satisfies Record<string, VcpuRecipe>;

export const xenVmRecipes = {
  storeXenFlags: (self, ctx) => {
    const { flags, msr } = inputOf(ctx, 'KVM_XEN_HVM_CONFIG');
    self.xenFlags = flags;
    self.xenMsr = msr ?? 0;
  },
  storeXenLongMode: (self, ctx) => {
    self.xenLongMode = inputOf(ctx, 'KVM_XEN_SET_LONG_MODE').longMode;
  },
} satisfies Record<string, VmRecipe>;
