/** Switches of what is written for guests: pvclock pages, Hyper-V's page, Xen's clocks, nested entry. */
import { choice, flag } from '../declare.ts';
import { by, posted } from '../source.ts';

export const PAGE_SWITCHES = {
  pvScaleUnit: choice(
    ['user-khz', 'khz', 'khz-nonzero', 'hz-u32', 'hz'],
    'The guest frequency behind a page’s multiplier. user-khz: as asked for; khz: the scaled host frequency, cut to kHz; khz-nonzero: at least 1 kHz; hz-u32: in Hz, remembered modulo 2^32, so that above 4.29 GHz the multiplier is made anew each time; hz: in Hz.',
    {
      khz: by('78db6a503796'),
      'khz-nonzero': by('4578a747f3c7'),
      'hz-u32': posted('rfc-v3', 2),
      hz: posted('series-v6', 2),
    },
  ),
  pvPageWrite: choice(
    ['three-writes', 'or-one'],
    'How a page’s version moves. three-writes: version, page, version through guest memory; or-one: (version + 1) | 1 while writing, plus 1 when done.',
    { 'or-one': by('916d3608df82') },
  ),
  pvTraceVersionParity: choice(
    ['odd', 'even'],
    'Parity of the version that kvm_pvclock_update records: odd when traced before the page is complete.',
    { even: by('916d3608df82') },
  ),
  pvStoppedInCache: flag(
    'GUEST_STOPPED stays in the vCPU’s cached page, so Xen’s pages get it too; false: the kvmclock page alone.',
    { false: by('93fb0b10e712') },
  ),
  hvPage: choice(
    ['none', 'sequence', 'status'],
    'Hyper-V’s reference TSC page. none: zero-filled, never valid; sequence: rewritten at every stable update; status: by a state machine, rewritten on request.',
    { sequence: by('095cf55df7ff'), status: by('cc9cfddb0433') },
  ),
  hvPageFrom: choice(['vcpu0', 'any'], 'Whose clock update writes Hyper-V’s page.', {
    any: by('42dcbe7d8bac'),
  }),
  hvPageBeforeXen: flag('Hyper-V’s page is written before Xen’s pages; false: after them.', {
    true: by('847d68abf10c'),
  }),
  xenAttributes: flag(
    'The VMM can tell KVM where Xen’s pages are (KVM_XEN_HVM_SET_ATTR, KVM_XEN_VCPU_SET_ATTR); false: these ioctls are unknown.',
    { true: by('a76b9641ad1c') },
  ),
  xenTimer: choice(
    ['none', 'host-scale', 'guest-scale', 'guest-page'],
    'How a Xen timer’s delay is computed. host-scale: KVM_GET_CLOCK’s formula and a separate reading of the timer’s clock; guest-scale: as the guest reads, one TSC reading; guest-page: from the page in guest memory.',
    {
      'host-scale': by('536395260582'),
      'guest-scale': by('451a707813ae'),
      'guest-page': by('ca28aa63918b'),
    },
  ),
  xenTimerPast: choice(
    ['etime', 'fires'],
    'What becomes of a single shot in the past with VCPU_SSHOTTMR_future. etime: -ETIME; fires: the flag is ignored.',
    { fires: by('409f2e92a27a') },
  ),
  xenRunstate: flag('vCPUs have runstates, and their attributes.', { true: by('30b5c851af79') }),
  xenTscUnstableFlag: flag(
    'Userspace can have TSC_STABLE cleared on Xen’s pages (KVM_XEN_HVM_CONFIG_PVCLOCK_TSC_UNSTABLE).',
    { true: by('6d7228352609') },
  ),
  xenUnstableTraced: flag(
    'What kvm_pvclock_update records of Xen’s pages lacks TSC_STABLE where userspace had it cleared; false: it is cleared in guest memory alone.',
    { true: by('1b3c38050b5c') },
  ),
  xenRunstateClamp: choice(
    ['none', 'clamp', 'skip'],
    'A runstate change at a clock that went backwards. none: the negative time is added, modulo 2^64; clamp: the state changes, no time is added; skip: nothing changes.',
    { clamp: by('36a85200643e'), skip: posted('rfc-v3', 20) },
  ),
  xenCpuidLeaf: choice(
    ['none', 'at-update', 'at-read'],
    'When KVM fills in the TSC frequency of Xen’s CPUID leaf 3. none: never, userspace does.',
    { 'at-update': by('f422f853af03'), 'at-read': by('a2b00f85d783'), none: by('7d3bd21e457b') },
  ),
  eventInjCheck: choice(
    ['none', 'posted-2020', 'merged'],
    'Which EVENTINJ nested SVM entry refuses, if it is valid. posted-2020: reserved types, and exceptions with vector 2 or above 31; merged: also every other vector that is no exception of this guest’s.',
    { 'posted-2020': posted('eventinj-2020', 1), merged: by('7e79f71bca5c') },
  ),
  hvStimerByHost: flag(
    'The VMM writing STIMERn_COUNT enables a timer that enables itself, as the guest’s write does.',
    { false: by('d6800af51c76') },
  ),
  stealPreempted: choice(
    ['every-put', 'preempted'],
    'When a vCPU that leaves its CPU is marked preempted in its steal time. preempted: when it was, and not in the middle of an instruction.',
    { preempted: by('54aa83c90198') },
  ),
} as const;
