/** Recordings by somebody who left events out still conform, as far as they can be judged. */
import { describe, expect, test } from 'vitest';
import type { TraceEvent } from '../../events/index.ts';
import {
  type CheckedRecording,
  conformanceOf,
  predict,
  profileOfRelease,
} from '../../replay/conformance/index.ts';
import { recordingOf } from './bundled.ts';

const without = (
  recording: CheckedRecording,
  ...types: TraceEvent['type'][]
): CheckedRecording => ({
  ...recording,
  events: recording.events.filter(({ type }) => !types.includes(type)),
});

describe.each(['boot-deep-5.10', 'hotplug-deep-6.1', 'suspend-deep-6.12', 'clock-deep-7.3'])(
  '%s',
  (name) => {
    test('without kvm_entry and kvm_exit', async () => {
      const recording = await recordingOf(name);
      const stripped = without(recording, 'kvm_entry', 'kvm_exit');
      expect(stripped.events.length).toBeLessThan(recording.events.length);
      const { tally } = conformanceOf(stripped);
      expect(tally.wrong).toEqual([]);
      expect(tally.judged).toBeGreaterThan(90);
    });

    test('a lost page is noticed where entries tell that there was one', async () => {
      const recording = await recordingOf(name);
      const lost = recording.events.findLast(({ type }) => type === 'kvm_pvclock_update');
      const events = recording.events.filter((event) => event !== lost);
      const { switches } = profileOfRelease(recording.meta.kernel);
      expect(predict({ ...recording, events }, switches).wrong.length).toBeGreaterThan(0);
    });
  },
);
