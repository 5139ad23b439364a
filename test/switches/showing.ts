/**
 * A switch shows: a history under kernels that differ in it alone, and what each of them makes of it.
 */
import type { HostOptions } from '../../src/engine/index.ts';
import { pvclockRead } from '../../src/num/index.ts';
import {
  PROFILES,
  type ProfileId,
  type Switches,
  type SwitchName,
  withSwitches,
} from '../../src/profiles/index.ts';
import { Rig } from '../selftests/rig.ts';

/** One history in which a switch shows. */
export interface Showing<K extends SwitchName = SwitchName> {
  readonly name: K;
  /** What is seen, in words. */
  readonly what: string;
  /** The kernel that has everything else. */
  readonly on: ProfileId;
  /** Other switches that it takes for this one to show. */
  readonly with?: Partial<Switches>;
  readonly host?: HostOptions;
  /** Lets it happen. @returns what is seen */
  readonly tell: (rig: Rig) => unknown;
  /** What is seen, by value of the switch. */
  readonly expected: readonly (readonly [value: Switches[K], seen: unknown])[];
}

/** Declares one. */
export const showing = <K extends SwitchName>(it: Showing<K>): Showing => it as unknown as Showing;

/** What a history comes to with one value of its switch. */
export function seenWith({ name, on, with: others, host, tell }: Showing, value: unknown): unknown {
  const { switches } = withSwitches(PROFILES[on], { ...others, [name]: value });
  return tell(host === undefined ? new Rig(switches) : new Rig(switches, host));
}

/** Names of the requests raised on a vCPU, by anything observed since `from`. */
export const requestsSince = (rig: Rig, from: number, vcpu?: number): string[] =>
  rig.observed
    .slice(from)
    .flatMap((o) =>
      o.type === 'request' && (vcpu === undefined || o.vcpu === vcpu) ? [o.name] : [],
    );

/** How often something of a type was observed since `from`. */
export const countSince = (rig: Rig, from: number, type: string): number =>
  rig.observed.slice(from).filter((o) => o.type === type).length;

/** What an ioctl on a vCPU returns: 0, a number, or minus errno. */
export function returnOf(done: {
  readonly observations: readonly Rig['observed'][number][];
}): number {
  const result = done.observations.find((o) => o.type === 'ioctl_result');
  if (result?.type !== 'ioctl_result') throw new TypeError('expected a result');
  return result.ret;
}

export const SECOND = 1_000_000_000n;
export const DAY = 86_400n * SECOND;

/** How far vCPU 0's page moves over something, at one TSC after it, ns. */
export function moved(rig: Rig, something: () => void): bigint {
  const before = rig.page(0);
  something();
  const tsc = rig.tscAt(0, rig.tsc);
  return BigInt.asIntN(64, pvclockRead(rig.page(0), tsc) - pvclockRead(before, tsc));
}

/** NTP steers CLOCK_MONOTONIC by as near to this as its multiplier allows. */
export function steer(rig: Rig, ppm: bigint): void {
  const mult = BigInt(rig.world.host.monoMult);
  rig.host('adjtimex', { monoMult: Number(mult + (mult * ppm) / 1_000_000n) });
}
