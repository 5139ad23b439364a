/**
 * The kernel commits that the switches speak of: one row a commit, so that a hash, a release and
 * whether somebody checked them are said once.
 *
 * `verified` means that hash, subject and first release were all found in public material; `checked`
 * says where, or what is missing. Hash and subject come from the lists of pushed commits that
 * kernel.org mails out, or from mails that quote both; a release comes from the pull request whose
 * short log has the subject. What is not verified is a label to search by, not a fact to print.
 */
import type { Release } from './release.ts';

/** One commit of Linus's tree. */
export interface Commit {
  readonly subject: string;
  /** The first release that has it. */
  readonly release: Release;
  readonly verified: boolean;
  /** Where hash, subject and release were found, or what is missing. */
  readonly checked: string;
}

const found = (subject: string, release: Release, checked: string): Commit =>
  Object.freeze({ subject, release, verified: true, checked });

const label = (subject: string, release: Release, checked: string): Commit =>
  Object.freeze({ subject, release, verified: false, checked });

const PULL_5_5 = 'pull request “KVM changes for Linux 5.5 merge window”';
const PULL_5_6 = 'pull request “Second batch of KVM changes for 5.6 merge window”';
const PULL_5_14 = 'pull request “KVM changes for Linux 5.14”';
const PULL_5_16 = 'pull request “First batch of KVM changes for Linux 5.16”';
const PULL_5_19 =
  'pull request “KVM changes for Linux 5.19 merge window”; a pull request for 5.18 with it was not merged';
const TAG_6_7 = 'tag kvm-x86-misc-6.7';
const TAG_6_15 = 'tag kvm-x86-pvclock-6.15';
const PULL_6_15 = 'pull request “First batch of KVM changes for Linux 6.15”';
const TAG_6_19 = 'tag kvm-x86-misc-6.19';
const IN_7_3 = 'list of commits pushed during 7.2-rc; in the tree of 7.3.4, not in that of 7.2.13';

export const COMMITS = Object.freeze({
  b7e60c5aedd2: label('re-base of kvmclock_offset by vCPU 0', 'v4.2', 'hash and subject not found'),
  '78db6a503796': label(
    'KVM: x86: rewrite handling of scaled TSC for kvmclock',
    'v4.6',
    'release not found',
  ),
  ce7a058a2117: label(
    'KVM: x86: support using the vmx preemption timer for tsc deadline timer',
    'v4.8',
    'release not found; committed to KVM’s tree on 2016-06-16; a mail on these timers’ history quotes hash and subject',
  ),
  '108b249c453d': label(
    'KVM: x86: introduce get_kvmclock_ns',
    'v4.9',
    'release not found; annotated source has the hash at get_kvmclock_ns, 2016-09-01',
  ),
  '095cf55df7ff': label('Hyper-V reference TSC page', 'v4.9', 'hash and subject not found'),
  '0bc48bea36d1': label(
    'KVM: x86: update master clock before computing kvmclock_offset',
    'v4.13',
    'release not found; written 2017-05-16',
  ),
  c5ce8235cffa: label(
    'KVM: VMX: Optimize tscdeadline timer latency',
    'v4.18',
    'release not found; written 2018-05-29; its fix (ee66e453db13) and a mail on these timers’ history quote hash and subject',
  ),
  b0c39dc68e3b: label(
    'x86/kvm: Pass stable clocksource to guests when running nested on Hyper-V',
    'v4.16',
    'release not found, between the trees of 4.9 and 4.19; mails of 2026 quote hash and subject',
  ),
  '53fafdbb8b21': found('KVM: x86: switch KVMCLOCK base to monotonic raw clock', 'v5.5', PULL_5_5),
  '8171cd68806b': found('KVM: x86: use raw clock values consistently', 'v5.6', PULL_5_6),
  ee6fa0530194: found(
    'KVM: x86: fix MSR_IA32_TSC read for nested migration',
    'v5.9',
    'list of commits pushed during 5.9-rc; short log of the mail “Linux 5.9-rc7”',
  ),
  '0c899c25d754': found(
    'KVM: x86: do not attempt TSC synchronization on guest writes',
    'v5.10',
    'pull request “KVM changes for Linux 5.10”',
  ),
  a76b9641ad1c: found(
    'KVM: x86/xen: add KVM_XEN_HVM_SET_ATTR/KVM_XEN_HVM_GET_ATTR',
    'v5.12',
    'list of commits pushed on 2021-02-04, with 629b5348841a and those of the vCPU’s attributes',
  ),
  '629b5348841a': found(
    'KVM: x86/xen: update wallclock region',
    'v5.12',
    'posted for the last time on 2021-02-03, and fixed up in the pull request for 5.12-rc6',
  ),
  '30b5c851af79': found(
    'KVM: x86/xen: Add support for vCPU runstate information',
    'v5.12',
    'list of commits pushed in March 2021, with other fixes for 5.12',
  ),
  cc9cfddb0433: found(
    'KVM: x86: hyper-v: Track Hyper-V TSC page status',
    'v5.12',
    'pull request “KVM changes for Linux 5.12-rc4”',
  ),
  '77fcbe823f00': found(
    "KVM: x86: Prevent 'hv_clock->system_time' from going negative in kvm_guest_time_update()",
    'v5.12',
    'pull request “KVM changes for Linux 5.12-rc6”',
  ),
  '7d62874f69d7': found('kvm: x86: implement KVM PM-notifier', 'v5.14', PULL_5_14),
  '1ab9287add5e': found(
    'KVM: X86: Add vendor callbacks for writing the TSC multiplier',
    'v5.14',
    'lists of pushed commits have it before d041b5ea9335, of whose series it is',
  ),
  d041b5ea9335: found('KVM: nVMX: Enable nested TSC scaling', 'v5.14', PULL_5_14),
  d9130a2dfdd4: found(
    "KVM: x86: Update vCPU's hv_clock before back to guest when tsc_offset is adjusted",
    'v5.15',
    'pushed for Linus on 2021-09-06, in the merge window of 5.15; stable mails quote hash and subject',
  ),
  '06692e4b8055': found(
    'KVM: VMX: Move RESET emulation to vmx_vcpu_reset()',
    'v5.16',
    'list of commits pushed in October 2021; pull request “First batch of KVM changes for Linux 5.16”',
  ),
  c68dc1b577ea: found(
    'KVM: x86: Report host tsc and realtime values in KVM_GET_CLOCK',
    'v5.16',
    PULL_5_16,
  ),
  '828ca89628bf': found('KVM: x86: Expose TSC offset controls to userspace', 'v5.16', PULL_5_16),
  '5228eb96a487': found('KVM: x86: nSVM: implement nested TSC scaling', 'v5.16', PULL_5_16),
  '3a55f729240a': found(
    'kvm: x86: Disable KVM_HC_CLOCK_PAIRING if tsc is in always catchup mode',
    'v5.17',
    'pull request “KVM changes for 5.17-rc6”; stable mails quote hash and subject',
  ),
  '42dcbe7d8bac': found(
    'KVM: x86: hyper-v: Avoid writing to TSC page without an active vCPU',
    'v5.18',
    'head of kvm.git’s fixes on 2022-04-08, in the release candidates of 5.18; stable mails quote hash and subject',
  ),
  '54aa83c90198': found(
    'KVM: x86: do not set st->preempted when going back to user space',
    'v5.19',
    'list of commits pushed with the fixes for 5.19; stable mails quote hash and subject',
  ),
  '916d3608df82': found('KVM: x86: Use gfn_to_pfn_cache for pv_time', 'v5.19', PULL_5_19),
  ffbb61d09fc5: found('KVM: x86: Accept KVM_[GS]ET_TSC_KHZ as a VM ioctl.', 'v5.19', PULL_5_19),
  '741e511b4208': found(
    'KVM: x86: Don\'t snapshot "max" TSC if host TSC is constant',
    'v5.19',
    'list of commits pushed for 5.19, next to ffbb61d09fc5',
  ),
  '536395260582': found('KVM: x86/xen: handle PV timers oneshot mode', 'v5.19', PULL_5_19),
  '3ebcbd2244f5': found(
    'KVM: x86: Use current rather than snapshotted TSC frequency if it is constant',
    'v6.2',
    'tag kvm-x86-fixes-6.2-1, “fixes and cleanups for 6.2”',
  ),
  f422f853af03: found(
    'KVM: x86/xen: update Xen CPUID Leaf 4 (tsc info) sub-leaves, if present',
    'v6.3',
    'tag kvm-x86-misc-6.3',
  ),
  '409f2e92a27a': found(
    'KVM: x86/xen: ignore the VCPU_SSHOTTMR_future flag',
    'v6.7',
    'list of commits pushed with those of tag kvm-x86-misc-6.7',
  ),
  d6800af51c76: found(
    "KVM: x86: hyper-v: Don't auto-enable stimer on write from user-space",
    'v6.7',
    'list of commits of linux-next in October 2023; short log of the pull request for 6.7',
  ),
  bf328e22e472: found(
    "KVM: x86: Don't sync user-written TSC against startup values",
    'v6.7',
    TAG_6_7,
  ),
  '5d6d6a7d7e66': found(
    'KVM: x86: Refine calculation of guest wall clock to use a single TSC read',
    'v6.7',
    TAG_6_7,
  ),
  c52ffadc65e2: found(
    "KVM: x86: Don't unnecessarily force masterclock update on vCPU hotplug",
    'v6.8',
    'tag kvm-x86-misc-6.8',
  ),
  '6d7228352609': found(
    'KVM x86/xen: add an override for PVCLOCK_TSC_STABLE_BIT',
    'v6.8',
    'tag kvm-x86-xen-6.8',
  ),
  '451a707813ae': found(
    'KVM: x86/xen: improve accuracy of Xen timers',
    'v6.9',
    'tag kvm-x86-xen-6.9',
  ),
  ca28aa63918b: found(
    "KVM: x86/xen: Use guest's copy of pvclock when starting timer",
    'v6.15',
    TAG_6_15,
  ),
  '93fb0b10e712': found(
    'KVM: x86: Set PVCLOCK_GUEST_STOPPED only for kvmclock, not for Xen PV clock',
    'v6.15',
    TAG_6_15,
  ),
  '847d68abf10c': found(
    'KVM: x86: Setup Hyper-V TSC page before Xen PV clocks (during clock update)',
    'v6.15',
    TAG_6_15,
  ),
  '1b3c38050b5c': found(
    'KVM: x86: Override TSC_STABLE flag for Xen PV clocks in kvm_guest_time_update()',
    'v6.15',
    TAG_6_15,
  ),
  a2b00f85d783: found(
    'KVM: x86: Update Xen TSC leaves during CPUID emulation',
    'v6.15',
    'tag kvm-x86-xen-6.15',
  ),
  ed09b50b5411: found(
    "KVM: x86: Don't load/put vCPU when unloading its MMU during teardown",
    'v6.15',
    PULL_6_15,
  ),
  '5f3b30b2b0d9': found('KVM: x86: Push down setting vcpu.arch.user_set_tsc', 'v6.15', PULL_6_15),
  adafea110600: found('KVM: x86: Add infrastructure for secure TSC', 'v6.15', PULL_6_15),
  '4578a747f3c7': found(
    'KVM: x86: avoid underflow when scaling TSC frequency',
    'v6.16',
    'pushed for Linus on 2025-07-09 and pulled between 6.16-rc5 and -rc6',
  ),
  b24bbb534c2d: found(
    'KVM: x86: Reject KVM_SET_TSC_KHZ vCPU ioctl for TSC protected guest',
    'v6.16',
    'tag pushed for Linus on 2025-07-17, before 6.16; its pull request begins at 4578a747f3c7',
  ),
  dcbe5a466c12: found(
    'KVM: x86: Reject KVM_SET_TSC_KHZ VM ioctl when vCPUs have been created',
    'v6.17',
    'tag kvm-x86-misc-6.17',
  ),
  '43ddbf16edf5': found(
    'Revert "x86: kvm: introduce periodic global clock updates"',
    'v6.19',
    TAG_6_19,
  ),
  '446fcce2a52b': found('Revert "x86: kvm: rate-limit global clock updates"', 'v6.19', TAG_6_19),
  '7e79f71bca5c': found(
    'KVM: nSVM: Add missing consistency check for EVENTINJ',
    'v7.1',
    'list of commits pushed with tag kvm-x86-nested-7.1',
  ),
  '8fe2e698fce4': found(
    'KVM: x86: Rate-limit global clock updates on vCPU load',
    'v7.1',
    'merge “KVM x86 fixes for 7.1-rcN”',
  ),
  '633d7652f80f': found(
    'KVM: x86/xen: Do not corrupt KVM clock in kvm_xen_shared_info_init()',
    'v7.3',
    IN_7_3,
  ),
  '36a85200643e': found(
    'KVM: x86/xen: Prevent runstate times from becoming negative',
    'v7.3',
    IN_7_3,
  ),
  '7d3bd21e457b': found('KVM: x86: Remove runtime Xen TSC frequency CPUID update', 'v7.3', IN_7_3),
} as const satisfies Readonly<Record<string, Commit>>);

/** A commit that the table has, by its first twelve digits. */
export type CommitId = keyof typeof COMMITS;
