/** What a model tells the judge where a recording leaves it to guess: instants, causes, references. */
import { realtimeAt } from '../../src/clock/index.ts';
import type { World } from '../../src/engine/index.ts';
import type { Knowledge } from '../findings/explain.ts';
import { stepsBetween } from '../findings/reference.ts';
import type { InstantClock } from '../findings/scene.ts';
import type { Vcpu } from '../identity/vm.ts';
import type { FollowedVcpu } from './followed.ts';

/** A host TSC in ns since it was 0. */
export const hostNs = ({ host }: World, tsc: bigint): bigint =>
  (tsc * 1_000_000n) / BigInt(host.tscKhz);

/** A world's instants are host TSCs. */
export class WorldClock implements InstantClock {
  /** As it is now; undefined before its first input. */
  world: World | undefined;
  /** What the TSC has lost by beginning anew, cycles: instants go on from where it was. */
  lostTsc = 0n;

  tsc(ticks: bigint): bigint {
    return ticks;
  }

  ns(ticks: bigint): bigint | undefined {
    return this.world && hostNs(this.world, ticks + this.lostTsc);
  }

  /** A host whose CLOCK_REALTIME was never set does not tell it. */
  wallNs(ticks: bigint): bigint | undefined {
    const { host } = this.world ?? {};
    return host === undefined || host.offsReal === 0n ? undefined : realtimeAt(host, ticks);
  }
}

/** What is known of the vCPUs that `of` finds. */
export const knownOf = (of: (vcpu: Vcpu) => FollowedVcpu): Knowledge => ({
  pageCause: (vcpu) => {
    const { reference, seenReference, updatedBy } = of(vcpu);
    if (reference?.offsetNs !== seenReference?.offsetNs) return reference?.setBy ?? updatedBy;
    if (reference?.hostTsc === seenReference?.hostTsc) return updatedBy;
    return reference?.cause ?? updatedBy;
  },
  offsetCause: (vcpu) => of(vcpu).wroteOffset,
  steps: (vcpu, change, staleCycles) => {
    const { reference: to, seenReference: from } = of(vcpu);
    return from === undefined || to === undefined
      ? undefined
      : stepsBetween(from, to, change.from, vcpu.clock.tscScale, staleCycles);
  },
});
