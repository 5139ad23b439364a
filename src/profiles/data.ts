/**
 * The profiles as data: the oldest one whole, every other as its difference from the one it grew
 * out of, so that each fact stands once.
 */
import { OLDEST } from './oldest.ts';
import type { Release } from './release.ts';
import type { Switches } from './switches.ts';

/** What is written down of a profile. */
export interface ProfileData<Id extends string = string> {
  /** What it stands for, in a few words. */
  readonly title: string;
  /** The release whose behaviour it is; for posted patches the one they were posted on. */
  readonly release: Release;
  /** First and last release that it stands for. */
  readonly covers?: readonly [first: Release, last: Release];
  /** The profile it grew out of; the oldest one has none, and `switches` of all. */
  readonly from?: Id;
  readonly switches: Partial<Switches>;
}

export const PROFILE_DATA = {
  'v4.2-cfz': {
    title: 'v4.2, whose clock restarts at 0 when vCPU 0 registers it',
    release: 'v4.2',
    covers: ['v4.2', 'v4.2'],
    from: 'v4.4',
    switches: { countsFromZero: true },
  },
  'v4.4': {
    title: 'v4.3 to v4.8, before get_kvmclock_ns',
    release: 'v4.4',
    covers: ['v4.3', 'v4.8'],
    switches: OLDEST,
  },
  'v4.9': {
    title: 'v4.9 to v4.12: KVM_GET_CLOCK extrapolates, KVM_SET_CLOCK measures by a stale reference',
    release: 'v4.9',
    covers: ['v4.9', 'v4.12'],
    from: 'v4.4',
    switches: {
      kvmclockOffsetInit: 'minus-base',
      getClock: 'host-scale',
      setClockOrder: 'now-then-update',
      hvTimer: 'exact',
      pvScaleUnit: 'khz',
      hvPage: 'sequence',
    },
  },
  'v4.19': {
    title: 'v4.13 to v5.4: the last with NTP behind the masterclock',
    release: 'v4.19',
    covers: ['v4.13', 'v5.4'],
    from: 'v4.9',
    switches: {
      setClockOrder: 'update-then-now',
      clockPairing: 'any',
      hvclockIsTsc: true,
      backwardsTsc: 'vm',
      syncWindow: 'cycles',
      syncZero: 'host',
      hvTimer: 'advanced',
    },
  },
  'v5.5': {
    title: 'v5.5 alone: the masterclock is raw, everything else is steered',
    release: 'v5.5',
    covers: ['v5.5', 'v5.5'],
    from: 'v4.19',
    switches: { masterBase: 'raw' },
  },
  'v5.10': {
    title: 'v5.6 to v5.11: raw everywhere',
    release: 'v5.10',
    covers: ['v5.6', 'v5.11'],
    from: 'v5.5',
    switches: {
      otherBase: 'raw',
      wallClock: 'real-minus-kvmclock',
      tscWriteByGuest: 'offset',
      setTscKhzUnscaled: true,
      hostReadsL1Tsc: true,
      syncZero: 'any',
      periodicSync: 'first-vcpu',
    },
  },
  'v5.15': {
    title: 'v5.12 to v5.15: KVM_SET_CLOCK measures by the reference itself',
    release: 'v5.15',
    covers: ['v5.12', 'v5.15'],
    from: 'v5.10',
    switches: {
      setClockOrder: 'update-then-reference',
      hvPage: 'status',
      createSetsKhz: 'after-load',
      nestedScaling: 'vmx',
      tscAdjustRaisesClockUpdate: true,
      mclkUpdateOnXenSharedInfo: true,
      xenAttributes: true,
      xenRunstate: true,
      suspendStopsGuests: true,
    },
  },
  'v6.1': {
    title: 'v5.16 to v6.6: realtime and host TSC in KVM_GET_CLOCK, TSC offsets for userspace',
    release: 'v6.1',
    covers: ['v5.16', 'v6.6'],
    from: 'v5.15',
    switches: {
      clockPairing: 'not-catching-up',
      vmxCreateSetsCpu: false,
      newVcpuTscKhz: 'tsc-khz',
      getClockRealtime: true,
      setClockFlags: 14,
      tscOffsetAttr: true,
      vmTscKhz: 'always',
      nestedScaling: 'vmx-svm',
      pvPageWrite: 'or-one',
      pvTraceVersionParity: 'even',
      hvPageFrom: 'any',
      xenTimer: 'host-scale',
      stealPreempted: 'preempted',
    },
  },
  'v6.8': {
    title: 'v6.7 to v6.14: a matching vCPU no longer renews the masterclock',
    release: 'v6.12',
    covers: ['v6.7', 'v6.14'],
    from: 'v6.1',
    switches: {
      wallClock: 'single-tsc',
      tscKhzSource: 'tsc-khz',
      syncWindow: 'cycles-after-user-set',
      userSetTsc: 'after-decision',
      mclkRequestOnTrack: 'toggle-or-generation',
      xenTimer: 'guest-scale',
      xenTimerPast: 'fires',
      hvStimerByHost: false,
      xenTscUnstableFlag: true,
      xenCpuidLeaf: 'at-update',
    },
  },
  'v6.15': {
    title: 'v6.15 to v6.18: no cached page',
    release: 'v6.15',
    covers: ['v6.15', 'v6.18'],
    from: 'v6.8',
    switches: {
      tscWriteByGuest: 'offset-unless-protected',
      userSetTsc: 'in-sync',
      destroyLoads: false,
      pvStoppedInCache: false,
      xenUnstableTraced: true,
      hvPageBeforeXen: true,
      xenTimer: 'guest-page',
      xenCpuidLeaf: 'at-read',
    },
  },
  'v6.19': {
    title: 'v6.19 to v7.0: no periodic and no delayed updates',
    release: 'v6.19',
    covers: ['v6.19', 'v7.0'],
    from: 'v6.15',
    switches: {
      globalUpdateMechanism: 'immediate',
      periodicSync: 'none',
      protectedTscKhzRefused: true,
      vmTscKhz: 'before-vcpus',
      pvScaleUnit: 'khz-nonzero',
    },
  },
  'v7.2': {
    title: 'v7.1 and v7.2: global updates are rate-limited',
    release: 'v7.2',
    covers: ['v7.1', 'v7.2'],
    from: 'v6.19',
    switches: {
      globalUpdateRateLimit: true,
      eventInjCheck: 'merged',
    },
  },
  'v7.3': {
    title: 'v7.3: the first three patches of the series',
    release: 'v7.3',
    covers: ['v7.3', 'v7.3'],
    from: 'v7.2',
    switches: {
      mclkUpdateOnXenSharedInfo: false,
      xenRunstateClamp: 'clamp',
      xenCpuidLeaf: 'none',
    },
  },
  'precise-tsc': {
    title: 'RFC “Precise TSC migration” of 2020-11-30, on v5.10-rc5: not merged',
    release: 'v5.10',
    from: 'v5.10',
    switches: { tscStateIoctls: 'v1', tscHostAccessQuirk: true },
  },
  'rfc-v3': {
    title: 'RFC PATCH v3 00/21 of 2024-05-22, on v6.10',
    release: 'v6.10',
    from: 'v6.8',
    switches: {
      getClock: 'guest-scale',
      wallClock: 'guest-scale',
      clockGuestIoctls: 'rfc-v3',
      mclkCriterion: 'frequency',
      mclkRequestOnTrack: 'toggle',
      mclkRequestChecksAll: true,
      mclkUpdateOnXenSharedInfo: false,
      globalUpdateOnSystemTimeMsr: false,
      globalUpdateOnLoad: 'no-master',
      periodicSync: 'no-master',
      tscWriteByGuest: 'offset-unless-protected',
      tscScaleAttr: 'always',
      syncStore: 'last',
      syncRecord: 'previous',
      syncOnSetTscKhz: 'rematch',
      catchupFormula: 'two-points',
      scalingNeedsConstantTsc: true,
      pvScaleUnit: 'hz-u32',
      xenRunstateClamp: 'skip',
    },
  },
  'series-v6': {
    title: 'PATCH v6 00/36 of 2026-07-03, on v7.2',
    release: 'v7.2',
    from: 'v7.2',
    switches: {
      kvmclockOffsetInit: 'minus-snapshot',
      getClock: 'guest-scale',
      wallClock: 'guest-scale',
      clockGuestIoctls: 'v6',
      mclkCriterion: 'frequency-generation',
      mclkRequestOnTrack: 'toggle-or-stable',
      mclkRequestChecksAll: true,
      mclkUpdateOnXenSharedInfo: false,
      mclkUpdateDedup: true,
      masterclockAtVmCreate: true,
      stableBit: 'masterclock-and-offsets',
      globalUpdateOnSystemTimeMsr: false,
      globalUpdateOnLoad: 'no-master-own-first',
      backwardsTscRecord: 'slide-current',
      tscScaleAttr: 'with-scaling',
      syncStore: 'current',
      syncRecord: 'elapsed',
      syncOnSetTscKhz: 'continuous',
      catchupFormula: 'now',
      scalingNeedsConstantTsc: true,
      pvScaleUnit: 'hz',
      xenRunstateClamp: 'clamp',
      xenCpuidLeaf: 'none',
    },
  },
} as const satisfies Readonly<Record<string, ProfileData>>;

/** Name of a profile. */
export type ProfileId = keyof typeof PROFILE_DATA;
