/** The 21 patches of “Cleaning up the KVM clock mess”, RFC v3: a row each. */
import type { ProfileId, Switches, SwitchName } from '../../profiles/index.ts';
import { clockGuest, tscScale } from './guest-page.ts';
import type { History } from './history.ts';
import { catchUp, constantTsc, getClock, host32Bit, scaledHz } from './scaling.ts';
import { stealAccounting } from './steal.ts';
import { offsets, syncRecord, syncStore, useMasterclock } from './sync.ts';
import { correction, offsetOfWrite, pageLayout, timeScaleWords } from './unchanged.ts';
import { periodicSync, sharedInfo, systemTimeMsr, vcpuLoad } from './updates.ts';
import { runstate } from './xen.ts';

/** One patch. */
export interface Patch {
  /** In RFC v3. */
  readonly number: number;
  readonly subject: string;
  /** What became of it. */
  readonly status: string;
  /** The switches that it sets as its series has them; none where it changes no behaviour of KVM. */
  readonly switches: readonly SwitchName[];
  /** Those of series v6, where what it has in the patch's place sets others. */
  readonly inV6?: readonly SwitchName[];
  /** What they are without it, where that is not what the kernel at hand has. */
  readonly without?: Partial<Switches>;
  /** The first kernel with it, where it was merged; its form may be another than a posting's. */
  readonly merged?: ProfileId;
  /** Patches of the series that it needs to show. */
  readonly needs?: readonly number[];
  /** What is seen, in a sentence. */
  readonly shows: string;
  readonly history: History;
}

const OPEN = 'not merged';

/** All, in their order. */
export const PATCHES: readonly Patch[] = [
  {
    number: 1,
    subject: 'KVM: x86/xen: Do not corrupt KVM clock in kvm_xen_shared_info_init()',
    status: 'merged in v7.3 as 633d7652f80f',
    merged: 'v7.3',
    switches: ['mclkUpdateOnXenSharedInfo'],
    shows: 'placing shared_info takes no new reference: the guest’s clock stays',
    history: sharedInfo,
  },
  {
    number: 2,
    subject: 'KVM: x86: Improve accuracy of KVM clock when TSC scaling is in force',
    status: 'not merged; since v4 with 64 bits for the frequency',
    switches: ['pvScaleUnit'],
    shows: 'the page’s multiplier is made of Hz: 2,499,999,999 instead of 2,499,999,000',
    history: scaledHz,
  },
  {
    number: 3,
    subject: 'KVM: x86: Add KVM_[GS]ET_CLOCK_GUEST for accurate KVM clock migration',
    status: OPEN,
    switches: ['clockGuestIoctls'],
    needs: [2],
    shows: 'a clock goes to another VM as a function of the guest’s TSC, to the nanosecond',
    history: clockGuest,
  },
  {
    number: 4,
    subject: 'UAPI: x86: Move pvclock-abi to UAPI for x86 platforms',
    status: OPEN,
    switches: [],
    shows: 'nothing changes: a header moves, the page has the same bytes',
    history: pageLayout,
  },
  {
    number: 5,
    subject: 'KVM: selftests: Add KVM/PV clock selftest to prove timer correction',
    status: OPEN,
    switches: [],
    shows: 'nothing changes: a selftest; what it corrects without its ioctls is seen',
    history: correction,
  },
  {
    number: 6,
    subject: 'KVM: x86: Explicitly disable TSC scaling without CONSTANT_TSC',
    status: OPEN,
    switches: ['scalingNeedsConstantTsc'],
    shows: 'KVM_SET_TSC_KHZ is refused where the host’s TSC changes its frequency',
    history: constantTsc,
  },
  {
    number: 7,
    subject: 'KVM: x86: Add KVM_VCPU_TSC_SCALE and fix the documentation on TSC migration',
    status: OPEN,
    switches: ['tscScaleAttr'],
    shows: 'with the ratio a VMM can compute the offset of a scaled TSC; the old formula cannot',
    history: tscScale,
  },
  {
    number: 8,
    subject: 'KVM: x86: Avoid NTP frequency skew for KVM clock on 32-bit host',
    status: OPEN,
    switches: ['otherBase'],
    without: { otherBase: 'boottime' },
    shows: 'a 32-bit host’s kvmclock does not follow NTP',
    history: host32Bit,
  },
  {
    number: 9,
    subject: 'KVM: x86: Fix KVM clock precision in __get_kvmclock()',
    status: 'not merged; patches 11 to 14 of v6',
    switches: ['getClock', 'wallClock'],
    needs: [2],
    shows: 'KVM_GET_CLOCK and the wall clock go the guest’s way, by its TSC',
    history: getClock,
  },
  {
    number: 10,
    subject: 'KVM: x86: Fix software TSC upscaling in kvm_update_guest_time()',
    status: 'not merged; patches 15 and 16 of v6',
    switches: ['catchupFormula', 'mclkRequestOnTrack'],
    inV6: ['catchupFormula'],
    shows: 'a TSC that software catches up with is right now, not at an old reference',
    history: catchUp,
  },
  {
    number: 11,
    subject: 'KVM: x86: Simplify and comment kvm_get_time_scale()',
    status: OPEN,
    switches: [],
    shows: 'nothing changes: the same multipliers and shifts',
    history: timeScaleWords,
  },
  {
    number: 12,
    subject: 'KVM: x86: Remove implicit rdtsc() from kvm_compute_l1_tsc_offset()',
    status: OPEN,
    switches: [],
    shows: 'nothing changes: the same offset of a TSC that is written',
    history: offsetOfWrite,
  },
  {
    number: 13,
    subject: 'KVM: x86: Improve synchronization in kvm_synchronize_tsc()',
    status: 'not merged; v6 slides what is remembered (patch 19)',
    switches: ['syncRecord'],
    shows: 'a 0 that joined is not remembered as the TSC’s value: the right one joins after it',
    history: syncRecord,
  },
  {
    number: 14,
    subject: 'KVM: x86: Kill cur_tsc_{nsec,offset,write} fields',
    status: 'not merged; v6 keeps these and kills last_tsc_* (patch 20)',
    switches: ['syncStore'],
    inV6: ['syncStore', 'backwardsTscRecord'],
    needs: [13],
    shows:
      'after a TSC that went backwards a new vCPU’s generation starts at 0; in v6 its TSC is right',
    history: syncStore,
  },
  {
    number: 15,
    subject: 'KVM: x86: Allow KVM master clock mode when TSCs are offset from each other',
    status: 'not merged; v6 clears STABLE then (patches 21 and 22)',
    switches: ['mclkCriterion', 'syncOnSetTscKhz'],
    inV6: ['mclkCriterion', 'syncOnSetTscKhz', 'stableBit', 'mclkRequestOnTrack'],
    shows: 'TSCs that are apart keep the masterclock; a different frequency does not',
    history: offsets,
  },
  {
    number: 16,
    subject: 'KVM: x86: Factor out kvm_use_master_clock()',
    status: 'not merged; patch 24 of v6',
    switches: ['mclkRequestChecksAll'],
    shows: 'a guest on the old MSR no longer has references asked for that cannot be',
    history: useMasterclock,
  },
  {
    number: 17,
    subject: 'KVM: x86: Avoid global clock update on setting KVM clock MSR',
    status: 'not merged; patch 25 of v6',
    switches: ['globalUpdateOnSystemTimeMsr'],
    shows: 'a vCPU that registers its page leaves the others’ pages alone',
    history: systemTimeMsr,
  },
  {
    number: 18,
    subject: 'KVM: x86: Avoid gratuitous global clock reload in kvm_arch_vcpu_load()',
    status: 'not merged; patch 25 of v6',
    switches: ['globalUpdateOnLoad'],
    shows: 'a vCPU’s first load leaves the others’ pages alone',
    history: vcpuLoad,
  },
  {
    number: 19,
    subject: 'KVM: x86: Avoid periodic KVM clock updates in master clock mode',
    status: 'obsolete: 43ddbf16edf5 (v6.19) removed the work',
    switches: ['periodicSync'],
    shows: 'the 300 s update of all pages; as posted it ends where there is no masterclock',
    history: periodicSync,
  },
  {
    number: 20,
    subject: 'KVM: x86/xen: Prevent runstate times from becoming negative',
    status: 'merged in v7.3 as 36a85200643e, in the form of v6',
    merged: 'v7.3',
    switches: ['xenRunstateClamp'],
    shows: 'a clock that was set back adds no 584 years to a runstate',
    history: runstate,
  },
  {
    number: 21,
    subject: 'sched/cputime: Cope with steal time going backwards or negative',
    status: 'not merged, dropped from the series',
    switches: [],
    shows: 'a guest whose steal clock went back does not take all its time for stolen',
    history: stealAccounting,
  },
];

/** The postings whose switches a patch can set. */
export const SERIES = ['rfc-v3', 'series-v6'] as const;
export type Series = (typeof SERIES)[number];

/** The switches that a patch sets, or what a series has in its place. */
export const switchesOf = ({ switches, inV6 }: Patch, series: Series): readonly SwitchName[] =>
  series === 'series-v6' ? (inV6 ?? switches) : switches;

/** The patch of that number, of which there is one. */
export function patchOf(number: number): Patch {
  const found = PATCHES[number - 1];
  if (found === undefined) throw new RangeError(`expected a patch, 1 to 21, found ${number}`);
  return found;
}
