/** Switches of the guests' TSCs: frequency and scaling, writes, and how writes are matched. */
import { choice, flag } from '../declare.ts';
import { around, by, posted, postedUnread } from '../source.ts';

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
  tscScaleAttr: flag('vCPUs have the read-only attribute KVM_VCPU_TSC_SCALE.', {
    true: postedUnread('rfc-v3', 7),
  }),
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
  syncRecord: choice(
    ['raw', 'previous', 'elapsed'],
    'What a matched write leaves as value and time to match the next one by. raw: as written, now; previous: those of its generation; elapsed: the generation’s value plus the cycles since, kept for new generations only.',
    { previous: posted('rfc-v3', 13), elapsed: posted('series-v6', 19) },
  ),
  syncOnSetTscKhz: choice(
    ['none', 'rematch', 'continuous'],
    'What KVM_SET_TSC_KHZ on a vCPU does besides scaling. rematch: the masterclock’s criterion is asked again; continuous: the TSC keeps its value and is matched again.',
    { rematch: posted('rfc-v3', 15), continuous: posted('series-v6', 30) },
  ),
  catchupFormula: choice(
    ['reference', 'two-points', 'now'],
    'Where software catch-up compares the TSC with what it should be. reference: at the page’s reference, which the masterclock lets grow old; two-points: page by the reference, offset by now, signed; now: both now, signed.',
    { 'two-points': posted('rfc-v3', 10), now: postedUnread('series-v6', 15, 16) },
  ),
  scalingNeedsConstantTsc: flag('TSC scaling is offered only on hosts whose TSC is constant.', {
    true: posted('rfc-v3', 6),
  }),
  nestedScaling: choice(
    ['none', 'vmx', 'vmx-svm'],
    'Whose nested guests have L1’s scaling composed with L2’s.',
    { vmx: by('d041b5ea9335'), 'vmx-svm': by('5228eb96a487') },
  ),
} as const;
