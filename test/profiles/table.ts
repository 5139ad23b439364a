/**
 * The switch matrix in full, one row a switch, one column a profile: written out, where `data.ts`
 * says only what changed. A row stops repeating where the rest is as the last value given.
 */
import type { ProfileId, Switches, SwitchName } from '../../src/profiles/index.ts';

/** The kernels, oldest first. */
export const KERNELS = [
  'v4.4',
  'v4.9',
  'v4.19',
  'v5.5',
  'v5.10',
  'v5.15',
  'v6.1',
  'v6.8',
  'v6.15',
  'v6.19',
  'v7.2',
  'v7.3',
] as const satisfies readonly ProfileId[];

/** Values of the kernels in order, then that of each posting of patches. */
export interface Row<K extends SwitchName> {
  readonly kernels: readonly Switches[K][];
  readonly rfc: Switches[K];
  readonly v6: Switches[K];
  /** Where the patches of 2020 differ from the kernel they were posted on. */
  readonly precise?: Switches[K];
}

const row = <V>(kernels: readonly V[], rfc: V, v6: V) => ({ kernels, rfc, v6 });
/** `count` times the same. */
const of = <V>(count: number, value: V): V[] => Array<V>(count).fill(value);

export const TABLE: { readonly [K in SwitchName]: Row<K> } = {
  masterBase: row([...of(3, 'boottime' as const), 'raw'], 'raw', 'raw'),
  otherBase: row([...of(4, 'boottime' as const), 'raw'], 'raw', 'raw'),
  kvmclockOffsetInit: row(['zero', 'minus-base'], 'minus-base', 'minus-snapshot'),
  countsFromZero: row([false], false, false),
  getClock: row(['base', 'host-scale'], 'guest-scale', 'guest-scale'),
  getClockRealtime: row([...of(6, false), true], true, true),
  setClockOrder: row(
    [
      'base-then-update',
      'now-then-update',
      ...of(3, 'update-then-now' as const),
      'update-then-reference',
    ],
    'update-then-reference',
    'update-then-reference',
  ),
  setClockFlags: row([...of(6, 0 as const), 14], 14, 14),
  wallClock: row(
    [...of(4, 'boottime' as const), ...of(3, 'real-minus-kvmclock' as const), 'single-tsc'],
    'guest-scale',
    'guest-scale',
  ),
  clockGuestIoctls: row(['none'], 'rfc-v3', 'v6'),
  clockPairing: row(
    ['none', 'none', ...of(4, 'any' as const), 'not-catching-up'],
    'not-catching-up',
    'not-catching-up',
  ),
  suspendStopsGuests: row([...of(5, false), true], true, true),
  hvclockIsTsc: row([false, false, true], true, true),
  mclkCriterion: row(['offsets'], 'frequency', 'frequency-generation'),
  mclkRequestOnTrack: row(
    [...of(7, 'active-or-matched' as const), 'toggle-or-generation'],
    'toggle',
    'toggle-or-stable',
  ),
  mclkRequestChecksAll: row([false], true, true),
  mclkUpdateOnXenSharedInfo: row([...of(5, false), ...of(6, true), false], false, false),
  mclkUpdateDedup: row([false], false, true),
  masterclockAtVmCreate: row([false], false, true),
  stableBit: row(['masterclock'], 'masterclock', 'masterclock-and-offsets'),
  globalUpdateOnSystemTimeMsr: row([true], false, false),
  globalUpdateOnLoad: row(['no-master-or-first'], 'no-master', 'no-master-own-first'),
  vmxCreateSetsCpu: row([...of(6, true), false], false, false),
  globalUpdateRateLimit: row([...of(10, false), true], false, true),
  globalUpdateMechanism: row([...of(9, 'delayed' as const), 'immediate'], 'delayed', 'immediate'),
  periodicSync: row(
    [...of(4, 'per-vcpu' as const), ...of(5, 'first-vcpu' as const), 'none'],
    'no-master',
    'none',
  ),
  backwardsTsc: row(['global', 'global', 'vm'], 'vm', 'vm'),
  backwardsTscRecord: row(['forget-last'], 'forget-last', 'slide-current'),
  tscKhzSource: row([...of(7, 'per-cpu' as const), 'tsc-khz'], 'tsc-khz', 'tsc-khz'),
  tscWriteByGuest: row(
    [...of(4, 'sync' as const), ...of(4, 'offset' as const), 'offset-unless-protected'],
    'offset-unless-protected',
    'offset-unless-protected',
  ),
  tscAdjustRaisesClockUpdate: row([...of(5, false), true], true, true),
  tscOffsetAttr: row([...of(6, false), true], true, true),
  tscScaleAttr: row(['none'], 'always', 'with-scaling'),
  setTscKhzUnscaled: row([...of(4, false), true], true, true),
  protectedTscKhzRefused: row([...of(9, false), true], false, true),
  newVcpuTscKhz: row([...of(6, 'snapshot' as const), 'tsc-khz'], 'tsc-khz', 'tsc-khz'),
  createSetsKhz: row([...of(5, 'before-load' as const), 'after-load'], 'after-load', 'after-load'),
  destroyLoads: row([...of(8, true), false], true, false),
  hostReadsL1Tsc: row([...of(4, false), true], true, true),
  vmTscKhz: row(
    [...of(6, 'none' as const), ...of(3, 'always' as const), 'before-vcpus'],
    'always',
    'before-vcpus',
  ),
  syncWindow: row(
    ['usdiff', 'usdiff', ...of(5, 'cycles' as const), 'cycles-after-user-set'],
    'cycles-after-user-set',
    'cycles-after-user-set',
  ),
  syncZero: row(['none', 'none', 'host', 'host', 'any'], 'any', 'any'),
  userSetTsc: row(
    [...of(7, 'none' as const), 'after-decision', 'in-sync'],
    'after-decision',
    'in-sync',
  ),
  syncStore: row(['both'], 'last', 'current'),
  syncRecord: row(['raw'], 'previous', 'elapsed'),
  syncOnSetTscKhz: row(['none'], 'rematch', 'continuous'),
  catchupFormula: row(['reference'], 'two-points', 'now'),
  scalingNeedsConstantTsc: row([false], true, true),
  tscStateIoctls: { ...row(['none'], 'none', 'none'), precise: 'v1' },
  tscHostAccessQuirk: { ...row([false], false, false), precise: true },
  tscAdjustSynchronizes: row([false], false, false),
  hvTimer: row(['none', 'exact', 'advanced'], 'advanced', 'advanced'),
  nestedScaling: row([...of(5, 'none' as const), 'vmx', 'vmx-svm'], 'vmx-svm', 'vmx-svm'),
  pvScaleUnit: row(['user-khz', ...of(8, 'khz' as const), 'khz-nonzero'], 'hz-u32', 'hz'),
  pvPageWrite: row([...of(6, 'three-writes' as const), 'or-one'], 'or-one', 'or-one'),
  pvTraceVersionParity: row([...of(6, 'odd' as const), 'even'], 'even', 'even'),
  pvStoppedInCache: row([...of(8, true), false], true, false),
  hvPage: row(['none', ...of(4, 'sequence' as const), 'status'], 'status', 'status'),
  hvPageFrom: row([...of(6, 'vcpu0' as const), 'any'], 'any', 'any'),
  hvPageBeforeXen: row([...of(8, false), true], false, true),
  xenAttributes: row([...of(5, false), true], true, true),
  xenTimer: row(
    [...of(6, 'none' as const), 'host-scale', 'guest-scale', 'guest-page'],
    'guest-scale',
    'guest-page',
  ),
  xenTimerPast: row([...of(7, 'etime' as const), 'fires'], 'fires', 'fires'),
  xenRunstate: row([...of(5, false), true], true, true),
  xenTscUnstableFlag: row([...of(7, false), true], true, true),
  xenUnstableTraced: row([...of(8, false), true], false, true),
  xenRunstateClamp: row([...of(11, 'none' as const), 'clamp'], 'skip', 'clamp'),
  xenCpuidLeaf: row(
    [...of(7, 'none' as const), 'at-update', ...of(3, 'at-read' as const), 'none'],
    'at-update',
    'none',
  ),
  eventInjCheck: row([...of(10, 'none' as const), 'merged'], 'none', 'merged'),
  hvStimerByHost: row([...of(7, true), false], false, false),
  stealPreempted: row([...of(6, 'every-put' as const), 'preempted'], 'preempted', 'preempted'),
};
