/**
 * The kernel commits that the switches speak of: one row a commit, so that a hash, a release and
 * whether somebody checked them are said once.
 *
 * `verified` means that hash, subject and first release were all found in public material (the
 * subject as the hash's own in a git log, the release by the pull request or tag that carried it);
 * `checked` says where. What is not verified is a label to search by, not a fact to print.
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

const NOT_YET = 'from memory';

export const COMMITS = {
  b7e60c5aedd2: {
    subject: 'KVM: x86: zero kvmclock_offset when vcpu0 initializes kvmclock system MSR',
    release: 'v4.2',
    verified: false,
    checked: NOT_YET,
  },
  '108b249c453d': {
    subject: 'KVM: x86: introduce get_kvmclock_ns',
    release: 'v4.9',
    verified: false,
    checked: NOT_YET,
  },
  '095cf55df7ff': {
    subject: 'KVM: x86: Hyper-V tsc page setup',
    release: 'v4.9',
    verified: false,
    checked: NOT_YET,
  },
  '0bc48bea36d1': {
    subject: 'KVM: x86: update master clock before computing kvmclock_offset',
    release: 'v4.13',
    verified: false,
    checked: NOT_YET,
  },
  '53fafdbb8b21': {
    subject: 'KVM: x86: switch KVMCLOCK base to monotonic raw clock',
    release: 'v5.5',
    verified: false,
    checked: NOT_YET,
  },
  '8171cd68806b': {
    subject: 'KVM: x86: use raw clock values consistently',
    release: 'v5.6',
    verified: false,
    checked: NOT_YET,
  },
  '917f9475c0a8': {
    subject: 'KVM: x86: reorganize pvclock_gtod_data members',
    release: 'v5.6',
    verified: false,
    checked: NOT_YET,
  },
  '0c899c25d754': {
    subject: 'KVM: x86: do not attempt TSC synchronization on guest writes',
    release: 'v5.8',
    verified: false,
    checked: NOT_YET,
  },
  '77fcbe823f00': {
    subject:
      "KVM: x86: Prevent 'hv_clock->system_time' from going negative in kvm_guest_time_update()",
    release: 'v5.12',
    verified: false,
    checked: NOT_YET,
  },
  d9130a2dfdd4: {
    subject: "KVM: x86: Update vCPU's hv_clock before back to guest when tsc_offset is adjusted",
    release: 'v5.15',
    verified: true,
    checked:
      'pushed to kvm.git next and for-linus on 2021-09-06, in the merge window of v5.15; stable reviews of 2021-09-13 and -20 carry hash and subject',
  },
  '869b44211adc': {
    subject: 'kvm: x86: protect masterclock with a seqcount',
    release: 'v5.16',
    verified: false,
    checked: NOT_YET,
  },
  c68dc1b577ea: {
    subject: 'KVM: x86: Report host tsc and realtime values in KVM_GET_CLOCK',
    release: 'v5.16',
    verified: false,
    checked: NOT_YET,
  },
  '828ca89628bf': {
    subject: 'KVM: x86: Expose TSC offset controls to userspace',
    release: 'v5.16',
    verified: false,
    checked: NOT_YET,
  },
  ffbb61d09fc5: {
    subject: 'KVM: x86: Accept KVM_[GS]ET_TSC_KHZ as a VM ioctl.',
    release: 'v5.18',
    verified: false,
    checked: NOT_YET,
  },
  '536395260582': {
    subject: 'KVM: x86/xen: handle PV timers oneshot mode',
    release: 'v5.19',
    verified: false,
    checked: NOT_YET,
  },
  '3ebcbd2244f5': {
    subject: 'KVM: x86: Use current rather than snapshotted TSC frequency if it is constant',
    release: 'v6.2',
    verified: false,
    checked: NOT_YET,
  },
  bf328e22e472: {
    subject: "KVM: x86: Don't sync user-written TSC against startup values",
    release: 'v6.7',
    verified: false,
    checked: NOT_YET,
  },
  '5d6d6a7d7e66': {
    subject: 'KVM: x86: Refine calculation of guest wall clock to use a single TSC read',
    release: 'v6.7',
    verified: false,
    checked: NOT_YET,
  },
  c52ffadc65e2: {
    subject: "KVM: x86: Don't unnecessarily force masterclock update on vCPU hotplug",
    release: 'v6.8',
    verified: false,
    checked: NOT_YET,
  },
  '451a707813ae': {
    subject: 'KVM: x86/xen: improve accuracy of Xen timers',
    release: 'v6.9',
    verified: false,
    checked: NOT_YET,
  },
  '43ddbf16edf5': {
    subject: 'KVM: x86: remove the 300 s clock synchronisation',
    release: 'v6.19',
    verified: false,
    checked: NOT_YET,
  },
  '446fcce2a52b': {
    subject: 'KVM: x86: remove the delayed clock update',
    release: 'v6.19',
    verified: false,
    checked: NOT_YET,
  },
  '8fe2e698fce4': {
    subject: 'KVM: x86: rate-limit global clock updates',
    release: 'v7.1',
    verified: false,
    checked: NOT_YET,
  },
  '633d7652f80f': {
    subject: 'KVM: x86/xen: no masterclock update for shared_info',
    release: 'v7.3',
    verified: false,
    checked: NOT_YET,
  },
  '36a85200643e': {
    subject: 'KVM: x86/xen: clamp runstate times',
    release: 'v7.3',
    verified: false,
    checked: NOT_YET,
  },
  '7d3bd21e457b': {
    subject: 'KVM: x86/xen: remove runtime Xen TSC frequency CPUID update',
    release: 'v7.3',
    verified: false,
    checked: NOT_YET,
  },
} as const satisfies Readonly<Record<string, Commit>>;

/** A commit that the table has, by its first twelve digits. */
export type CommitId = keyof typeof COMMITS;
