/** The host of a recording, as far as the recording tells. */
import { type HostOptions, makeHost } from '../../src/engine/index.ts';
import { clocksourceMultShift } from '../../src/num/index.ts';
import type { Switches } from '../../src/profiles/index.ts';
import { khzOfScale } from '../assimilate/scale.ts';
import type { Action } from './action.ts';
import type { FuturePage } from './future.ts';
import type { CheckedRecording } from './recording.ts';

/** vDSO clock mode of a clocksource by its name in sysfs. */
export const vclockModeOf = (clocksource: string): number =>
  clocksource.startsWith('tsc') ? 1 : clocksource.startsWith('hyperv') ? 3 : 0;

/**
 * The TSC's frequency, kHz: the integer whose clocksource scale the probe shows, or the nearest to
 * what CLOCK_MONOTONIC_RAW measured.
 */
function tscKhzOf({ meta, gtods }: CheckedRecording): number {
  const near = Math.round(meta.measuredTscKhz);
  const rawMult = gtods[0]?.rawMult;
  if (rawMult === undefined) return near;
  const around = [near, near - 1, near + 1, near - 2, near + 2];
  return around.find((khz) => clocksourceMultShift(khz).mult === rawMult) ?? near;
}

/** The largest or smallest of some differences. */
const extreme = (values: readonly bigint[], isBetter: (a: bigint, b: bigint) => boolean): bigint =>
  values.reduce((best, value) => (isBetter(value, best) ? value : best), values[0] ?? 0n);

/**
 * The clocks of a host at the first of the driver's reads of them.
 *
 * The driver reads BOOTTIME, MONOTONIC and REALTIME in this order, with some time between. Of all
 * reads before the host sleeps or its wall clock is set, those with the least between show the
 * offsets best.
 */
function clocksOf(actions: readonly Action[]): Partial<HostOptions> {
  const first = actions[0]?.before;
  if (first === undefined) return {};
  const reads = actions.flatMap(({ before, after }) => [before, after]);
  const isSame = (a: bigint, b: bigint): boolean => a - b < 10_000_000n && b - a < 10_000_000n;
  const boots = reads.map(({ boot, mono }) => boot - mono);
  const reals = reads.map(({ real, mono }) => real - mono);
  const until = (values: readonly bigint[]): readonly bigint[] => {
    const end = values.findIndex((value) => !isSame(value, values[0]!));
    return end < 0 ? values : values.slice(0, end);
  };
  return {
    tsc: first.tsc,
    monotonicNs: first.mono,
    monotonicRawNs: first.raw,
    offsBoot: extreme(until(boots), (a, b) => a > b),
    offsReal: extreme(until(reals), (a, b) => a < b),
  };
}

/**
 * The host as it is when the recording begins.
 *
 * @param page - a page from which KVM's copy of the frequency can be told; needed until v6.1.
 */
export function hostOf(
  recording: CheckedRecording,
  switches: Switches,
  page: FuturePage | undefined,
) {
  const { meta, actions } = recording;
  const tscKhz = tscKhzOf(recording);
  const copied = switches.tscKhzSource === 'per-cpu' && page !== undefined;
  return makeHost({
    tscKhz,
    maxTscKhz: meta.kvmTscKhz,
    cpuTscKhz:
      (copied ? khzOfScale(page.event.tscToSystemMul, page.event.tscShift) : undefined) ?? tscKhz,
    vendor: 'svm',
    hasTscControl: meta.hasTscControl,
    vclockMode: vclockModeOf(meta.clocksource),
    tscUnstable: !meta.hasTscClocksource,
    kvmclockPeriodicSync: meta.kvmclockPeriodicSync,
    tscTolerancePpm: meta.tscTolerancePpm,
    ...clocksOf(actions),
  });
}
