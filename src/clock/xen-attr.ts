/**
 * What KVM_XEN_VCPU_GET_ATTR returns.
 *
 * Source: `kvm_xen_vcpu_get_attr()`, arch/x86/kvm/xen.c.
 */
import { ERRNO } from '../../events/index.ts';
import { U64_MAX } from '../num/index.ts';
import { type Ctx, inputOf, type VcpuRecipe } from './context.ts';
import type { VcpuState } from './vcpu-state.ts';

type Vcpu = Readonly<VcpuState>;

/** KVM_XEN_VCPU_ATTR_TYPE_…, those that have to do with clocks. */
const ATTR = {
  vcpuInfo: 0,
  vcpuTimeInfo: 1,
  runstateAddr: 2,
  runstateCurrent: 3,
  runstateData: 4,
  runstateAdjust: 5,
  timer: 7,
} as const;

/** Where the pvclock page lies in vcpu_info. */
const TIME_IN_VCPU_INFO = 32n;

const RUNSTATES = ['running', 'runnable', 'blocked', 'offline'] as const;

const stateOf = (vcpu: Vcpu): bigint => BigInt(RUNSTATES.indexOf(vcpu.runstate));

/** What each attribute reads as. */
const READERS: ReadonlyMap<number, (vcpu: Vcpu) => object> = new Map<
  number,
  (vcpu: Vcpu) => object
>([
  [
    ATTR.vcpuInfo,
    (v) => ({ gpa: v.xenVcpuInfo === 'on' ? v.xenPageGpa.get(0) - TIME_IN_VCPU_INFO : U64_MAX }),
  ],
  [ATTR.vcpuTimeInfo, (v) => ({ gpa: v.xenVcpuTimeInfo === 'on' ? v.xenPageGpa.get(1) : U64_MAX })],
  [ATTR.runstateAddr, (v) => ({ gpa: v.runstateGpa })],
  [ATTR.runstateCurrent, (v) => ({ state: stateOf(v) })],
  [
    ATTR.runstateData,
    (v) => ({
      state: stateOf(v),
      entryTimeNs: v.runstateEntryNs,
      runningNs: v.runstateNs.get(0),
      runnableNs: v.runstateNs.get(1),
      blockedNs: v.runstateNs.get(2),
      offlineNs: v.runstateNs.get(3),
    }),
  ],
  [ATTR.timer, (v) => ({ port: v.xenTimerPort, expiresNs: v.xenTimerExpiresNs })],
]);

/** What KVM answers instead of reading an attribute: its errno; 0 where it reads it. */
export function xenAttrErrno(ctx: Ctx): number {
  const { attr } = inputOf(ctx, 'KVM_XEN_VCPU_GET_ATTR');
  const { switches, vcpu } = ctx;
  const isOfRunstate = attr >= ATTR.runstateAddr && attr <= ATTR.runstateAdjust;
  if (isOfRunstate && !switches.xenRunstate) return ERRNO.ENOENT;
  if (attr === ATTR.runstateAdjust) return ERRNO.EINVAL;
  if (attr === ATTR.timer) return switches.xenTimer === 'none' ? ERRNO.ENOENT : 0;
  if (attr === ATTR.runstateAddr && !vcpu.hasRunstateArea) return ERRNO.ENOENT;
  return READERS.has(attr) ? 0 : ERRNO.ENOENT;
}

export const xenAttrRecipes = {
  readXenAttr: (self, ctx) => {
    const { attr } = inputOf(ctx, 'KVM_XEN_VCPU_GET_ATTR');
    ctx.out.emit({
      type: 'xen_attr',
      vcpu: self.vcpuId,
      attr,
      ...READERS.get(attr)?.(self),
      vm: ctx.vmId,
    });
  },
} satisfies Record<string, VcpuRecipe>;
