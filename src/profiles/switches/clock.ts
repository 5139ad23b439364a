/** Switches of the VM's clock: what it is counted from, how userspace reads and sets it. */
import { choice, flag } from '../declare.ts';
import { around, by, posted, shownBy } from '../source.ts';

export const CLOCK_SWITCHES = {
  masterBase: choice(
    ['boottime', 'raw'],
    'The host clock behind master_kernel_ns. boottime: CLOCK_MONOTONIC as NTP steers it, plus offs_boot; raw: CLOCK_MONOTONIC_RAW plus offs_boot.',
    { raw: by('53fafdbb8b21') },
  ),
  otherBase: choice(
    ['boottime', 'raw'],
    'The host clock everywhere else: without the masterclock, the time of a TSC write, KVM_GET_CLOCK and KVM_SET_CLOCK without a masterclock.',
    { raw: by('8171cd68806b') },
  ),
  kvmclockOffsetInit: choice(
    ['zero', 'minus-base', 'minus-snapshot'],
    'kvmclock_offset of a new VM. zero: the guest sees host time since boot; minus-base: the clock starts at 0 by the host clock that serves everywhere else; minus-snapshot: by the one behind the masterclock, read together with the TSC.',
    { 'minus-base': around('v4.9'), 'minus-snapshot': posted('series-v6', 36) },
  ),
  countsFromZero: flag(
    'vCPU 0 writing SYSTEM_TIME starts the clock again at 0 (PVCLOCK_COUNTS_FROM_ZERO).',
    { true: by('b7e60c5aedd2') },
  ),
  getClock: choice(
    ['base', 'host-scale', 'guest-scale'],
    'How KVM_GET_CLOCK computes. base: host clock plus offset; host-scale: from the masterclock reference by the host’s frequency; guest-scale: through the guest’s scaled TSC, as the guest reads it.',
    { 'host-scale': by('108b249c453d'), 'guest-scale': posted('rfc-v3', 9) },
  ),
  getClockRealtime: flag(
    'KVM_GET_CLOCK returns realtime and host_tsc of the same instant, and its flags say so.',
    { true: by('c68dc1b577ea') },
  ),
  setClockOrder: choice(
    ['base-then-update', 'now-then-update', 'update-then-now', 'update-then-reference'],
    'What KVM_SET_CLOCK measures the offset against, and when it renews the masterclock. base: the host clock; now: KVM_GET_CLOCK’s formula; reference: master_kernel_ns itself.',
    {
      'now-then-update': by('108b249c453d'),
      'update-then-now': by('0bc48bea36d1'),
      'update-then-reference': by('77fcbe823f00'),
    },
  ),
  setClockFlags: choice(
    [0, 14],
    'Flags that KVM_SET_CLOCK accepts, as a mask: TSC_STABLE 2, REALTIME 4, HOST_TSC 8. Any other bit is EINVAL.',
    { 14: by('c68dc1b577ea') },
  ),
  wallClock: choice(
    ['boottime', 'real-minus-kvmclock', 'single-tsc', 'guest-scale'],
    'The epoch written for WALL_CLOCK. boottime: the host’s boot time minus kvmclock_offset; real-minus-kvmclock: CLOCK_REALTIME minus KVM_GET_CLOCK’s formula, two readings; single-tsc: both from one TSC reading; guest-scale: the same through the guest’s scaled TSC.',
    {
      'real-minus-kvmclock': by('8171cd68806b'),
      'single-tsc': by('5d6d6a7d7e66'),
      'guest-scale': posted('rfc-v3', 9),
    },
  ),
  clockGuestIoctls: choice(
    ['none', 'rfc-v3', 'v6', 'after-v6'],
    'KVM_GET_CLOCK_GUEST and KVM_SET_CLOCK_GUEST. rfc-v3 refuses a zero multiplier and returns the page as it was computed last; v6 refuses also padding, a shift beyond 31 and a page from the future, and returns one by the reference there is; after-v6: without masterclock the former returns ENODATA, not EINVAL.',
    {
      'rfc-v3': posted('rfc-v3', 3),
      v6: posted('series-v6', 5),
      'after-v6': shownBy(
        'sean-jc/linux',
        'feb542ce91f5',
        'tools/testing/selftests/kvm/x86/pvclock_test.c',
      ),
    },
  ),
  clockPairing: choice(
    ['none', 'any', 'not-catching-up'],
    'KVM_HC_CLOCK_PAIRING. none: no such hypercall; any: of every vCPU, if the host’s clock is the TSC; not-catching-up: of none whose TSC is pushed forward at each exit.',
    { any: around('v4.11'), 'not-catching-up': by('3a55f729240a') },
  ),
  suspendStopsGuests: flag(
    'The host’s suspend notifier sets GUEST_STOPPED on every vCPU with a kvmclock page.',
    { true: by('7d62874f69d7') },
  ),
} as const;
