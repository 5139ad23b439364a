/**
 * A host and true time.
 *
 * True time is what NTP would have: nanoseconds since the guest's boot. A host's kernel takes its
 * TSC for `tscKhz`, and NTP speeds its clocks up by so many parts in 10^12; so the TSC advances by
 * tscKhz · 1000 / (1 + ppt / 10^12) cycles a true second, CLOCK_REALTIME by the truth, and
 * CLOCK_MONOTONIC_RAW, which NTP does not steer, by what the TSC says.
 */
import type { Input } from '../../../events/index.ts';
import type { Dispatched, HostOptions } from '../../engine/index.ts';
import type { Simulation } from '../simulation.ts';

const BILLION = 1_000_000_000n;
const TRILLION = 1_000_000_000_000n;

/** CLOCK_REALTIME at the guest's boot: 2026-01-01. */
const EPOCH_NS = 1_767_225_600n * BILLION;

/** What a host is made of. */
export interface SiteOptions {
  readonly khz: number;
  readonly ntpPpt: bigint;
  readonly cpus: number;
  readonly scaling: boolean;
  /** Its TSC when the guest boots. */
  readonly tsc: bigint;
  /** By how much its CLOCK_REALTIME is ahead of the truth. */
  readonly realtimeErrorNs: bigint;
}

/** How long a host has been up when the guest boots. */
const HOST_UPTIME_NS = 1000n * BILLION;

/** A host as the engine makes it. */
export const hostOf = ({ khz, cpus, scaling, tsc, realtimeErrorNs }: SiteOptions): HostOptions => ({
  tscKhz: khz,
  cpus,
  hasTscControl: scaling,
  tsc,
  monotonicNs: HOST_UPTIME_NS,
  monotonicRawNs: HOST_UPTIME_NS,
  offsReal: EPOCH_NS + realtimeErrorNs - HOST_UPTIME_NS,
});

/** A host. */
export class Site {
  readonly simulation: Simulation;
  readonly #options: SiteOptions;
  /** Leap seconds there were, ns, from a true time on. */
  #leap = { at: 0n, ns: 0n };

  /** @param simulation - of a host as `hostOf` says. */
  constructor(simulation: Simulation, options: SiteOptions) {
    this.simulation = simulation;
    this.#options = options;
    this.#steer();
  }

  get world(): Simulation['world'] {
    return this.simulation.world;
  }

  /** Frequency that true time sees, as a fraction: cycles a nanosecond. */
  get #rate(): { readonly cycles: bigint; readonly ns: bigint } {
    const { khz, ntpPpt } = this.#options;
    return { cycles: BigInt(khz) * 1_000_000n, ns: TRILLION + ntpPpt };
  }

  /** Host TSC at a true time. */
  tscAt(time: bigint): bigint {
    const { cycles, ns } = this.#rate;
    return this.#options.tsc + (time * cycles) / ns;
  }

  /** True time at a host TSC, rounded up, as `tscAt` rounds down. */
  timeAt(tsc: bigint): bigint {
    const { cycles, ns } = this.#rate;
    const past = (tsc - this.#options.tsc) * ns;
    return (past + cycles - 1n) / cycles;
  }

  /** Cycles in so many true nanoseconds. */
  cycles(ns: bigint): bigint {
    return (ns * this.#rate.cycles) / this.#rate.ns;
  }

  /** CLOCK_REALTIME at a host TSC, ns. */
  readonly realtimeNs = (tsc: bigint): bigint => {
    const time = this.timeAt(tsc);
    const leap = time >= this.#leap.at ? this.#leap.ns : 0n;
    return EPOCH_NS + time + this.#options.realtimeErrorNs + leap;
  };

  /** Something happens. */
  do(input: Input): Dispatched {
    this.simulation.host.reach(input.tsc);
    return this.simulation.dispatch(input);
  }

  /** A leap second: CLOCK_REALTIME is set back or on at a true time. */
  leap(at: bigint, ns: bigint): void {
    if (ns === 0n) return;
    const { offsReal } = this.world.host;
    this.#leap = { at, ns };
    this.do({ type: 'clock_settime', tsc: this.tscAt(at), offsReal: offsReal + ns });
  }

  /** The multiplier nearest to what NTP would have. */
  #steer(): void {
    const { ntpPpt, tsc } = this.#options;
    if (ntpPpt === 0n) return;
    const exact = BigInt(this.world.host.monoMult) * (TRILLION + ntpPpt);
    this.do({ type: 'adjtimex', tsc, monoMult: Number((exact + TRILLION / 2n) / TRILLION) });
  }

  /**
   * A tick: CLOCK_MONOTONIC is where NTP wants it. The kernel dithers the multiplier for that, by
   * less than a nanosecond a tick; here one multiplier holds from tick to tick.
   */
  tick(at: bigint): void {
    const { host } = this.world;
    this.do({
      type: 'timekeeping_update',
      tsc: this.tscAt(at),
      vclockMode: host.vclockMode,
      monoCycleLast: this.tscAt(at),
      monoMult: host.monoMult,
      monoShift: host.monoShift,
      monoXtimeNsec: 0n,
      monoBase: HOST_UPTIME_NS + at,
      rawCycleLast: host.rawCycleLast,
      rawMult: host.rawMult,
      rawShift: host.rawShift,
      rawXtimeNsec: host.rawXtimeNsec,
      rawBase: host.rawBase,
    });
  }
}
