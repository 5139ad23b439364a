/**
 * A host and true time.
 *
 * True time is what NTP would have: nanoseconds since the guest's boot. A host's kernel takes its
 * TSC for `tscKhz`, and NTP speeds its clocks up by so many parts in 10^9; so the TSC advances by
 * tscKhz · 1000 / (1 + ppb / 10^9) cycles a true second, CLOCK_REALTIME by the truth, and
 * CLOCK_MONOTONIC_RAW, which NTP does not steer, by what the TSC says.
 */
import type { Input } from '../../../events/index.ts';
import { type Dispatched, type HostOptions, makeHost, World } from '../../engine/index.ts';
import type { Profile } from '../../profiles/index.ts';

const BILLION = 1_000_000_000n;

/** CLOCK_REALTIME at the guest's boot: 2026-01-01. */
const EPOCH_NS = 1_767_225_600n * BILLION;

/** What a host is made of. */
export interface SiteOptions {
  readonly profile: Profile;
  readonly khz: number;
  readonly ntpPpb: number;
  readonly cpus: number;
  readonly scaling: boolean;
  /** True time at which its clocks are given, and its TSC then. */
  readonly at: bigint;
  readonly tsc: bigint;
  /** By how much its CLOCK_REALTIME is ahead of the truth. */
  readonly realtimeErrorNs: bigint;
}

/** How long a host has been up when its clocks are given. */
const HOST_UPTIME_NS = 1000n * BILLION;

/** A host. */
export class Site {
  readonly world: World;
  /** All that happened, in order. */
  readonly inputs: Input[] = [];
  readonly #options: SiteOptions;
  /** Leap seconds there were, ns, from a true time on. */
  #leap = { at: 0n, ns: 0n };

  constructor(options: SiteOptions) {
    this.#options = options;
    const { profile, khz, cpus, scaling, tsc, at, realtimeErrorNs } = options;
    const host: HostOptions = {
      tscKhz: khz,
      cpus,
      hasTscControl: scaling,
      tsc,
      monotonicNs: HOST_UPTIME_NS,
      monotonicRawNs: HOST_UPTIME_NS,
      offsReal: EPOCH_NS + at + realtimeErrorNs - HOST_UPTIME_NS,
    };
    this.world = new World({ switches: profile.switches, host: makeHost(host) });
    this.#steer();
  }

  /** Frequency that true time sees, as a fraction: cycles a nanosecond. */
  get #rate(): { readonly cycles: bigint; readonly ns: bigint } {
    const { khz, ntpPpb } = this.#options;
    return { cycles: BigInt(khz) * 1000n, ns: BILLION + BigInt(ntpPpb) };
  }

  /** Host TSC at a true time. */
  tscAt(time: bigint): bigint {
    const { cycles, ns } = this.#rate;
    return this.#options.tsc + ((time - this.#options.at) * cycles) / ns;
  }

  /** True time at a host TSC, rounded up, as `tscAt` rounds down. */
  timeAt(tsc: bigint): bigint {
    const { cycles, ns } = this.#rate;
    const past = (tsc - this.#options.tsc) * ns;
    return this.#options.at + (past + cycles - 1n) / cycles;
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
    const dispatched = this.world.dispatch(input);
    this.inputs.push(input);
    return dispatched;
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
    const { ntpPpb, tsc } = this.#options;
    if (ntpPpb === 0) return;
    const { monoMult } = this.world.host;
    const exact = BigInt(monoMult) * (BILLION + BigInt(ntpPpb));
    this.do({ type: 'adjtimex', tsc, monoMult: Number((exact + BILLION / 2n) / BILLION) });
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
      monoBase: HOST_UPTIME_NS + at - this.#options.at,
      rawCycleLast: host.rawCycleLast,
      rawMult: host.rawMult,
      rawShift: host.rawShift,
      rawXtimeNsec: host.rawXtimeNsec,
      rawBase: host.rawBase,
    });
  }
}
