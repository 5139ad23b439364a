/** Switches of the guests' TSCs: frequency and scaling, writes, and how writes are matched. */
import { choice, flag } from '../declare.ts';
import { around, by, posted, spokenOf } from '../source.ts';

export const TSC_SWITCHES = {
  tscKhzSource: choice(
    ['per-cpu', 'tsc-khz'],
    'The host frequency behind pages and KVM_GET_CLOCK. per-cpu: a copy made when KVM starts or the pCPU comes up, which a later calibration does not reach; tsc-khz: the current tsc_khz where the TSC is constant.',
    { 'tsc-khz': by('3ebcbd2244f5') },
  ),
  tscWriteByGuest: choice(
    ['sync', 'offset', 'offset-unless-protected'],
    'What a guest’s write of IA32_TSC does. sync: the same matching as a host’s write; offset: moves offset and TSC_ADJUST; unless-protected: nothing where the TSC is protected from the host.',
    { offset: by('0c899c25d754'), 'offset-unless-protected': by('adafea110600') },
  ),
  tscAdjustRaisesClockUpdate: flag(
    'A guest’s write of IA32_TSC_ADJUST renews its page; false: the page stays stale.',
    { true: by('d9130a2dfdd4') },
  ),
  tscOffsetAttr: flag('vCPUs have the attribute KVM_VCPU_TSC_OFFSET.', {
    true: by('828ca89628bf'),
  }),
  tscScaleAttr: choice(
    ['none', 'always', 'with-scaling'],
    'The read-only attribute KVM_VCPU_TSC_SCALE of vCPUs. with-scaling: only where the hardware scales, else ENXIO.',
    { always: posted('rfc-v3', 7), 'with-scaling': posted('series-v6', 9) },
  ),
  setTscKhzUnscaled: flag(
    'KVM_SET_TSC_KHZ on a vCPU is taken where the hardware does not scale TSCs (“KVM: x86: allow TSC to differ by NTP correction bounds without TSC scaling”); false: the greatest frequency there is 0, and so any is EINVAL.',
    { true: around('v5.8') },
  ),
  protectedTscKhzRefused: flag(
    'KVM_SET_TSC_KHZ on a vCPU whose TSC is protected is EINVAL; false: the frequency is taken, and the TSC is not KVM’s to change.',
    { true: by('b24bbb534c2d') },
  ),
  newVcpuTscKhz: choice(
    ['snapshot', 'tsc-khz'],
    'The frequency of new vCPUs. snapshot: tsc_khz as it was when KVM was loaded, or cpufreq’s limit where the TSC is not constant; tsc-khz: the current one where it is.',
    { 'tsc-khz': by('741e511b4208') },
  ),
  createSetsKhz: choice(
    ['before-load', 'after-load'],
    'When a new vCPU gets its frequency, and with it the ratio by which its first load reckons on an unstable TSC.',
    { 'after-load': by('1ab9287add5e') },
  ),
  destroyLoads: flag(
    'The end of a VM loads each vCPU once more, which on an unstable TSC writes its offset.',
    { false: by('ed09b50b5411') },
  ),
  hostReadsL1Tsc: flag(
    'Userspace’s read of IA32_TSC gives L1’s TSC also while L2 runs; false: that of the level that runs.',
    { true: by('ee6fa0530194') },
  ),
  vmTscKhz: choice(
    ['none', 'always', 'before-vcpus'],
    'KVM_SET_TSC_KHZ on a VM: not known, taken at any time for vCPUs to come, or EINVAL once a vCPU exists.',
    { always: by('ffbb61d09fc5'), 'before-vcpus': by('dcbe5a466c12') },
  ),
  syncWindow: choice(
    ['usdiff', 'cycles', 'cycles-after-user-set'],
    'Which writes within a second of the expected value count as matching. usdiff: by microseconds; cycles: by cycles; after-user-set: only once userspace has set a TSC.',
    { cycles: around('v4.12'), 'cycles-after-user-set': by('bf328e22e472') },
  ),
  syncZero: choice(
    ['none', 'host', 'any'],
    'Whose write of 0 always matches: nobody’s, the host’s, anybody’s (guests’ writes no longer come here).',
    { host: around('v4.12'), any: by('0c899c25d754') },
  ),
  userSetTsc: choice(
    ['none', 'after-decision', 'in-sync'],
    'Where a TSC set by userspace is noted. after-decision: after the matching of that same write; in-sync: while the write is recorded.',
    { 'after-decision': by('bf328e22e472'), 'in-sync': by('5f3b30b2b0d9') },
  ),
  syncStore: choice(
    ['both', 'last', 'current'],
    'Which records of TSC writes there are. both: last_tsc_* of every write, cur_tsc_* of each generation; last: the latter kept in last_tsc_*; current: cur_tsc_* alone.',
    { last: posted('rfc-v3', 14), current: posted('series-v6', 20) },
  ),
  syncRecord: choice(
    ['raw', 'previous', 'elapsed'],
    'What a matched write leaves as value and time to match the next one by. raw: as written, now; previous: those there were, with which its generation began; elapsed: the generation’s value plus the cycles since the last record, now. The two latter read TSC and clock at once.',
    { previous: posted('rfc-v3', 13), elapsed: posted('series-v6', 19) },
  ),
  syncOnSetTscKhz: choice(
    ['none', 'rematch', 'continuous'],
    'What KVM_SET_TSC_KHZ on a vCPU does besides scaling. rematch: the masterclock’s criterion is asked again (and, where it is found by a scan, no longer at TSC writes); continuous: the TSC keeps its value, which counts as written by userspace.',
    { rematch: posted('rfc-v3', 15), continuous: posted('series-v6', 30) },
  ),
  catchupFormula: choice(
    ['reference', 'two-points', 'now'],
    'Where software catch-up compares the TSC with what it should be. reference: at the page’s reference, which the masterclock lets grow old; two-points: page by the reference, offset by now, signed; now: the offset by now, signed, and the page by the reference with it.',
    { 'two-points': posted('rfc-v3', 10), now: posted('series-v6', 15, 16) },
  ),
  scalingNeedsConstantTsc: flag('TSC scaling is offered only on hosts whose TSC is constant.', {
    true: posted('rfc-v3', 6),
  }),
  tscStateIoctls: choice(
    ['none', 'v1', 'v2'],
    'KVM_GET_TSC_STATE and KVM_SET_TSC_STATE. v1: a time of 0 or from the future moves nothing; v2: a flag says whether the time counts, and it counts both ways.',
    { v1: posted('precise-tsc', 1), v2: posted('precise-tsc-v2', 1) },
  ),
  tscHostAccessQuirk: flag(
    'KVM_X86_QUIRK_TSC_HOST_ACCESS can be disabled: userspace’s accesses to IA32_TSC and TSC_ADJUST are then as the guest’s.',
    { true: posted('precise-tsc', 2) },
  ),
  tscAdjustSynchronizes: flag(
    'A guest’s write of TSC_ADJUST takes part in the matching of TSCs: the offset that comes of it is matched as the attribute KVM_VCPU_TSC_OFFSET is.',
    { true: spokenOf('Levitsky, “RFC: Precise TSC migration”, 2020-11-30') },
  ),
  hvTimer: choice(
    ['none', 'exact', 'advanced'],
    'How VMX’s preemption timer runs a TSC deadline, where the CPU has one. none: not at all, an hrtimer does; exact: by the distance; advanced: less lapic_timer_advance_ns, as the hrtimer.',
    { exact: by('ce7a058a2117'), advanced: by('c5ce8235cffa') },
  ),
  nestedScaling: choice(
    ['none', 'vmx', 'vmx-svm'],
    'Whose nested guests have L1’s scaling composed with L2’s.',
    { vmx: by('d041b5ea9335'), 'vmx-svm': by('5228eb96a487') },
  ),
} as const;
