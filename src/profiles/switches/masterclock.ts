/** Switches of the masterclock: when it is on, who asks for a new reference, who hears of it. */
import { choice, flag } from '../declare.ts';
import { around, by, posted } from '../source.ts';

export const MASTERCLOCK_SWITCHES = {
  hvclockIsTsc: flag(
    'A host whose clocksource is Hyper-V’s reference TSC page (vDSO clock mode 3) counts by the TSC (gtod_is_based_on_tsc()), and its TSC as stable whatever else says (kvm_check_tsc_unstable()); false: only the TSC itself does.',
    { true: by('b0c39dc68e3b') },
  ),
  mclkCriterion: choice(
    ['offsets', 'frequency', 'frequency-generation'],
    'What all vCPUs must share for the masterclock. offsets: the TSC generation; frequency: virtual_tsc_khz, found by a scan; frequency-generation: the same, counted at TSC writes.',
    { frequency: posted('rfc-v3', 15), 'frequency-generation': posted('series-v6', 21, 22) },
  ),
  mclkRequestOnTrack: choice(
    ['active-or-matched', 'toggle-or-generation', 'toggle', 'toggle-or-stable'],
    'When a TSC write asks for a new reference. active-or-matched: masterclock on, or it could be; toggle-or-generation: it would change, or it is on and the write began a generation; toggle: only if it would change; toggle-or-stable: that, or on and a new generation or a change of STABLE.',
    {
      'toggle-or-generation': by('c52ffadc65e2'),
      toggle: posted('rfc-v3', 10),
      'toggle-or-stable': posted('series-v6', 22),
    },
  ),
  mclkRequestChecksAll: flag(
    'A TSC write asks only for a masterclock that all conditions allow (kvm_use_master_clock()); false: that the TSCs and the host’s clocksource do, although the old MSR or a TSC that went backwards forbids it.',
    { true: posted('rfc-v3', 16) },
  ),
  mclkUpdateOnXenSharedInfo: flag(
    'Setting the Xen shared_info page asks every vCPU for a new masterclock reference.',
    { true: by('629b5348841a'), false: by('633d7652f80f') },
  ),
  mclkUpdateDedup: flag(
    'Whoever takes a masterclock reference clears the request for one on all vCPUs; otherwise each takes a reference of its own.',
    { true: posted('series-v6', 27) },
  ),
  masterclockAtVmCreate: flag(
    'The masterclock is on from VM creation; the VM is seeded with a TSC generation that the first vCPU joins.',
    { true: posted('series-v6', 36) },
  ),
  stableBit: choice(
    ['masterclock', 'masterclock-and-offsets'],
    'When pages carry PVCLOCK_TSC_STABLE_BIT: with the masterclock, or only if all TSC offsets match too.',
    { 'masterclock-and-offsets': posted('series-v6', 22) },
  ),
  globalUpdateOnSystemTimeMsr: flag(
    'A write of SYSTEM_TIME updates the pages of all vCPUs; false: of its own vCPU, and only when it enables.',
    { false: posted('rfc-v3', 17) },
  ),
  globalUpdateOnLoad: choice(
    ['no-master-or-first', 'no-master', 'no-master-own-first'],
    'When a load on another pCPU updates the pages of all vCPUs. no-master: without the masterclock; or-first: also at a vCPU’s first load; own-first: then only its own page.',
    { 'no-master': posted('rfc-v3', 18), 'no-master-own-first': posted('series-v6', 25) },
  ),
  vmxCreateSetsCpu: flag(
    'VMX’s vmx_create_vcpu() says which CPU a new vCPU is on, so that its first load there finds nothing to do; false: on VMX as on SVM it is on none, and its first load is one onto another CPU.',
    { false: by('06692e4b8055') },
  ),
  globalUpdateRateLimit: flag(
    'Global updates of vCPU loads are limited to 10 a second and VM; beyond that the vCPU updates its own page.',
    { true: by('8fe2e698fce4') },
  ),
  globalUpdateMechanism: choice(
    ['delayed', 'immediate'],
    'How a global update reaches the others. delayed: a work item 100 ms later; immediate: requests and kicks at once.',
    { immediate: by('446fcce2a52b') },
  ),
  periodicSync: choice(
    ['per-vcpu', 'first-vcpu', 'no-master', 'none'],
    'The 300 s update of all pages. per-vcpu: started by each vCPU’s creation; first-vcpu: by vCPU index 0; no-master: started by it or a masterclock update, both without the masterclock only, and as posted ended where it finds none; none: there is none.',
    {
      'first-vcpu': around('v5.7'),
      'no-master': posted('rfc-v3', 19),
      none: by('43ddbf16edf5'),
    },
  ),
  backwardsTsc: choice(
    ['global', 'vm'],
    'Whose masterclock a TSC that went backwards turns off: every VM’s, later ones included, or that of the VMs there are.',
    { vm: around('v4.14') },
  ),
  backwardsTscRecord: choice(
    ['forget-last', 'slide-current'],
    'What a TSC that went backwards does to the record of TSC writes. forget-last: last_tsc_nsec and _write become 0; slide-current: cur_tsc_write and _offset move along, the offset by cycles of the host.',
    { 'slide-current': posted('series-v6', 20) },
  ),
} as const;
