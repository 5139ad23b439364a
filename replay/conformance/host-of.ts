/** The host of a recording, as far as the recording tells. */
import { type HostOptions, makeHost } from '../../src/engine/index.ts';
import { clocksourceMultShift, pvclockTscKhz, timeScale } from '../../src/num/index.ts';
import type { Switches } from '../../src/profiles/index.ts';
import type { HostTimes } from './action.ts';
import type { FuturePage } from './future.ts';
import type { CheckedRecording } from './recording.ts';

/** vDSO clock mode of a clocksource by its name in sysfs. */
export const vclockModeOf = (clocksource: string): number =>
  clocksource.startsWith('tsc') ? 1 : clocksource.startsWith('hyperv') ? 3 : 0;

/** The frequency whose pvclock scale a page has, kHz. */
function khzOfPage({ event }: FuturePage): number | undefined {
  const near = Number(pvclockTscKhz(event.tscToSystemMul, event.tscShift));
  for (let khz = near - 4; khz <= near + 4; khz++) {
    if (khz <= 0) continue;
    const { mul, shift } = timeScale(1_000_000_000n, BigInt(khz) * 1000n);
    if (mul === event.tscToSystemMul && shift === event.tscShift) return khz;
  }
  return undefined;
}

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

/** The clocks of a host at one of the driver's reads of them. */
function clocksAt(times: HostTimes): Partial<HostOptions> {
  return {
    tsc: times.tsc,
    monotonicNs: times.mono,
    monotonicRawNs: times.raw,
    offsBoot: times.boot - times.mono,
    offsReal: times.real - times.mono,
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
  const times = actions[0]?.before;
  return makeHost({
    tscKhz,
    maxTscKhz: meta.kvmTscKhz,
    cpuTscKhz: (copied ? khzOfPage(page) : undefined) ?? tscKhz,
    vendor: 'svm',
    hasTscControl: meta.hasTscControl,
    vclockMode: vclockModeOf(meta.clocksource),
    tscUnstable: !meta.clocksource.startsWith('tsc'),
    kvmclockPeriodicSync: meta.kvmclockPeriodicSync,
    tscTolerancePpm: meta.tscTolerancePpm,
    ...(times === undefined ? {} : clocksAt(times)),
  });
}
