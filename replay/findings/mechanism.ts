/**
 * The ways in which KVM is known to move a guest's clock.
 *
 * A kernel's release only suggests a mechanism (distributions backport), so a finding names one when
 * the numbers fit it. What is said of a release holds for Linus's tree; stable trees may have a fix
 * earlier.
 */
export interface Mechanism {
  /** What happens, in one sentence. */
  readonly what: string;
  /** What to do, or which kernel does not have it. */
  readonly remedy: string;
}

export const MECHANISMS = {
  'raw-residue': {
    what: 'a masterclock update takes its reference from the host’s clock, whose multiplier is rounded differently from the page’s',
    remedy:
      'Every kernel up to v7.3 has this: from v5.5 on (53fafdbb8b21) with MONOTONIC_RAW, before with a clock that NTP steers beside it. With c52ffadc65e2 (not in 6.1, in 6.12) a hot-added vCPU whose TSC matches takes no new reference, so it shows less often.',
  },
  'base-rate': {
    what: 'the clock behind the masterclock ran at another rate than the page since the last reference',
    remedy:
      'A rate that varies is NTP steering: v5.5 (53fafdbb8b21) took the base off the steered clock. A constant rate is a page computed from another kHz than the host’s tsc_khz.',
  },
  suspend: {
    what: 'the host slept: the TSC that the page extrapolates and the boot-time base counted the sleep differently',
    remedy:
      'Set the clock after resume (KVM_SET_CLOCK), or keep guests stopped over a host suspend.',
  },
  'set-clock': {
    what: 'userspace set the clock (KVM_SET_CLOCK)',
    remedy: 'That is the VMM’s doing: compare the value it sets with the one it saved.',
  },
  'counts-from-zero': {
    what: 'vCPU 0 told KVM where its page is, and KVM started the VM’s clock again',
    remedy: 'Only v4.2 does so; v4.3 leaves the counting to guests.',
  },
  'unseen-set': {
    what: 'the VM’s clock was moved by something that the recording does not show',
    remedy:
      'Record the ioctls too (-e syscalls:sys_enter_ioctl -e syscalls:sys_exit_ioctl): KVM_SET_CLOCK has no event of its own.',
  },
  'negative-time': {
    what: 'setting the clock left a negative system_time, which reads as up to 584 years until it wraps',
    remedy:
      'KVM_SET_CLOCK does so no more from v5.12 on (77fcbe823f00); KVM_SET_CLOCK_GUEST of RFC v3 does with a page that its guest’s TSC has not reached.',
  },
  'guest-tsc-write': {
    what: 'the guest wrote its TSC and KVM did not refresh the page',
    remedy:
      'A write of TSC_ADJUST refreshes it from v5.15 on (d9130a2dfdd4, also in 5.10.65 and later of that line); a write of IA32_TSC does in no release up to v7.3.',
  },
  'tsc-write': {
    what: 'the VMM moved the vCPU’s TSC and the page was not refreshed',
    remedy: 'Restore TSCs before guests run, with equal offsets on all vCPUs.',
  },
  refreshed: {
    what: 'the page was refreshed at last and takes back what an earlier TSC write had moved',
    remedy: 'See the TSC write before it.',
  },
  'masterclock-switch': {
    what: 'the VM went from one shared reference to a reference per vCPU, or back',
    remedy:
      'Find out why the masterclock was lost or came back (rules masterclock-lost, -regained).',
  },
  'own-reference': {
    what: 'without the masterclock each clock update takes a reference of its own',
    remedy: 'Expected while the masterclock is off; find out why it is.',
  },
} as const satisfies Record<string, Mechanism>;

export type MechanismId = keyof typeof MECHANISMS;
