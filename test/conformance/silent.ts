/** What the recordings leave open. */
import type { SwitchName } from '../../src/profiles/index.ts';

/**
 * Switches on which no recording says anything: what they change needs hardware that the recorded
 * hosts lack (TSC scaling, nesting, a backwards TSC, a preemption timer), patches that no recorded kernel has, or was not
 * done by any driver (runstates, synthetic timers, reads of Xen's leaf, an unstable TSC as a VM ends).
 */
export const SILENT: readonly SwitchName[] = [
  'countsFromZero',
  'clockGuestIoctls',
  'clockPairing',
  'hvclockIsTsc',
  'mclkCriterion',
  'mclkRequestChecksAll',
  'mclkUpdateOnXenSharedInfo',
  'mclkUpdateDedup',
  'masterclockAtVmCreate',
  'stableBit',
  'vmxCreateSetsCpu',
  'backwardsTsc',
  'backwardsTscRecord',
  'tscScaleAttr',
  'protectedTscKhzRefused',
  'destroyLoads',
  'hostReadsL1Tsc',
  'syncStore',
  'syncRecord',
  'syncOnSetTscKhz',
  'catchupFormula',
  'scalingNeedsConstantTsc',
  'tscStateIoctls',
  'tscHostAccessQuirk',
  'tscAdjustSynchronizes',
  'hvTimer',
  'nestedScaling',
  'pvScaleUnit',
  'pvPageWrite',
  'hvPageBeforeXen',
  'xenAttributes',
  'xenTimerPast',
  'xenRunstate',
  'xenTscUnstableFlag',
  'xenUnstableTraced',
  'xenRunstateClamp',
  'xenCpuidLeaf',
  'eventInjCheck',
  'hvStimerByHost',
  'stealPreempted',
];
