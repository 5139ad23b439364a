/** How far a VM's masterclock has drifted from the clock behind it, as a model knows it. */
import type { BaseClock } from '../../src/clock/index.ts';
import { baseAt, type HostState } from '../../src/clock/index.ts';
import { type Finding, makeFinding } from '../findings/finding.ts';
import { cyclesToNs } from '../findings/rate.ts';
import { type InstantClock, sceneAt } from '../findings/scene.ts';
import { isStable, scaledTsc } from '../guest-clock.ts';
import { formatRate, formatSignedNs } from '../quantity.ts';
import type { FollowedVm } from './followed.ts';

/** Cycles over which a rate is stated. */
const RATE_CYCLES = 1n << 50n;
const NS_PER_DAY = 86_400_000_000_000n;

/** What the base clock counts in so many cycles as it runs now, ns. */
const baseNs = (host: Readonly<HostState>, base: BaseClock, cycles: bigint): bigint =>
  base === 'raw'
    ? (cycles * BigInt(host.rawMult)) >> BigInt(host.rawShift)
    : (cycles * BigInt(host.monoMult)) >> BigInt(host.monoShift);

/** What the VM's next masterclock update will step by, if it ran at `tsc`; nothing: `undefined`. */
export function driftOf(
  { vm, vcpus, reference }: FollowedVm,
  host: Readonly<HostState>,
  base: BaseClock,
  tsc: bigint,
  clock: InstantClock,
): Finding | undefined {
  const shown = [...vcpus.values()].find(
    (v) =>
      v.reference === reference &&
      typeof v.vcpu.clock.page === 'object' &&
      isStable(v.vcpu.clock.page),
  );
  if (reference === undefined || shown === undefined) return undefined;
  const { page, tscScale } = shown.vcpu.clock;
  if (typeof page !== 'object') return undefined;
  const rateNs = cyclesToNs(page, scaledTsc(tscScale, RATE_CYCLES));
  const aheadNs = baseNs(host, base, RATE_CYCLES) - rateNs;
  if (aheadNs === 0n || rateNs === 0n) return undefined;
  const sinceCycles = scaledTsc(tscScale, tsc) - scaledTsc(tscScale, reference.hostTsc);
  const pendingNs = baseAt(host, tsc, base) - reference.baseNs - cyclesToNs(page, sinceCycles);
  const name = base === 'raw' ? 'MONOTONIC_RAW' : 'CLOCK_BOOTTIME';
  const why = {
    cause: `${name} runs ${formatRate(aheadNs, rateNs)} against kvmclock`,
    reason: `That is ${formatSignedNs((aheadNs * NS_PER_DAY) / rateNs)} a day, and it comes out as a step at the next masterclock update.`,
  };
  return makeFinding('drift', 'info', sceneAt(clock, tsc, vm), why, pendingNs);
}
