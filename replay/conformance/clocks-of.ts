/** The host's clocks over a recording: what probes show, and what the driver's own reads bound. */
import type { InputOf } from '../../events/index.ts';
import { baseAt, HostState, realtimeAt } from '../../src/clock/index.ts';
import type { World } from '../../src/engine/index.ts';
import type { Switches } from '../../src/profiles/index.ts';
import type { Gtod } from './gtod.ts';
import type { CheckedRecording } from './recording.ts';

/** Feeds a world the host's clocks as the recording's probes show them. */
export class RecordedClocks {
  /** The clocks are steered by NTP and no probe shows how. */
  readonly unknown: boolean;
  readonly #gtods: readonly Gtod[];
  #fed = 0;

  constructor(recording: CheckedRecording, switches: Switches) {
    this.#gtods = recording.gtods;
    this.unknown = switches.masterBase === 'boottime' && recording.gtods.length === 0;
  }

  /** The updates up to a host TSC that were not fed yet, as inputs. */
  *upTo(tsc: bigint, vclockMode: number): Generator<InputOf<'timekeeping_update'>> {
    for (; this.#fed < this.#gtods.length; this.#fed++) {
      const { timestamp, ...clocks } = this.#gtods[this.#fed]!;
      if (timestamp > tsc) return;
      yield { type: 'timekeeping_update', tsc: timestamp, vclockMode, ...clocks };
    }
  }

  /** Every update of the clocks is known. */
  get areProbed(): boolean {
    return this.#gtods.length > 0;
  }

  /** The clocks as they were at a host TSC, as far as probes show; else as they are. */
  #at(world: World, hostTsc: bigint): Readonly<HostState> {
    const { host } = world;
    const gtod = this.#gtods.findLast(({ timestamp }) => timestamp <= hostTsc);
    if (gtod === undefined) return host;
    const { timestamp: _, ...clocks } = gtod;
    return HostState.of({ ...clocks, offsBoot: host.offsBoot, offsReal: host.offsReal });
  }

  /** The base clock at a host TSC, also one to come. */
  baseAt(world: World, hostTsc: bigint): bigint {
    return baseAt(this.#at(world, hostTsc), hostTsc, world.switches.masterBase);
  }

  /** CLOCK_REALTIME at a host TSC. */
  realtimeAt(world: World, hostTsc: bigint): bigint {
    return realtimeAt(this.#at(world, hostTsc), hostTsc);
  }
}

/** Both timekeepers of a host, as `timekeeping_update` has them. */
export function timekeepersOf(host: Readonly<HostState>) {
  const { monoCycleLast, monoMult, monoShift, monoXtimeNsec, monoBase } = host;
  const { rawCycleLast, rawMult, rawShift, rawXtimeNsec, rawBase } = host;
  const mono = { monoCycleLast, monoMult, monoShift, monoXtimeNsec, monoBase };
  return { ...mono, rawCycleLast, rawMult, rawShift, rawXtimeNsec, rawBase };
}
