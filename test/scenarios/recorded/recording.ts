/** What bundled recordings of real kernels show of guests' clocks, by which scenarios are checked. */
import type { CheckedRecording } from '../../../replay/conformance/index.ts';
import {
  asS64,
  clocksourceMultShift,
  type PvclockReference,
  pvclockRead,
} from '../../../src/num/index.ts';
import { recordingOf } from '../../conformance/bundled.ts';

type Seen = NonNullable<CheckedRecording['actions'][number]['seen']>;
type Clock = NonNullable<Seen['clock']>;

/** A vCPU's page in master clock mode, and the host TSC that its reference means. */
export interface Reference {
  readonly page: PvclockReference;
  readonly tscOffset: bigint;
  readonly hostTsc: bigint;
}

const STABLE = 1;

/** A recording, with what is asked of it here. */
export class Recorded {
  readonly its: CheckedRecording;
  readonly khz: number;

  static async of(name: string): Promise<Recorded> {
    return new Recorded(await recordingOf(name));
  }

  private constructor(its: CheckedRecording) {
    this.its = its;
    this.khz = its.meta.kvmTscKhz;
  }

  /**
   * The references that the first VM's vCPU had one after another, as long as the masterclock was on.
   * A TSC offset that moves without a new page is no new reference.
   */
  references(vcpu: number): readonly Reference[] {
    const found: Reference[] = [];
    for (const { seen } of this.its.actions) {
      if (seen === undefined || seen.vm !== 0) continue;
      const its = seen.vcpus.find((it) => it.vcpu === vcpu);
      if (its?.page === undefined || its.tscOffset === undefined || its.page.mul === 0) continue;
      if ((its.page.flags & STABLE) === 0) break;
      const { tscTimestamp, systemTime, mul: tscToSystemMul, shift: tscShift } = its.page;
      const page = { tscTimestamp, systemTime, tscToSystemMul, tscShift };
      const last = found.at(-1)?.page;
      if (last?.tscTimestamp === tscTimestamp && last.systemTime === systemTime) continue;
      const hostTsc = BigInt.asUintN(64, tscTimestamp - its.tscOffset);
      found.push({ page, tscOffset: its.tscOffset, hostTsc });
    }
    return found;
  }

  /** KVM_GET_CLOCK after an action. */
  clockAfter(index: number): Clock {
    const clock = this.its.actions[index]?.seen?.clock;
    if (clock === undefined) throw new RangeError(`expected a clock after action ${index}`);
    return clock;
  }

  /** CLOCK_MONOTONIC and CLOCK_MONOTONIC_RAW at a host TSC, by the probe of the last update, ns. */
  timekeepers(tsc: bigint): { readonly mono: bigint; readonly raw: bigint } {
    const gtod = this.its.gtods.findLast(({ timestamp }) => timestamp <= tsc);
    if (gtod === undefined) throw new RangeError(`expected a probe before ${tsc}`);
    const read = (last: bigint, mult: number, shift: number, xtime: bigint, base: bigint) =>
      ((xtime + (tsc - last) * BigInt(mult)) >> BigInt(shift)) + base;
    const { monoCycleLast, monoMult, monoShift, monoXtimeNsec, monoBase } = gtod;
    const { rawCycleLast, rawMult, rawShift, rawXtimeNsec, rawBase } = gtod;
    return {
      mono: read(monoCycleLast, monoMult, monoShift, monoXtimeNsec, monoBase),
      raw: read(rawCycleLast, rawMult, rawShift, rawXtimeNsec, rawBase),
    };
  }

  /** How long so many cycles are, ns. */
  ns(cycles: bigint): bigint {
    return (cycles * 1_000_000n) / BigInt(this.khz);
  }

  /** What CLOCK_MONOTONIC_RAW makes of so many cycles, ns. */
  rawNs(cycles: bigint): bigint {
    const { mult, shift } = clocksourceMultShift(this.khz);
    return (cycles * BigInt(mult)) >> BigInt(shift);
  }
}

/** How far the clock of a vCPU moved as it took a reference over, ns. */
export const jumpOf = (from: Reference, to: Reference): bigint =>
  asS64(to.page.systemTime - pvclockRead(from.page, to.hostTsc + from.tscOffset));

/** Neighbours of a list. */
export const pairs = <T>(list: readonly T[]): readonly (readonly [T, T])[] =>
  list.slice(1).map((item, i) => [list[i]!, item]);

/** Parts in 10^12 as they are written: in parts per million. */
export function ppmText(ppt: bigint): string {
  const size = ppt < 0n ? -ppt : ppt;
  const fraction = String(size % 1_000_000n).padStart(6, '0');
  return `${ppt < 0n ? '-' : ''}${size / 1_000_000n}.${fraction}`;
}
