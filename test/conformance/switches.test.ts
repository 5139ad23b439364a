/**
 * The recordings are sensitive: a switch set as in another kernel shows as wrong. What no recording
 * shows is written down too, so that nobody takes it for proven.
 */
import { describe, expect, test } from 'vitest';
import { conformanceOf, profileOfRelease } from '../../replay/conformance/index.ts';
import { Prediction } from '../../replay/conformance/predict.ts';
import { parseSet, SWITCH_NAMES, withSwitches } from '../../src/profiles/index.ts';
import { recordingOf } from './bundled.ts';
import { SILENT } from './silent.ts';

/** By switch: a value that the recorded kernel does not have, and a recording that tells. */
const SHOWN: readonly (readonly [setting: string, recording: string])[] = [
  ['masterBase=boottime', 'clock-deep-6.12'],
  ['masterBase=raw', 'ntp-deep-base-6.1'],
  ['masterBase=raw', 'ntp-snap-deep-base-7.3'],
  ['otherBase=boottime', 'tsc-host-unstable-6.12'],
  ['kvmclockOffsetInit=zero', 'clock-deep-7.3'],
  ['getClock=base', 'tsc-guest-6.1'],
  ['getClockRealtime=false', 'suspend-deep-6.12'],
  ['getClockRealtime=true', 'clock-deep-5.10'],
  ['setClockOrder=base-then-update', 'clock-deep-7.3'],
  ['setClockOrder=now-then-update', 'clock-deep-5.10'],
  ['setClockOrder=update-then-now', 'clock-deep-6.12'],
  ['setClockOrder=update-then-reference', 'clock-deep-5.10'],
  ['setClockFlags=0', 'clock-deep-6.12'],
  ['setClockFlags=14', 'clock-deep-5.10'],
  ['wallClock=boottime', 'clock-deep-5.10'],
  ['wallClock=boottime', 'clock-deep-7.3'],
  ['suspendStopsGuests=false', 'suspend-deep-6.12'],
  ['mclkRequestOnTrack=active-or-matched', 'hyperv-deep-6.12'],
  ['mclkRequestOnTrack=toggle', 'hotplug-deep-6.1'],
  ['globalUpdateOnSystemTimeMsr=false', 'legacy-5.10'],
  ['globalUpdateOnLoad=no-master', 'hyperv-deep-6.12'],
  ['globalUpdateRateLimit=false', 'loadburst-deep-7.3'],
  ['globalUpdateMechanism=delayed', 'loadburst-deep-7.3'],
  ['globalUpdateMechanism=immediate', 'loadburst-5.10'],
  ['periodicSync=none', 'periodic-6.1'],
  ['tscKhzSource=tsc-khz', 'clock-deep-5.10'],
  ['tscWriteByGuest=sync', 'tsc-guest-6.1'],
  ['tscAdjustRaisesClockUpdate=false', 'tsc-guest-6.1'],
  ['tscOffsetAttr=false', 'loadburst-deep-7.3'],
  ['tscOffsetAttr=true', 'clock-deep-5.10'],
  ['setTscKhzUnscaled=false', 'tsckhz-7.3'],
  ['newVcpuTscKhz=tsc-khz', 'clock-deep-5.10'],
  ['createSetsKhz=before-load', 'tsc-unstable-6.12'],
  ['vmTscKhz=always', 'tsckhz-7.3'],
  ['vmTscKhz=none', 'tsckhz-7.3'],
  ['syncWindow=cycles-after-user-set', 'clock-deep-5.10'],
  ['syncZero=none', 'ntp-deep-base-6.1'],
  ['userSetTsc=none', 'tsc-host-deep-6.12'],
  ['pvTraceVersionParity=even', 'boot-deep-5.10'],
  ['pvTraceVersionParity=odd', 'suspend-deep-6.12'],
  ['xenTimer=none', 'xen-6.12'],
  ['pvStoppedInCache=false', 'xen-deep-6.12'],
  ['pvStoppedInCache=true', 'xen-7.3'],
  ['hvPage=none', 'hyperv-deep-6.12'],
  ['hvPage=sequence', 'hyperv-deep-6.12'],
  ['hvPage=status', 'hyperv-5.10'],
  ['hvPageFrom=any', 'hyperv-5.10'],
  ['hvPageFrom=vcpu0', 'hyperv-deep-6.12'],
];

describe.each(SHOWN)('%s', (setting, name) => {
  test(`shows in ${name}`, async () => {
    const recording = await recordingOf(name);
    const right = profileOfRelease(recording.meta.kernel);
    const other = withSwitches(right, parseSet(setting));
    expect(other.switches).not.toEqual(right.switches);
    // No fraction of a nanosecond is tried: it explains none of these.
    expect(new Prediction(recording, other.switches).run().wrong.length).toBeGreaterThan(0);
  });
});

test('every switch is shown by a recording or known not to be', () => {
  const shown = new Set(SHOWN.map(([setting]) => setting.split('=')[0]!));
  expect([...shown, ...SILENT].sort()).toEqual([...SWITCH_NAMES].sort());
});

test('a change that the release does not tell is found in the recording, and named', async () => {
  const recording = await recordingOf('clock-deep-5.10');
  // As though this kernel called itself the next one, in which KVM_SET_CLOCK reckons otherwise.
  const renamed = { ...recording, meta: { ...recording.meta, kernel: '5.12.0' } };
  const { tally, shown, profile } = conformanceOf(renamed);
  expect(tally.wrong).toEqual([]);
  expect(shown).toEqual(['setClockOrder']);
  expect(profile.switches.setClockOrder).toBe('update-then-now');
  expect(conformanceOf(renamed, profileOfRelease('5.12.0')).tally.wrong.length).toBeGreaterThan(0);
});
