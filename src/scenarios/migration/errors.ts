/**
 * By how much the clocks are off after a migration.
 *
 * A clock is compared with what it would read had the guest stayed at the source: up to the instant
 * of the comparison (`advance`), or as if that time had not passed for which the guest was away, from
 * the last vCPU's exit to the first one's entry (`freeze`).
 */
import { type Intent, VMM_POLICIES } from '../../engine/index.ts';
import { asS64, subU64 } from '../../num/index.ts';
import { clocksAt, type Frozen } from './guest.ts';
import type { Journey, VcpuJourney } from './run.ts';
import type { Site } from './site.ts';

/** How a clock is off, in its own unit: + is ahead. */
interface ClockErrors {
  readonly tscCycles: bigint;
  readonly tscNs: bigint;
  readonly kvmclockNs: bigint;
}

/** What a vCPU's guest has to cope with. */
export interface VcpuErrors extends ClockErrors {
  readonly id: number;
  /** Against each ideal. */
  readonly against: Readonly<Record<Intent, ClockErrors>>;
  /** What kvmclock gained on the TSC. */
  readonly driftNs: bigint;
  /** From the last read at the source to the first at the destination. */
  readonly firstStepNs: bigint;
  /** By what references taken after that moved kvmclock. */
  readonly laterStepNs: bigint;
  /** By how much its TSC runs faster from now on than it would have, parts in 10^9. */
  readonly tscRatePpb: bigint;
  readonly stableBefore: boolean;
  readonly stable: boolean;
  /** KVM told this vCPU that it had been stopped. */
  readonly toldStopped: boolean;
}

/** The least and the most of some values, of which there is one at least. */
function extent(values: readonly bigint[]): {
  readonly least: bigint;
  readonly most: bigint;
} {
  const [first = 0n, ...rest] = values;
  let [least, most] = [first, first];
  for (const value of rest) {
    if (value < least) least = value;
    if (value > most) most = value;
  }
  return { least, most };
}

/** How far apart they are. */
export function spread(values: readonly bigint[]): bigint {
  const { least, most } = extent(values);
  return most - least;
}

/** The guest's absence: what is frozen stands still for so long. */
function absenceNs({ vcpus }: Journey): bigint {
  const stopped = vcpus.map(({ stoppedAt }) => stoppedAt);
  const entered = vcpus.map(({ enteredAt }) => enteredAt);
  return extent(entered).least - extent(stopped).most;
}

const STABLE = 1;
const STOPPED = 2;

/** Cycles as nanoseconds at a frequency, to the nearest. */
export function cyclesToNs(cycles: bigint, khz: number): bigint {
  const half = BigInt(khz) / 2n;
  const magnitude = ((cycles < 0n ? -cycles : cycles) * 1_000_000n + half) / BigInt(khz);
  return cycles < 0n ? -magnitude : magnitude;
}

/** What the guest would read had it stayed, at a true time. */
const stayed = (site: Site, { before }: VcpuJourney, time: bigint) =>
  clocksAt(before, site.tscAt(time));

function errorsAgainst(journey: Journey, vcpu: VcpuJourney, lagNs: bigint): ClockErrors {
  const { source, destination, comparedAt } = journey;
  const expected = stayed(source, vcpu, comparedAt - lagNs);
  const found = clocksAt(vcpu.after, destination.tscAt(comparedAt));
  const tscCycles = asS64(subU64(found.tsc, expected.tsc));
  return {
    tscCycles,
    tscNs: cyclesToNs(tscCycles, vcpu.before.vcpu.virtualTscKhz),
    kvmclockNs: asS64(subU64(found.kvmclock, expected.kvmclock)),
  };
}

/** Over how long rates are compared. */
const RATE_NS = 1_000_000_000_000n;

/** How much faster the TSC runs than it would have at the source, parts in 10^9. */
function tscRatePpb({ source, destination, comparedAt: now }: Journey, vcpu: VcpuJourney): bigint {
  const later = now + RATE_NS;
  const there = clocksAt(vcpu.before, source.tscAt(later)).tsc - stayed(source, vcpu, now).tsc;
  const at = (time: bigint): bigint => clocksAt(vcpu.after, destination.tscAt(time)).tsc;
  return ((at(later) - at(now) - there) * 1_000_000_000n) / there;
}

const kvmclockAt = (frozen: Frozen, tsc: bigint): bigint => clocksAt(frozen, tsc).kvmclock;

/** How one vCPU's clocks are off. */
export function errorsOf(journey: Journey, vcpu: VcpuJourney): VcpuErrors {
  const { source, destination, options, comparedAt } = journey;
  const { tsc, kvmclock } = VMM_POLICIES[options.policy];
  const against = {
    freeze: errorsAgainst(journey, vcpu, absenceNs(journey)),
    advance: errorsAgainst(journey, vcpu, 0n),
  };
  const last = stayed(source, vcpu, vcpu.stoppedAt).kvmclock;
  const first = kvmclockAt(vcpu.first, destination.tscAt(vcpu.enteredAt));
  const now = destination.tscAt(comparedAt);
  return {
    id: vcpu.id,
    tscCycles: against[tsc].tscCycles,
    tscNs: against[tsc].tscNs,
    kvmclockNs: against[kvmclock].kvmclockNs,
    against,
    driftNs: against.advance.kvmclockNs - against.advance.tscNs,
    firstStepNs: asS64(subU64(first, last)),
    laterStepNs: asS64(subU64(kvmclockAt(vcpu.after, now), kvmclockAt(vcpu.first, now))),
    tscRatePpb: tscRatePpb(journey, vcpu),
    stableBefore: (vcpu.before.vcpu.pageFlags & STABLE) !== 0,
    stable: (vcpu.after.vcpu.pageFlags & STABLE) !== 0,
    toldStopped: (vcpu.first.vcpu.pageFlags & STOPPED) !== 0,
  };
}
