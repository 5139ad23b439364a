/** Two Linux guests in one memory: they see the same steal clock, and account it each in their way. */
import { Guest, type StealClock } from '../../engine/index.ts';
import type { Simulation } from '../simulation.ts';

/** By whom ticks are accounted: as every released kernel does, and as proposed. */
const KERNELS = { Linux: false, 'RFC v3 21/21': true } as const;

export type Accountant = keyof typeof KERNELS;

/** What guests came to in some ticks. */
export type Stolen = Readonly<Record<Accountant, bigint>>;

/** Longer than anything that was stolen, ns: a year. */
const LONG_NS = 31_536_000_000_000_000n;

export class Accountants {
  readonly #guests: readonly (readonly [Accountant, Guest])[];

  /** @param gpa - where vCPU 0's steal clock is. */
  constructor(sim: Simulation, gpa: bigint, by: StealClock) {
    this.#guests = Object.entries(KERNELS).map(([name, stealResync]) => {
      const guest = new Guest({ stealResync });
      guest.enableSteal(0, gpa, by);
      return [name as Accountant, guest] as const;
    });
    sim.watch((seen) => {
      for (const [, guest] of this.#guests) guest.observe(seen);
    });
  }

  /** A tick after a long idle: what was stolen until now is accounted. */
  settle(): void {
    this.ticks(1, LONG_NS);
  }

  /** So many ticks: what of them each guest reports as stolen, ns. */
  ticks(times: number, tickNs: bigint): Stolen {
    const stolen = this.#guests.map(([name, guest]) => {
      let sum = 0n;
      for (let i = 0; i < times; i++) sum += guest.tick(0, tickNs) ?? 0n;
      return [name, sum] as const;
    });
    return Object.fromEntries(stolen) as Stolen;
  }
}

/** A share of a time, for people: `100 %`. */
export const shareText = (part: bigint, whole: bigint): string =>
  `${whole === 0n ? 0n : (part * 100n) / whole} %`;
