/** Under its own kernel no recording diverges, whatever part of it is there. */
import { describe, expect, test } from 'vitest';
import {
  CALLS,
  compare,
  from,
  kernelOf,
  losing,
  RECORDINGS,
  textOf,
  without,
} from './recordings.ts';

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

  test.each(RECORDINGS)('%s does not diverge where no release is recorded', async (name) => {
    const { divergences } = await compare(part(textOf(name)), undefined);
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

test.each(RECORDINGS)('%s: every clock tracepoint is counted once', async (name) => {
  const text = textOf(name);
  const clockEvents = /: kvm_(pvclock_update|write_tsc_offset|track_tsc|update_master_clock): /g;
  for (const kernel of [kernelOf(name), undefined]) {
    const { predicted, inferred, unknown } = (await compare(text, kernel)).model.counts;
    expect(predicted + inferred + unknown).toBe(text.match(clockEvents)?.length);
  }
});

/** One page of a recording 5 ns late. */
function withLatePage(name: string): string {
  const lines = textOf(name).split('\n');
  const pages = lines.flatMap((line, at) =>
    /kvm_pvclock_update.*flags 0x1/.test(line) ? [at] : [],
  );
  const late = (_: string, digits: string): string =>
    `system_time 0x${(BigInt(`0x${digits}`) + 5n).toString(16)}`;
  lines[pages[4]!] = lines[pages[4]!]!.replace(/system_time 0x([\da-f]+)/, late);
  return lines.join('\n');
}

test('where no release is recorded, a divergence is no more than a hint', async () => {
  const { divergences, model } = await compare(withLatePage('hotplug-deep-6.1'), undefined);
  expect(model.profileText).toMatch(/\(assumed/);
  expect(divergences).not.toHaveLength(0);
  for (const { severity, reason } of divergences) {
    expect(severity).toBe('info');
    expect(reason).toContain('no release is recorded');
  }
});

test.each([
  ['hotplug-deep-6.1', 'v6.1', 'an update for each vCPU that joins'],
  ['boot-deep-5.10', 'v5.15', 'odd page versions'],
  ['loadburst-7.3', 'v7.2', 'no work that brings pages up to date later'],
  ['loadburst-7.3', 'v7.2', 'fewer pages than loads ask for'],
  ['ntp-snap-deep-base-7.3', 'v6.8 with masterBase=boottime', 'a base clock that is steered'],
])('%s shows that its kernel is like %s by %s', async (name, kernel, how) => {
  const { model } = await compare(textOf(name), undefined);
  expect(model.profileText).toContain(kernel);
  expect(model.profileText).toContain(how);
});

test.each(['hyperv-5.10', 'legacy-5.10', 'loadburst-5.10', 'periodic-6.1', 'hyperv-deep-6.12'])(
  '%s is of a kernel that updates pages later, and is not taken for another',
  async (name) => {
    const { model } = await compare(textOf(name), undefined);
    expect(model.profileText).not.toMatch(/later|at once|fewer/);
  },
);
