/** Under its own kernel no recording diverges, whatever part of it is there. */
import { describe, expect, test } from 'vitest';
import { compare, from, kernelOf, losing, RECORDINGS, textOf, without } from './recordings.ts';

const CALLS = /sys_ioctl|sys_enter|sys_exit/;

/** What strangers' recordings leave out. */
const PARTS: readonly (readonly [string, (text: string) => string])[] = [
  ['whole', (text) => text],
  ['without ioctls', (text) => without(text, CALLS)],
  ['of kvm events only', (text) => without(text, /sys_|suspend_resume|tracing_mark/)],
  ['without kvm_msr', (text) => without(text, /kvm_msr:/)],
  ['without entries', (text) => without(text, /kvm_(entry|exit):/)],
  ['without kvm_track_tsc', (text) => without(text, /kvm_track_tsc/)],
  ['without TSC offsets', (text) => without(text, /kvm_(write_tsc_offset|track_tsc)/)],
  ['without masterclock updates', (text) => without(text, /kvm_update_master_clock/)],
  ['without pages', (text) => without(text, /kvm_pvclock_update/)],
  ['of pages and entries only', (text) => without(text, /\d: (?!kvm_(pvclock_update|entry|exit))/)],
  ['without suspend', (text) => without(text, /suspend_resume/)],
  ['from a sixth on', (text) => from(text, 1 / 6)],
  ['from the middle on', (text) => from(text, 1 / 2)],
  ['from the middle on, without ioctls', (text) => without(from(text, 1 / 2), CALLS)],
  ['with a loss', (text) => losing(text, 0.3)],
  ['with a late loss', (text) => losing(text, 0.6)],
];

test('there are recordings of every kind', () => {
  expect(RECORDINGS.length).toBeGreaterThanOrEqual(30);
});

describe.each(PARTS)('recordings %s', (_, part) => {
  test.each(RECORDINGS)('%s does not diverge', async (name) => {
    const { divergences } = await compare(part(textOf(name)), kernelOf(name));
    expect(divergences.map(({ timestamp, cause, reason }) => [timestamp, cause, reason])).toEqual(
      [],
    );
  });
});

test('most of a recording with a steady clock is predicted', async () => {
  const { model } = await compare(textOf('hotplug-deep-6.1'), kernelOf('hotplug-deep-6.1'));
  const { predicted, inferred, unknown } = model.counts;
  expect(unknown).toBe(0);
  expect(predicted).toBeGreaterThan(4 * inferred);
});

test('every clock tracepoint of a recording is counted once', async () => {
  for (const name of ['hotplug-deep-6.1', 'clock-deep-7.3', 'set-clock-5.10']) {
    const text = textOf(name);
    const clockEvents = /: kvm_(pvclock_update|write_tsc_offset|track_tsc|update_master_clock): /g;
    const { model } = await compare(text, kernelOf(name));
    const { predicted, inferred, unknown } = model.counts;
    expect(predicted + inferred + unknown, name).toBe(text.match(clockEvents)?.length);
  }
});

test('where no release is recorded, a divergence is no more than a hint', async () => {
  const { divergences, model } = await compare(textOf('ntp-snap-deep-base-7.3'), undefined);
  expect(model.profileText).toMatch(/\(assumed/);
  expect(divergences).not.toHaveLength(0);
  for (const { severity, reason } of divergences) {
    expect(severity).toBe('info');
    expect(reason).toContain('no release is recorded');
  }
});
