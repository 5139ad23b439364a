/** Every bundled recording is predicted, and no more is taken from it than may be. */
import { describe, expect, test } from 'vitest';
import type { HostTimes } from '../../replay/conformance/action.ts';
import {
  type Adoption,
  type CheckedRecording,
  predict,
  profileOfRelease,
} from '../../replay/conformance/index.ts';
import { adoptable } from './adoptable.ts';
import { BUNDLED, conformanceOfBundled, DEEP, recordingOf } from './bundled.ts';

const STABLE_BIT = 1;
/** About a second of these machines' TSC. */
const SECOND_OF_TSC = 2_600_000_000n;

/** Times that may be taken although probes show the clocks: each is a read of its own. */
const NS_WITH_PROBES: readonly Adoption[] = ['create-ns', 'realtime-ns', 'offsBoot'];
/** Times that only a VM without masterclock reads. */
const NS_WITHOUT_MASTERCLOCK: readonly Adoption[] = ['page-ns', 'set-clock-ns'];

describe.each(BUNDLED)('%s', (name) => {
  test('comes out as predicted, and only what may be adopted is', async () => {
    const recording = await recordingOf(name);
    const { tally, shown } = await conformanceOfBundled(name);
    expect(tally.wrong).toEqual([]);
    expect(shown).toEqual([]);
    expect(tally.judged).toBeGreaterThan(90);
    expect(tally.judged).toBe(tally.exact + tally.withinNs);
    expect([...tally.outputs.values()].reduce((a, b) => a + b, 0)).toBe(tally.judged);

    const most = adoptable(recording);
    const tooOften = [...tally.adopted].filter(([kind, count]) => count > most[kind]);
    expect(tooOften).toEqual([]);
    expect(tally.adopted.get('sync-tsc')).toBeGreaterThan(0);
  });
});

test('deep recordings of each kernel are among them', async () => {
  const kernels = new Set<string>();
  for (const name of DEEP) kernels.add((await recordingOf(name)).meta.kernel.split('-')[0]!);
  expect([...kernels].sort()).toEqual(['5.10.262', '6.1.0', '6.1.192', '6.12.117', '7.3.4']);
});

describe.each(DEEP)('%s, whose probes show the clocks', (name) => {
  test('every page of a masterclock to 1 ns, with no time taken for it', async () => {
    const recording = await recordingOf(name);
    expect(recording.gtods.length).toBeGreaterThan(0);
    const { tally } = await conformanceOfBundled(name);
    expect(tally.wrong).toEqual([]);
    const pages = recording.events.filter((event) => event.type === 'kvm_pvclock_update');
    expect(tally.outputs.get('kvm_pvclock_update')).toBe(pages.length);
    expect(pages.some(({ flags }) => (flags & STABLE_BIT) !== 0)).toBe(true);
    const times = [...tally.adopted.keys()].filter((kind) => /-ns$|^offsBoot$/.test(kind));
    expect([...NS_WITH_PROBES, ...NS_WITHOUT_MASTERCLOCK]).toEqual(expect.arrayContaining(times));
    // Their own count is exact: one for each page without masterclock and each read of the clock.
    expect(tally.adopted.get('page-ns')).toBeLessThanOrEqual(adoptable(recording)['page-ns']);
  });
});

test('hotplug takes one time of a masterclock: the VM’s offset', async () => {
  const { tally } = await conformanceOfBundled('hotplug-deep-6.1');
  expect(Object.fromEntries(tally.adopted)).toEqual({
    cpuTscKhz: 1,
    'create-ns': 1,
    'page-ns': 3,
    'snapshot-tsc': 4,
    'sync-tsc': 1,
    timekeepers: 1,
    'work-time': 4,
  });
});

/** A recording whose driver read its clocks otherwise. */
const withTimes = (
  recording: CheckedRecording,
  read: (times: HostTimes) => HostTimes,
): CheckedRecording => ({
  ...recording,
  actions: recording.actions.map((action) => ({
    ...action,
    before: read(action.before),
    after: read(action.after),
  })),
});

const wrongAdoptions = (recording: CheckedRecording): Set<string> =>
  new Set(
    predict(recording, profileOfRelease(recording.meta.kernel).switches)
      .wrong.map(({ output }) => output)
      .filter((output) => output.startsWith('adopted ')),
  );

describe('what is adopted must lie where the driver was', () => {
  test('a TSC that was read outside its action is wrong', async () => {
    const recording = await recordingOf('clock-deep-6.12');
    expect(wrongAdoptions(recording)).toEqual(new Set());
    const move = (times: HostTimes): HostTimes => ({
      ...times,
      tsc: times.tsc + SECOND_OF_TSC,
      tscEnd: times.tscEnd + SECOND_OF_TSC,
    });
    expect([...wrongAdoptions(withTimes(recording, move))]).toContain('adopted snapshot-tsc');
  });

  test('a time that the driver’s clocks did not show is wrong', async () => {
    const recording = await recordingOf('clock-deep-6.12');
    const move = (times: HostTimes): HostTimes => ({
      ...times,
      raw: times.raw + 10_000_000_000n,
      boot: times.boot + 10_000_000_000n,
      mono: times.mono + 10_000_000_000n,
      real: times.real + 10_000_000_000n,
    });
    const late = wrongAdoptions(withTimes(recording, move));
    expect([...late].sort()).toEqual(
      expect.arrayContaining(['adopted create-ns', 'adopted realtime-ns', 'adopted set-clock-ns']),
    );
  });
});
